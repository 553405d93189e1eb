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
    /// One.
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

/// The documents of a record; `None` when one of them is not JSON.
pub fn documents(text: &str, input: &Input) -> Option<Vec<Json>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if input.explode == Explode::Lines {
        let lines = text.split('\n').filter(|line| !line.trim().is_empty());
        let documents: Vec<_> = lines.map(parse).collect::<Option<_>>()?;
        return (!documents.is_empty()).then_some(documents);
    }
    Some(vec![parse(text)?])
}

/// The events of a record's documents; `None` when one of them is not an object.
pub fn parts<'j>(documents: &'j [Json], input: &'j Input) -> Option<Vec<Part<'j>>> {
    let mut events = Vec::new();
    for whole in documents {
        let array = match &input.explode {
            Explode::Path(path) if matches!(whole, Json::Object(_)) => at(whole, path),
            Explode::Path(_) => Some(whole),
            Explode::No | Explode::Lines => None,
        };
        match array {
            Some(Json::List(items)) => events.extend(items),
            _ => events.push(whole),
        }
    }
    let objects = events.iter().all(|event| matches!(event, Json::Object(_)));
    let parts = events.into_iter().map(|event| Part { input, event });
    objects.then(|| parts.collect())
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
        let count = |explode: Explode, text: &str| {
            let input = Input {
                explode,
                ..Input::default()
            };
            let documents = documents(text, &input)?;
            Some(parts(&documents, &input)?.len())
        };
        let path = || Explode::Path("data.items".into());
        assert_eq!(count(Explode::No, "{}"), Some(1));
        assert_eq!(count(Explode::No, "[{}]"), None);
        assert_eq!(count(Explode::No, "{}\n{}"), None);
        assert_eq!(count(Explode::Lines, "\u{feff}{}\r\n\n {} \n"), Some(2));
        assert_eq!(count(Explode::Lines, "{}\n{"), None);
        assert_eq!(count(Explode::Lines, "{}\n[]"), None);
        assert_eq!(count(path(), r#"{"data":{"items":[{},{},{}]}}"#), Some(3));
        assert_eq!(count(path(), "[{},{}]"), Some(2));
        assert_eq!(count(path(), r#"{"data":{"items":[]}}"#), Some(0));
        assert_eq!(count(path(), r#"{"data":{"items":[{},7]}}"#), None);
        assert_eq!(count(path(), r#"{"data":{}}"#), Some(1));
        assert_eq!(count(path(), r#"{"data":{"items":{}}}"#), Some(1));
        assert_eq!(count(path(), "7"), None);
        assert_eq!(count(Explode::Lines, " \n\n"), None);
    }
}
