//! From a record value to an event: one pass over the JSON object, without a tree.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::number::{read_counter_float, read_counter_text};
use super::{Event, MAX_COUNTER, MAX_ID, MAX_PLATFORM, MAX_VALUE, Reject, parse_time};
use crate::Millis;

/// Decodes record values. Cheap to clone; holds what a job fixes for all its events.
#[derive(Clone, Debug)]
pub struct Decoder {
    default_platform: Box<str>,
}

/// Deepest nesting of a value that is looked at.
const MAX_DEPTH: usize = 127;
/// Names of one counter, the plain before the raw; the first readable one counts.
const COUNTER_NAMES: usize = 4;

/// What one pass over the object found. A key that stands twice counts as it stands last.
#[derive(Default)]
struct Found<'a> {
    username: Option<Cow<'a, str>>,
    platform: Option<Cow<'a, str>>,
    video_id: Option<Cow<'a, str>>,
    event_time: Option<Millis>,
    published_at: Option<Millis>,
    likes: [Option<u64>; COUNTER_NAMES],
    comments: [Option<u64>; COUNTER_NAMES],
    shares: [Option<u64>; COUNTER_NAMES],
    views: [Option<u64>; COUNTER_NAMES],
    followers: [Option<u64>; COUNTER_NAMES],
}

impl Decoder {
    /// For a job whose events without a platform belong to `default_platform`.
    pub fn new(default_platform: &str) -> Self {
        Self {
            default_platform: default_platform.into(),
        }
    }

    /// Decodes one record value.
    ///
    /// # Errors
    /// Why the record cannot be used.
    pub fn decode<'a>(&'a self, value: Option<&'a [u8]>) -> Result<Event<'a>, Reject> {
        let value = value.ok_or(Reject::Tombstone)?;
        if value.len() > MAX_VALUE {
            return Err(Reject::TooLarge);
        }
        let text = std::str::from_utf8(value).map_err(|_| Reject::InvalidUtf8)?;
        if is_too_deep(value) {
            return Err(Reject::NotJson);
        }
        let mut json = sonic_rs::Deserializer::from_str(text);
        let outcome = json.deserialize_any(ObjectVisitor);
        let found = match outcome {
            Ok(Some(found)) if json.end().is_ok() => found,
            Ok(None) if json.end().is_ok() => return Err(Reject::NotAnObject),
            _ => return Err(Reject::NotJson),
        };
        self.event(found)
    }

    fn event<'a>(&'a self, found: Found<'a>) -> Result<Event<'a>, Reject> {
        let kol = found.username.map(creator).ok_or(Reject::NoUsername)?;
        if kol.is_empty() {
            return Err(Reject::NoUsername);
        }
        let platform = match found.platform {
            Some(name) if !name.is_empty() => lower(name),
            _ => Cow::Borrowed(&*self.default_platform),
        };
        let video_id = found.video_id.filter(|id| !id.is_empty());
        let video_length = video_id.as_ref().map_or(0, |id| id.len());
        if kol.len() > MAX_ID || video_length > MAX_ID || platform.len() > MAX_PLATFORM {
            return Err(Reject::IdTooLong);
        }
        let made = || made_at(&platform, video_id.as_deref()?);
        let first = |names: [Option<u64>; COUNTER_NAMES]| names.into_iter().flatten().next();
        Ok(Event {
            event_time: found.event_time,
            published: found.published_at.or_else(made),
            likes: first(found.likes),
            comments: first(found.comments),
            shares: first(found.shares),
            views: first(found.views),
            followers: first(found.followers),
            platform,
            kol,
            video_id,
        })
    }
}

