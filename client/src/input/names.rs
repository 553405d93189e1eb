//! Which names of a record may mean which field. A guess is only made where the decoder can read the
//! field there.

use kol_common::event::{Field, FieldPath, read_at};
use serde_json::Value;

/// Most values of one record that are looked at.
const MAX_LEAVES: usize = 2_000;

/// A place where a field can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
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

/// All places of a value where a field may be meant and can be read, the likeliest first.
pub fn candidates(text: &str, leaves: &[Vec<String>], field: Field) -> Vec<Candidate> {
    let mut found: Vec<((usize, bool, usize), Candidate)> = Vec::new();
    for steps in leaves {
        let names: Vec<String> = steps.iter().map(|step| plain(step)).collect();
        let last = names.last().map_or("", String::as_str);
        let two = names.len().checked_sub(2).map(|at| names[at..].concat());
        let rank = known(field)
            .iter()
            .position(|name| *name == last || two.as_deref() == Some(name));
        let (Some(rank), Ok(path)) = (rank, joined(steps).parse::<FieldPath>()) else {
            continue;
        };
        if let Some(value) = read_at(text, field, &path) {
            // Of two images of a row the one before the change is not meant.
            let old = names.iter().any(|name| name == "before");
            found.push(((rank, old, steps.len()), Candidate { path, value }));
        }
    }
    found.sort_by(|a, b| (&a.0, &a.1.path).cmp(&(&b.0, &b.1.path)));
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The places of all single values of an object, as their steps; of an array the first element.
pub fn leaves(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        collect(&value, &mut Vec::new(), &mut all);
    }
    all
}

fn collect(value: &Value, steps: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    if all.len() >= MAX_LEAVES {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let is_plain = !key.is_empty() && !key.contains(['.', '[', ']']);
                if is_plain {
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
        _ => all.push(steps.clone()),
    }
}

fn joined(steps: &[String]) -> String {
    steps.join(".")
}

/// Letters and digits, in lower case.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str, field: Field) -> Option<String> {
        let found = candidates(text, &leaves(text), field);
        found.first().map(|c| c.path.as_str().to_owned())
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
}
