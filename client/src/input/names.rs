//! Which names of a record may mean which field. A guess is only made where the decoder can read the
//! field there.

use kol_common::event::{Field, FieldPath, read_at, readable};
use serde_json::Value;

use crate::print::is_invisible;

/// Most values of one record that are looked at.
const MAX_LEAVES: usize = 1_000;
/// Longest name, bytes, and deepest place, steps, that are looked at.
const MAX_NAME: usize = 64;
const MAX_STEPS: usize = 8;
/// Most places at which a field is tried to be read: each reads the whole record.
const MAX_TRIED: usize = 8;

/// A place where a field can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where in the record it stands.
    pub path: FieldPath,
    /// What is read there.
    pub value: String,
}

/// Names by which crawlers and platforms call a field, the most telling first; letters and digits
/// only, in lower case. A name of two words also stands for a path: `authorname` for `author.name`.
fn known(field: Field) -> &'static [&'static str] {
    match field {
        Field::Username => &[
            "username",
            "uniqueid",
            "ownerusername",
            "authormetaname",
            "authoruniqueid",
            "authorusername",
            "authorname",
            "screenname",
            "userscreenname",
            "userhandle",
            "handle",
            "channelname",
            "channeltitle",
            "channelid",
            "uploaderid",
            "uploader",
            "creatorname",
            "creator",
            "ownername",
            "username",
            "nickname",
            "author",
            "account",
        ],
        Field::Platform => &["platform", "network", "site"],
        Field::VideoId => &[
            "videoid",
            "awemeid",
            "itemid",
            "postid",
            "mediaid",
            "id",
            "shortcode",
            "pk",
        ],
        Field::EventTime => &[
            "eventtime",
            "scrapedat",
            "crawledat",
            "fetchedat",
            "collectedat",
            "retrievedat",
            "observedat",
            "capturedat",
            "readat",
            "snapshotat",
            "scrapetime",
            "crawltime",
        ],
        Field::PublishedAt => &[
            "publishedat",
            "createtimeiso",
            "createtime",
            "createdat",
            "takenat",
            "takenattimestamp",
            "publishtime",
            "publishdate",
            "postedat",
            "timestamp",
        ],
        Field::Likes => &[
            "likecount",
            "likescount",
            "diggcount",
            "likes",
            "videolikes",
            "heartcount",
            "hearts",
            "favoritecount",
            "reactioncount",
            "likecountraw",
            "videolikesraw",
        ],
        Field::Comments => &[
            "commentcount",
            "commentscount",
            "comments",
            "videocomments",
            "replycount",
            "replies",
            "commentcountraw",
            "videocommentsraw",
        ],
        Field::Shares => &[
            "sharecount",
            "sharescount",
            "shares",
            "videoshares",
            "repostcount",
            "reposts",
            "retweetcount",
            "forwardcount",
            "sharecountraw",
            "videosharesraw",
        ],
        Field::Views => &[
            "viewcount",
            "viewscount",
            "playcount",
            "videoviewcount",
            "videoplaycount",
            "views",
            "plays",
            "videoviews",
            "viewcountraw",
            "videoviewsraw",
        ],
        Field::Followers => &[
            "followerscount",
            "followercount",
            "followers",
            "fans",
            "fanscount",
            "subscribercount",
            "channelfollowercount",
            "followersraw",
            "followerscountraw",
        ],
    }
}

/// The likeliest place of a value where a field may be meant and can be read.
pub fn candidate(text: &str, leaves: &[Leaf], field: Field) -> Option<Candidate> {
    let rank = |leaf: &Leaf| {
        let is = |name: &&str| *name == leaf.last || leaf.two.as_deref() == Some(name);
        known(field).iter().position(is)
    };
    let ranked = leaves.iter().filter_map(|leaf| Some((rank(leaf)?, leaf)));
    // Of two images of a row the one before the change is not meant.
    let mut ranked: Vec<_> = ranked
        .map(|(rank, leaf)| (rank, leaf.is_old, leaf.steps, &leaf.path))
        .collect();
    ranked.sort();
    ranked.truncate(MAX_TRIED);
    ranked.into_iter().find_map(|(.., path)| {
        let path: FieldPath = path.parse().ok()?;
        let value = read_at(text, field, &path)?;
        Some(Candidate { path, value })
    })
}

/// A single value in a record, of which only the name is looked at.
#[derive(Clone, Debug)]
pub struct Leaf {
    path: String,
    steps: usize,
    /// Its name, and its name behind that of what it is in; plain.
    last: String,
    two: Option<String>,
    is_old: bool,
}

impl Leaf {
    fn at(steps: &[String]) -> Self {
        let last = steps.last().map(|step| plain(step)).unwrap_or_default();
        let around = steps.len().checked_sub(2).map(|at| plain(&steps[at]));
        Self {
            path: steps.join("."),
            steps: steps.len(),
            two: around.map(|around| around + &last),
            last,
            is_old: steps.iter().any(|step| plain(step) == "before"),
        }
    }
}

