//! From a record value to its event, or its events.

use std::borrow::Cow;

use super::digits;
use super::explode::{Explode, lines, part};
use super::fields::{Field, FieldPath};
use super::flat;
use super::looks::closer;
use super::names::{UsernameCase, creator, is_plain_creator, is_plain_platform, platform};
use super::plan::{Leaf, Plan};
use super::repair::{before_mending, with_long_numbers_as_text, without_infinities};
use super::scan::{Found, Kind, scan};
use super::{Event, MAX_ID, MAX_PLATFORM, MAX_VALUE, MAX_WRITTEN, Reject};
use crate::Millis;

/// What a source says of its records.
pub trait Layout {
    /// Where a field is looked for, in this order.
    fn paths(&self, field: Field) -> Vec<FieldPath>;

    /// How a record holds several events; `None` = it holds one.
    fn explode(&self) -> Option<&Explode>;

    /// Whether letters of usernames keep their case.
    fn username_case(&self) -> UsernameCase;
}

/// The usual names, one event a record.
struct Usual;

impl Layout for Usual {
    fn paths(&self, field: Field) -> Vec<FieldPath> {
        let paths = field.default_paths().iter();
        paths.filter_map(|path| path.parse().ok()).collect()
    }

    fn explode(&self) -> Option<&Explode> {
        None
    }

    fn username_case(&self) -> UsernameCase {
        UsernameCase::default()
    }
}

/// Decodes record values. Holds what a job fixes for all its events.
#[derive(Clone, Debug)]
pub struct Decoder {
    default_platform: Box<str>,
    case: UsernameCase,
    explode: Option<Explode>,
    /// What is read of an event.
    event: Plan,
    /// What is read of the record around exploded events.
    record: Plan,
    /// What a flat pass over events has learned; `None`: there is no such pass.
    flat: Option<flat::Orders>,
}

impl Decoder {
    /// For records with the default names. Events without a platform belong to `default_platform`.
    pub fn new(default_platform: &str) -> Self {
        Self::of(&Usual, default_platform)
    }

    /// For the records of a job's source.
    pub fn of(source: &impl Layout, default_platform: &str) -> Self {
        let all: Vec<(Leaf, FieldPath)> = Field::ALL
            .into_iter()
            .flat_map(|field| {
                let ranked = (0..).zip(source.paths(field));
                ranked.map(move |(rank, path)| (Leaf { field, rank }, path))
            })
            .collect();
        // Lines have nothing around them.
        let has_around = matches!(source.explode(), Some(Explode::Items(_)));
        let of_event = |path: &FieldPath| !has_around || !path.is_of_record();
        let plan = |wanted: &dyn Fn(&FieldPath) -> bool| {
            let paths = all.iter().filter(|(_, path)| wanted(path));
            Plan::new(paths.map(|(leaf, path)| (*leaf, path)))
        };
        let event = plan(&of_event);
        Self {
            default_platform: default_platform.into(),
            case: source.username_case(),
            explode: source.explode().cloned(),
            flat: Some(flat::Orders::new(&event)),
            event,
            record: plan(&|path| !of_event(path)),
        }
    }

    /// The same with another pass for records that it reads in a flat one, more slowly: to compare the two.
    #[must_use]
    pub fn without_flat_pass(self) -> Self {
        Self { flat: None, ..self }
    }

