//! Several events in one record.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sonic_rs::{JsonValueTrait as _, PointerNode};

use super::fields::{FieldPath, Step};

/// How a record holds several events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Explode {
    /// One a line.
    Lines,
    /// In the array that stands at this path (`items`), or is the record itself. A record without that
    /// array is one event.
    Items(FieldPath),
}

const LINES: &str = "lines";

impl FromStr for Explode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == LINES {
            return Ok(Self::Lines);
        }
        let path: Result<FieldPath, _> = text.parse();
        path.map(Self::Items)
            .map_err(|e| format!("write \"lines\", \"items\" or the path of another array: {e}"))
    }
}

impl TryFrom<String> for Explode {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Explode> for String {
    fn from(explode: Explode) -> Self {
        explode.to_string()
    }
}

impl fmt::Display for Explode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines => f.write_str(LINES),
            Self::Items(path) => f.write_str(path.as_str()),
        }
    }
}

/// The lines of a value that are not blank.
pub fn lines(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    let lines = std::iter::from_fn(move || {
        let all = rest?;
        let end = memchr::memchr(b'\n', all);
        rest = end.map(|end| &all[end + 1..]);
        Some(&all[..end.unwrap_or(all.len())])
    });
    lines
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
}

/// The array at a path of an object, as text; `None` where there is no array. `text` is JSON.
pub fn part<'t>(text: &'t str, path: &FieldPath) -> Option<&'t str> {
    let steps = path.steps().iter().map(|step| match step {
        Step::Key(key) => PointerNode::Key(key.to_string().into()),
        Step::Item(number) => PointerNode::Index(*number as usize),
    });
    let value = sonic_rs::get(text, steps.collect::<Vec<_>>()).ok()?;
    value.is_array().then(|| borrowed(value.as_raw_cow()))?
}

/// The elements of an array, as text; `None` in place of one that is not JSON.
pub fn elements(array: &str) -> impl Iterator<Item = Option<&str>> {
    sonic_rs::to_array_iter(array).map(|value| borrowed(value.ok()?.as_raw_cow()))
}

/// What was parsed from borrowed text is borrowed.
fn borrowed(text: Cow<'_, str>) -> Option<&str> {
    match text {
        Cow::Borrowed(text) => Some(text),
        Cow::Owned(_) => None,
    }
}