/// All single values of an object whose names may mean something; of an array the first element. Records are
/// input: names that are long, deep or many are passed over.
pub fn leaves(text: &str) -> Vec<Leaf> {
    let mut all = Vec::new();
    let readable = readable(text).unwrap_or_default();
    if let Ok(value) = serde_json::from_str::<Value>(&readable) {
        collect(&value, &mut Vec::new(), &mut all);
    }
    all
}

fn collect(value: &Value, steps: &mut Vec<String>, all: &mut Vec<Leaf>) {
    if all.len() >= MAX_LEAVES || steps.len() > MAX_STEPS {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if is_name(key) {
                    steps.push(key.clone());
                    collect(value, steps, all);
                    steps.pop();
                }
            }
        }
        Value::Array(items) => {
            if let (Some(first), false) = (items.first(), steps.is_empty()) {
                let last = steps.len() - 1;
                steps[last].push_str("[0]");
                collect(first, steps, all);
                let length = steps[last].len() - "[0]".len();
                steps[last].truncate(length);
            }
        }
        _ if steps.is_empty() => {}
        _ => all.push(Leaf::at(steps)),
    }
}

/// Whether a key can stand in a path, and be one that a person gave.
fn is_name(key: &str) -> bool {
    let is_odd = |c: char| matches!(c, '.' | '[' | ']' | '"' | '\\') || is_invisible(c);
    (1..=MAX_NAME).contains(&key.len()) && !key.contains(is_odd)
}

/// Letters and digits, in lower case.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn first(text: &str, field: Field) -> Option<String> {
        let found = candidate(text, &leaves(text), field);
        found.map(|c| c.path.as_str().to_owned())
    }

    #[test]
    fn names_of_crawlers_are_found_where_the_decoder_can_read_them() {
        let text = r#"{"authorMeta":{"name":"mia","fans":12,"id":"9"},"id":"7","diggCount":"1.2K",
            "likes":"many","hashtags":[{"name":"x"}],"createTimeISO":"2026-11-20T00:00:00Z"}"#;
        let found = |field| first(text, field);
        assert_eq!(found(Field::Username).as_deref(), Some("authorMeta.name"));
        assert_eq!(found(Field::VideoId).as_deref(), Some("id"));
        assert_eq!(
            found(Field::Likes).as_deref(),
            Some("diggCount"),
            "`likes` is no number"
        );
        assert_eq!(found(Field::Followers).as_deref(), Some("authorMeta.fans"));
        assert_eq!(found(Field::PublishedAt).as_deref(), Some("createTimeISO"));
        assert_eq!(found(Field::Shares), None);
    }

    #[test]
    fn an_envelope_is_looked_into_and_the_image_after_the_change_is_meant() {
        let text = r#"{"replies":3,"retweets":4}"#;
        assert_eq!(first(text, Field::Comments).as_deref(), Some("replies"));
        let text = r#"{"payload":{"before":{"user_name":"a"},"after":{"user_name":"a"}}}"#;
        let found = first(text, Field::Username);
        assert_eq!(found.as_deref(), Some("payload.after.user_name"));
    }

    #[test]
    fn arrays_are_looked_into_at_their_first_element() {
        let text = r#"{"items":[{"stats":{"likeCount":"5"}}]}"#;
        assert_eq!(
            first(text, Field::Likes).as_deref(),
            Some("items[0].stats.likeCount")
        );
    }

    #[test]
    fn a_number_that_is_no_json_hides_no_names() {
        let text = r#"{"score":NaN,"ownerUsername":"mia"}"#;
        let found = first(text, Field::Username);
        assert_eq!(found.as_deref(), Some("ownerUsername"));
    }

    #[test]
    fn names_that_are_many_long_deep_or_odd_cost_little_and_hide_no_others() {
        let many: String = (0..25_000)
            .map(|n| format!(r#","x{n}":{{"likesCount":"1.2.3"}}"#))
            .collect();
        let long = "likesCount".repeat(50_000);
        let deep = r#"{"a":"#.repeat(100);
        let begun = Instant::now();
        for other in [
            many,
            format!(r#","{long}":5"#),
            format!(r#","d":{deep}1{}"#, "}".repeat(100)),
            ",\"likes\\u001b[31m\":5,\"likes\\\"]\\nx\":6,\"likes\\u202e\":7".to_owned(),
        ] {
            let text = format!(r#"{{"ownerUsername":"mia"{other}}}"#);
            assert!(text.len() < 1 << 20, "{}", text.len());
            let leaves = leaves(&text);
            assert!(leaves.len() <= MAX_LEAVES);
            let length = leaves.iter().map(|leaf| leaf.path.len()).sum::<usize>();
            assert!(length <= MAX_LEAVES * 2 * MAX_NAME, "{length}");
            assert_eq!(first(&text, Field::Likes), None);
            let found = first(&text, Field::Username);
            assert_eq!(found.as_deref(), Some("ownerUsername"));
        }
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}