    /// Decodes a value that holds one event.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn decode<'a>(&'a self, value: Option<&'a [u8]>) -> Result<Event<'a>, Reject> {
        let value = value.ok_or(Reject::Tombstone)?;
        match text_of(value) {
            Ok(text) => match self.flat(text) {
                Some(event) => Ok(event),
                None => self.by_itself(text),
            },
            Err(reject) => Err(closer(without_mark(value), reject)),
        }
    }

    /// The event of a text that nothing is known of beside it.
    #[cold]
    fn by_itself<'a>(&'a self, text: &'a str) -> Result<Event<'a>, Reject> {
        let event = self.one(text, &Found::default);
        event.map_err(|reject| closer(text.as_bytes(), reject))
    }

    /// The event of a text where a flat pass says that it has one.
    #[inline(always)]
    pub(super) fn flat<'a>(&'a self, text: &'a str) -> Option<Event<'a>> {
        let mut seen = flat::Seen::default();
        flat::scan(text, &self.event, self.flat.as_ref()?, &mut seen)?;
        let name = seen.text(Field::Username)?;
        let video_id = seen.text(Field::VideoId);
        let named = seen.text(Field::Platform);
        if name.len() > MAX_WRITTEN || named.is_some_and(|name| name.len() > MAX_WRITTEN) {
            return None;
        }
        let kol = if is_plain_creator(name) && self.case == UsernameCase::Keep {
            Cow::Borrowed(name)
        } else {
            creator(Cow::Borrowed(name), self.case)
        };
        let platform = match named {
            // Nearly all: there is no separator in it.
            Some(name) if is_plain_platform(name) => Cow::Borrowed(name),
            Some(name) => with_separator_refused(platform(Cow::Borrowed(name))).ok()?,
            None => with_separator_refused(Cow::Borrowed(&*self.default_platform)).ok()?,
        };
        if kol.is_empty() || platform.is_empty() {
            return None;
        }
        let video_id = video_id.map(Cow::Borrowed);
        check_lengths(&kol, &platform, video_id.as_deref()).ok()?;
        let (event_time, time_unreadable) = seen.event_time();
        let published = match (seen.number(Field::PublishedAt), &video_id) {
            (Some(time), _) => Some(Millis(time)),
            (None, Some(video_id)) => made_at(&platform, video_id),
            (None, None) => None,
        };
        Some(Event {
            event_time,
            time_unreadable,
            published,
            likes: seen.number(Field::Likes),
            comments: seen.number(Field::Comments),
            shares: seen.number(Field::Shares),
            views: seen.number(Field::Views),
            followers: seen.number(Field::Followers),
            platform,
            kol,
            video_id,
        })
    }

    /// Decodes all events of a record value, in their order: one, unless the source explodes records.
    /// `each` is given the part of the value that an outcome is of; a part that cannot be used does not
    /// concern the others. A value that cannot be taken apart has one outcome.
    pub fn decode_each<'d, 'a: 'd>(
        &'d self,
        value: Option<&'a [u8]>,
        mut each: impl FnMut(Option<&[u8]>, Result<Event<'d>, Reject>),
    ) {
        let (Some(explode), Some(whole)) = (&self.explode, value) else {
            return each(value, self.decode(value));
        };
        let outcome = match explode {
            Explode::Lines if whole.len() <= MAX_VALUE => {
                let mut any = false;
                for line in lines(without_mark(whole)) {
                    any = true;
                    each(Some(line), self.decode(Some(line)));
                }
                if any { Ok(()) } else { Err(Reject::NotJson) }
            }
            Explode::Lines => Err(Reject::TooLarge),
            Explode::Items(path) => self.items(whole, path, &mut each),
        };
        if let Err(reject) = outcome {
            each(value, Err(closer(without_mark(whole), reject)));
        }
    }

    /// The elements of an array in a record; the record itself where it has no such array.
    fn items<'d, 'a: 'd>(
        &'d self,
        whole: &'a [u8],
        path: &FieldPath,
        each: &mut impl FnMut(Option<&[u8]>, Result<Event<'d>, Reject>),
    ) -> Result<(), Reject> {
        let text = text_of(whole)?;
        let mut around = Found::default();
        if let Some(kind) = scan(text, &self.record, &mut around) {
            let stands_alone = self.record.is_empty();
            let element = |part: &'a str| {
                let event = match stands_alone.then(|| self.flat(part)).flatten() {
                    Some(event) => Ok(event),
                    None => self.one(part, &|| around.clone()),
                };
                each(
                    Some(part.as_bytes()),
                    event.map_err(|r| closer(part.as_bytes(), r)),
                );
            };
            return take_apart(text, kind, path, element);
        }
        let mended = without_infinities(text).ok_or(Reject::NotJson)?;
        let mut around = Found::default();
        let kind = scan(&mended, &self.record, &mut around).ok_or(Reject::NotJson)?;
        take_apart(&mended, kind, path, |part| {
            let own = before_mending(text, &mended, part);
            let event = self.one(own, &|| around.clone());
            each(
                Some(own.as_bytes()),
                event
                    .map(Event::into_owned)
                    .map_err(|r| closer(own.as_bytes(), r)),
            );
        })
    }

    /// One event, read after what is `known` already.
    fn one<'a>(
        &'a self,
        text: &'a str,
        known: &dyn Fn() -> Found<'a>,
    ) -> Result<Event<'a>, Reject> {
        let mut found = known();
        match scan(text, &self.event, &mut found) {
            Some(Kind::Object) if found.has_float_id() => match with_long_numbers_as_text(text) {
                Some(mended) => self.mended(&mended, known()),
                None => self.event(&mut found),
            },
            Some(Kind::Object) => self.event(&mut found),
            Some(Kind::Array | Kind::Scalar) => Err(Reject::NotAnObject),
            None => {
                // Digits first: hundreds of them are an infinite number, too, and an id all the same.
                let long = with_long_numbers_as_text(text);
                let mended = without_infinities(long.as_deref().unwrap_or(text));
                let mended = mended.or(long).ok_or(Reject::NotJson)?;
                self.mended(&mended, known())
            }
        }
    }

    /// The event of a text that had to be changed to be read.
    #[cold]
    fn mended(&self, mended: &str, known: Found<'_>) -> Result<Event<'static>, Reject> {
        let mut found = known;
        match scan(mended, &self.event, &mut found) {
            Some(Kind::Object) => self.event(&mut found).map(Event::into_owned),
            Some(Kind::Array | Kind::Scalar) => Err(Reject::NotAnObject),
            None => Err(Reject::NotJson),
        }
    }

    fn event<'a>(&'a self, found: &mut Found<'a>) -> Result<Event<'a>, Reject> {
        let kol = found
            .usernames()
            .map(|name| creator(name, self.case))
            .find(|name| !name.is_empty())
            .ok_or(Reject::NoUsername)?;
        let platform = found
            .platforms()
            .map(platform)
            .find(|name| !name.is_empty())
            .unwrap_or(Cow::Borrowed(&self.default_platform));
        let platform = with_separator_refused(platform)?;
        let video_id = found.video_id();
        check_lengths(&kol, &platform, video_id.as_deref())?;
        let made = || made_at(&platform, video_id.as_deref()?);
        let (event_time, time_unreadable) = found.event_time();
        let [likes, comments, shares, views, followers] = found.counters();
        Ok(Event {
            event_time,
            time_unreadable,
            published: found.published_at().or_else(made),
            likes,
            comments,
            shares,
            views,
            followers,
            platform,
            kol,
            video_id,
        })
    }
}