/// Whether brackets nest deeper than [`MAX_DEPTH`]: parsers recurse into them. Nearly every value has
/// fewer brackets than that altogether, which is quickly counted.
fn is_too_deep(value: &[u8]) -> bool {
    let opening = value.iter().filter(|b| matches!(b, b'{' | b'[')).count();
    if opening <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in value {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// TikTok's ids of 19 digits carry the time of creation: their upper 32 bits are Unix seconds.
fn made_at(platform: &str, video_id: &str) -> Option<Millis> {
    if platform != "tiktok" || video_id.len() != 19 {
        return None;
    }
    if !video_id.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = video_id.parse().ok()?;
    Some(Millis((number >> 32) * 1_000))
}

fn creator(name: Cow<'_, str>) -> Cow<'_, str> {
    fn strip(name: &str) -> &str {
        let name = name.trim();
        name.strip_prefix('@').unwrap_or(name)
    }
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(strip(name)),
        Cow::Owned(name) => Cow::Owned(strip(&name).to_owned()),
    }
}

fn lower(name: Cow<'_, str>) -> Cow<'_, str> {
    let is_lower = name
        .bytes()
        .all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if is_lower {
        name
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

/// Which field a key names.
enum Key {
    Username,
    Platform,
    VideoId,
    EventTime,
    PublishedAt,
    Likes(usize),
    Comments(usize),
    Shares(usize),
    Views(usize),
    Followers(usize),
    Unknown,
}

impl Key {
    fn of(name: &str) -> Self {
        match name {
            "username" => Self::Username,
            "platform" => Self::Platform,
            "video_id" => Self::VideoId,
            "event_time" => Self::EventTime,
            "published_at" => Self::PublishedAt,
            "like_count" => Self::Likes(0),
            "video_likes" => Self::Likes(1),
            "like_count_raw" => Self::Likes(2),
            "video_likes_raw" => Self::Likes(3),
            "comment_count" => Self::Comments(0),
            "video_comments" => Self::Comments(1),
            "comment_count_raw" => Self::Comments(2),
            "video_comments_raw" => Self::Comments(3),
            "share_count" => Self::Shares(0),
            "video_shares" => Self::Shares(1),
            "share_count_raw" => Self::Shares(2),
            "video_shares_raw" => Self::Shares(3),
            "view_count" => Self::Views(0),
            "video_views" => Self::Views(1),
            "view_count_raw" => Self::Views(2),
            "video_views_raw" => Self::Views(3),
            "followers_count" => Self::Followers(0),
            "followers" => Self::Followers(1),
            "followers_count_raw" => Self::Followers(2),
            "followers_raw" => Self::Followers(3),
            _ => Self::Unknown,
        }
    }
}

impl<'a> Found<'a> {
    fn set(&mut self, key: &Key, value: Scalar<'a>) {
        match key {
            Key::Username => self.username = value.id(),
            Key::VideoId => self.video_id = value.id(),
            Key::Platform => self.platform = value.text(),
            Key::EventTime => self.event_time = value.time(),
            Key::PublishedAt => self.published_at = value.time(),
            Key::Likes(i) => self.likes[*i] = value.counter(),
            Key::Comments(i) => self.comments[*i] = value.counter(),
            Key::Shares(i) => self.shares[*i] = value.counter(),
            Key::Views(i) => self.views[*i] = value.counter(),
            Key::Followers(i) => self.followers[*i] = value.counter(),
            Key::Unknown => {}
        }
    }
}

/// A value as far as any field can use it.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Whole(u64),
    Negative(i64),
    Float(f64),
    /// null, a truth value, an array or an object.
    Other,
}

impl<'a> Scalar<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn id(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Whole(number) => Some(Cow::Owned(number.to_string())),
            Self::Negative(number) => Some(Cow::Owned(number.to_string())),
            Self::Float(_) | Self::Other => None,
        }
    }

    fn time(self) -> Option<Millis> {
        parse_time(&self.text()?)
    }

    fn counter(self) -> Option<u64> {
        match self {
            Self::Whole(number) => (number <= MAX_COUNTER).then_some(number),
            Self::Float(number) => read_counter_float(number),
            Self::Text(text) => read_counter_text(&text),
            Self::Negative(_) | Self::Other => None,
        }
    }
}

/// Reads the top-level value: `None` when it is JSON but not an object.
struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Option<Found<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Found::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            if matches!(key, Key::Unknown) {
                map.next_value::<IgnoredAny>()?;
            } else {
                found.set(&key, map.next_value_seed(ScalarSeed)?);
            }
        }
        Ok(Some(found))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct KeySeed;

impl<'de> serde::de::DeserializeSeed<'de> for KeySeed {
    type Value = Key;
    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Key, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(Key::of(name))
    }
}

struct ScalarSeed;

impl<'de> serde::de::DeserializeSeed<'de> for ScalarSeed {
    type Value = Scalar<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).map_or(Scalar::Negative(number), Scalar::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}
