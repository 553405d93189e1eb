//! One field at one place of a value, for people who look for the right names. Not for the hot path.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::fields::{Field, FieldPath};
use super::plan::{Leaf, Plan};
use super::repair::without_infinities;
use super::scan::{Found, scan};

/// A JSON text as decoders read it: of the same length, with nothing in place of numbers that are no JSON;
/// `None` where it is no JSON.
pub fn readable(text: &str) -> Option<Cow<'_, str>> {
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    if is_json(text) {
        return Some(Cow::Borrowed(text));
    }
    let mended = without_infinities(text)?;
    is_json(&mended).then_some(Cow::Owned(mended))
}

/// What a field reads at a path of a JSON value, as text; `None` where it is missing there.
pub fn read_at(value: &str, field: Field, path: &FieldPath) -> Option<String> {
    let plan = Plan::new([(Leaf { field, rank: 0 }, path)]);
    let mut found = Found::default();
    if scan(value, &plan, &mut found).is_some() {
        return shown(field, found);
    }
    let mended = without_infinities(value)?;
    let mut found = Found::default();
    scan(&mended, &plan, &mut found)?;
    shown(field, found)
}

fn shown(field: Field, mut found: Found<'_>) -> Option<String> {
    let [likes, comments, shares, views, followers] = found.counters();
    let counter = |value: Option<u64>| value.map(|number| number.to_string());
    match field {
        Field::Username => {
            let mut names = found.usernames();
            names.find(|name| !name.trim().is_empty()).map(Into::into)
        }
        Field::Platform => {
            let mut names = found.platforms();
            names.find(|name| !name.trim().is_empty()).map(Into::into)
        }
        Field::VideoId => found.video_id().map(Into::into),
        Field::EventTime => found.event_time().0.map(|time| time.iso()),
        Field::PublishedAt => found.published_at().map(|time| time.iso()),
        Field::Likes => counter(likes),
        Field::Comments => counter(comments),
        Field::Shares => counter(shares),
        Field::Views => counter(views),
        Field::Followers => counter(followers),
    }
}