/// A platform, unless its name has what separates platforms and creators in keys.
fn with_separator_refused(platform: Cow<'_, str>) -> Result<Cow<'_, str>, Reject> {
    if platform.contains(':') {
        return Err(Reject::PlatformColon);
    }
    Ok(platform)
}

/// Whether names and ids have bytes as real ones have.
#[inline]
fn check_lengths(kol: &str, platform: &str, video_id: Option<&str>) -> Result<(), Reject> {
    let video_length = video_id.map_or(0, str::len);
    if kol.len() > MAX_ID || video_length > MAX_ID || platform.len() > MAX_PLATFORM {
        return Err(Reject::IdTooLong);
    }
    Ok(())
}

fn take_apart<'t>(
    text: &'t str,
    kind: Kind,
    path: &FieldPath,
    mut element: impl FnMut(&'t str),
) -> Result<(), Reject> {
    let array = match kind {
        Kind::Array => Some(text),
        Kind::Object => part(text, path),
        Kind::Scalar => return Err(Reject::NotAnObject),
    };
    let Some(array) = array else {
        element(text);
        return Ok(());
    };
    for part in super::explode::elements(array) {
        element(part.ok_or(Reject::NotJson)?);
    }
    Ok(())
}

/// The text of a value, without a byte order mark.
fn text_of(value: &[u8]) -> Result<&str, Reject> {
    if value.len() > MAX_VALUE {
        return Err(Reject::TooLarge);
    }
    simdutf8::basic::from_utf8(without_mark(value)).map_err(|_| Reject::InvalidUtf8)
}

fn without_mark(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\xef\xbb\xbf").unwrap_or(value)
}

/// TikTok's ids of 19 digits carry the time of creation: their upper 32 bits are Unix seconds.
#[inline]
fn made_at(platform: &str, video_id: &str) -> Option<Millis> {
    let digits = video_id.as_bytes().try_into().ok()?;
    if platform != "tiktok" {
        return None;
    }
    Some(Millis((digits::all_of(digits)? >> 32) * 1_000))
}
