//! Which names in a record mean which field: the default names, those of a ready shape, or those of
//! `[source.fields]`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is read of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The creator's name; without it a record cannot be used.
    Username,
    /// The platform; a record may leave it to the default.
    Platform,
    /// The video; none for a reading of the profile.
    VideoId,
    /// When it was read.
    EventTime,
    /// When the video was made.
    PublishedAt,
    /// Counter of likes: a total of the video or new ones, as `scoring.counters` says.
    Likes,
    /// Counter of comments, like `Likes`.
    Comments,
    /// Counter of shares, like `Likes`.
    Shares,
    /// Counter of views, like `Likes`; not part of the engagement.
    Views,
    /// See `Likes`; of the profile.
    Followers,
}

/// Most paths of one field.
pub const MAX_ALTERNATIVES: usize = 8;
/// Most steps of a path.
const MAX_STEPS: usize = 16;

impl Field {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Username,
        Self::Platform,
        Self::VideoId,
        Self::EventTime,
        Self::PublishedAt,
        Self::Likes,
        Self::Comments,
        Self::Shares,
        Self::Views,
        Self::Followers,
    ];
    /// The counters among them.
    pub const COUNTERS: [Self; 5] = [
        Self::Likes,
        Self::Comments,
        Self::Shares,
        Self::Views,
        Self::Followers,
    ];

    /// Its key in `[source.fields]`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Platform => "platform",
            Self::VideoId => "video_id",
            Self::EventTime => "event_time",
            Self::PublishedAt => "published_at",
            Self::Likes => "likes",
            Self::Comments => "comments",
            Self::Shares => "shares",
            Self::Views => "views",
            Self::Followers => "followers",
        }
    }

    /// Where it is looked for unless a spec says otherwise, the plain names before the raw ones.
    pub fn default_paths(self) -> &'static [&'static str] {
        match self {
            Self::Username => &["username"],
            Self::Platform => &["platform"],
            Self::VideoId => &["video_id"],
            Self::EventTime => &["event_time"],
            Self::PublishedAt => &["published_at"],
            Self::Likes => &[
                "like_count",
                "video_likes",
                "like_count_raw",
                "video_likes_raw",
            ],
            Self::Comments => &[
                "comment_count",
                "video_comments",
                "comment_count_raw",
                "video_comments_raw",
            ],
            Self::Shares => &[
                "share_count",
                "video_shares",
                "share_count_raw",
                "video_shares_raw",
            ],
            Self::Views => &[
                "view_count",
                "video_views",
                "view_count_raw",
                "video_views_raw",
            ],
            Self::Followers => &[
                "followers_count",
                "followers",
                "followers_count_raw",
                "followers_raw",
            ],
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a field stands: `stats.diggCount`, `items[0].id`; with `$.` before it counted from the
/// record as a whole, also where the record is exploded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPath {
    text: String,
    steps: Vec<Step>,
    of_record: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(Box<str>),
    Item(u32),
}

impl FieldPath {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it counts from the record as a whole (`$.`).
    pub fn is_of_record(&self) -> bool {
        self.of_record
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` is not a path like stats.diggCount or items[0].id: {why}")
        };
        let of_record = text.starts_with("$.") || text.starts_with("$[");
        let mut steps = Vec::new();
        let path = text.strip_prefix('$').filter(|_| of_record).unwrap_or(text);
        let path = path.strip_prefix('.').filter(|_| of_record).unwrap_or(path);
        for (number, part) in path.split('.').enumerate() {
            let (key, items) = part.split_at(part.find('[').unwrap_or(part.len()));
            if key.contains(']') {
                return Err(wrong("a `]` without its `[`"));
            }
            if !key.is_empty() {
                steps.push(Step::Key(key.into()));
            } else if items.is_empty() || number > 0 {
                return Err(wrong("a name is missing"));
            }
            let mut rest = items;
            while !rest.is_empty() {
                let item = rest.strip_prefix('[').and_then(|r| r.split_once(']'));
                let (digits, after) = item.ok_or_else(|| wrong("write [0], [1], …"))?;
                let number = digits.parse().map_err(|_| wrong("write [0], [1], …"))?;
                steps.push(Step::Item(number));
                rest = after;
            }
        }
        if steps.len() > MAX_STEPS {
            return Err(wrong("it has too many steps"));
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
            of_record,
        })
    }
}

impl TryFrom<String> for FieldPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.text
    }
}

/// The paths of each field that a spec names; the others keep theirs.
pub type FieldPaths = BTreeMap<Field, Vec<FieldPath>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_nonsense_is_refused_with_its_reason() {
        for text in [
            "a",
            "stats.diggCount",
            "items[0].id",
            "a[1][2].b",
            "[0].id",
            "$.at",
            "$[0].a",
        ] {
            let path: FieldPath = text.parse().unwrap();
            assert_eq!(path.as_str(), text);
            assert_eq!(path.is_of_record(), text.starts_with('$'), "{text}");
        }
        assert!(!"$price".parse::<FieldPath>().unwrap().is_of_record());
        for text in [
            "", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a]", "a[0]b", "a.[0]", "$.",
        ] {
            let error = text.parse::<FieldPath>().unwrap_err();
            assert!(error.contains("is not a path"), "{text}: {error}");
        }
    }
}
