//! Where the parts of an event lie in a record.

use std::collections::BTreeMap;

use super::json::{Json, parse};

/// How records are read: what `[source]` says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// An event further ahead of the present is rejected. Milliseconds.
    pub max_ahead_ms: u64,
    /// Names of creators are folded to lower case.
    pub lower_case: bool,
    /// Paths of the fields that are not where they usually are, by name; the first that can be read counts.
    pub fields: BTreeMap<String, Vec<String>>,
    /// Whether a record holds several events.
    pub explode: Explode,
}

/// Events in a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Explode {
    /// A record is one event.
    #[default]
    No,
    /// One in each line.
    Lines,
    /// The elements of the array at this path, or of the record when that is an array; the record itself when
    /// it has no array there.
    Path(String),
}

impl Default for Input {
    fn default() -> Self {
        Self {
            max_ahead_ms: 600_000,
            lower_case: false,
            fields: BTreeMap::new(),
            explode: Explode::No,
        }
    }
}

/// One event of a record.
#[derive(Clone, Copy, Debug)]
pub struct Part<'j> {
    input: &'j Input,
    event: &'j Json,
}

impl<'j> Part<'j> {
    /// What `read` makes of the first path of `name` that it can read.
    pub fn find<T>(&self, name: &str, read: impl Fn(&Json) -> Option<T>) -> Option<T> {
        let own = self.input.fields.get(name).cloned();
        let paths = own.unwrap_or_else(|| usual(name).map(str::to_owned).collect());
        let found = paths.iter().filter_map(|path| at(self.event, path));
        found.filter(|value| **value != Json::Null).find_map(read)
    }
}

/// Where fields usually lie.
fn usual(name: &str) -> impl Iterator<Item = &'static str> + use<> {
    let paths: &'static [&'static str] = match name {
        "username" => &["username"],
        "platform" => &["platform"],
        "video_id" => &["video_id"],
        "event_time" => &["event_time"],
        "published_at" => &["published_at"],
        "likes" => &[
            "like_count",
            "video_likes",
            "like_count_raw",
            "video_likes_raw",
        ],
        "comments" => &[
            "comment_count",
            "video_comments",
            "comment_count_raw",
            "video_comments_raw",
        ],
        "shares" => &[
            "share_count",
            "video_shares",
            "share_count_raw",
            "video_shares_raw",
        ],
        "followers" => &[
            "followers_count",
            "followers",
            "followers_count_raw",
            "followers_raw",
        ],
        _ => &[],
    };
    paths.iter().copied()
}

/// The value at a path such as `items[0].stats.likes`.
fn at<'j>(root: &'j Json, path: &str) -> Option<&'j Json> {
    let mut value = root;
    for step in path.split('.') {
        let (name, indexes) = step.split_once('[').unwrap_or((step, ""));
        if !name.is_empty() {
            value = value.get(name)?;
        }
        for index in indexes.split('[').filter(|index| !index.is_empty()) {
            let Json::List(items) = value else {
                return None;
            };
            value = items.get(index.strip_suffix(']')?.parse::<usize>().ok()?)?;
        }
    }
    Some(value)
}

/// The documents of a record; `None` in place of one that is not JSON.
pub fn documents(value: &[u8], input: &Input) -> Vec<Option<Json>> {
    let value = value.strip_prefix("\u{feff}".as_bytes()).unwrap_or(value);
    let document = |bytes: &[u8]| parse(std::str::from_utf8(bytes).ok()?);
    if input.explode != Explode::Lines {
        return vec![document(value)];
    }
    let lines = value.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    let documents: Vec<_> = lines.map(document).collect();
    if documents.is_empty() {
        return vec![None];
    }
    documents
}

/// The events of a document; `None` in place of one that is not an object.
pub fn parts<'j>(whole: &'j Json, input: &'j Input) -> Vec<Option<Part<'j>>> {
    let array = match &input.explode {
        Explode::Path(path) if matches!(whole, Json::Object(_)) => at(whole, path),
        Explode::Path(_) => Some(whole),
        Explode::No | Explode::Lines => None,
    };
    let events = match array {
        Some(Json::List(items)) => items.iter().collect(),
        _ => vec![whole],
    };
    let part = |event| matches!(event, &Json::Object(_)).then_some(Part { input, event });
    events.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_through_objects_and_arrays() {
        let json = parse(r#"{"a":{"b":[{"c":1},[2,3]]},"":{"d":4},"e.f":5}"#).unwrap();
        let number = |path: &str| match at(&json, path) {
            Some(Json::Number(digits)) => Some(digits.as_str()),
            _ => None,
        };
        assert_eq!(number("a.b[0].c"), Some("1"));
        assert_eq!(number("a.b[1][0]"), Some("2"));
        for nowhere in [
            "a.b[2]", "a.b[-1]", "a.b[0]c", "a.b.c", "a.b[x]", "e.f", "a.c.d",
        ] {
            assert_eq!(number(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn a_record_holds_one_event_or_several() {
        // Which of them can be used.
        let usable = |explode: Explode, text: &str| -> Vec<bool> {
            let input = Input {
                explode,
                ..Input::default()
            };
            let documents = documents(text.as_bytes(), &input);
            let parts = documents.iter().flat_map(|document| match document {
                Some(document) => parts(document, &input),
                None => vec![None],
            });
            parts.map(|part| part.is_some()).collect()
        };
        let path = || Explode::Path("data.items".into());
        assert_eq!(usable(Explode::No, "{}"), [true]);
        assert_eq!(usable(Explode::No, "[{}]"), [false]);
        assert_eq!(usable(Explode::No, "{}\n{}"), [false]);
        let three = "\u{feff}{}\r\n\n {} \n";
        assert_eq!(usable(Explode::Lines, three), [true, true]);
        assert_eq!(usable(Explode::Lines, "{}\n{\n{}"), [true, false, true]);
        assert_eq!(usable(Explode::Lines, "{}\n[]"), [true, false]);
        assert_eq!(usable(Explode::Lines, " \n\n"), [false]);
        assert_eq!(
            usable(path(), r#"{"data":{"items":[{},{},{}]}}"#),
            [true; 3]
        );
        assert_eq!(usable(path(), "[{},{}]"), [true, true]);
        assert!(usable(path(), r#"{"data":{"items":[]}}"#).is_empty());
        assert_eq!(
            usable(path(), r#"{"data":{"items":[{},7]}}"#),
            [true, false]
        );
        assert_eq!(usable(path(), r#"{"data":{}}"#), [true]);
        assert_eq!(usable(path(), r#"{"data":{"items":{}}}"#), [true]);
        assert_eq!(usable(path(), "7"), [false]);
    }
}
