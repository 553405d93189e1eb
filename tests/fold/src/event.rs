//! From a record value to what the score needs of it.

use super::fields::{Input, Part, documents, parts};
use super::json::Json;
use super::name::{self, creator};
use super::number::counter;
use super::time::time;

const LARGEST_VALUE: usize = 1 << 20;
const LONGEST_ID: usize = 1024;
const LONGEST_WRITTEN: usize = 4096;
const LONGEST_PLATFORM: usize = 64;

/// One usable event. Times in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Platform in lower case.
    pub platform: String,
    /// Name of the creator.
    pub kol: String,
    /// `None`: an event about the profile.
    pub video: Option<String>,
    /// Its own time, when readable.
    pub time: Option<u64>,
    /// It has a time of its own that cannot be read.
    pub unreadable_time: bool,
    /// When the video was made, when known.
    pub created: Option<u64>,
    /// Likes, comments, shares; views are not counted.
    pub engagement: [Option<u64>; 3],
    /// Followers of the profile.
    pub followers: Option<u64>,
}

/// Decodes all events of a record value, in their order; `None` in place of one that is a dead letter. A value
/// that cannot be taken apart is one dead letter.
pub fn decode(value: Option<&[u8]>, default_platform: &str, input: &Input) -> Vec<Option<Decoded>> {
    let value = value.filter(|v| v.len() <= LARGEST_VALUE);
    let documents = value.map_or(vec![None], |value| documents(value, input));
    let parts = documents.iter().flat_map(|document| match document {
        Some(document) => parts(document, input),
        None => vec![None],
    });
    parts
        .map(|part| one(&part?, default_platform, input))
        .collect()
}

fn one(part: &Part<'_>, default_platform: &str, input: &Input) -> Option<Decoded> {
    let written = part.find("username", id)?;
    let kol = creator(&written, input.lower_case);
    let platform = part.find("platform", platform);
    let platform = platform.unwrap_or_else(|| default_platform.to_owned());
    let video = part.find("video_id", id);
    let video_length = video.as_ref().map_or(0, String::len);
    let fits = written.len() <= LONGEST_WRITTEN
        && kol.len() <= LONGEST_ID
        && video_length <= LONGEST_ID
        && platform.len() <= LONGEST_PLATFORM;
    if kol.is_empty() || platform.contains(':') || !fits {
        return None;
    }
    let own_time = part.find("event_time", time);
    let made = || made_at(&platform, video.as_deref()?);
    Some(Decoded {
        time: own_time,
        unreadable_time: own_time.is_none() && part.find("event_time", stated).is_some(),
        created: part.find("published_at", time).or_else(made),
        engagement: ["likes", "comments", "shares"].map(|name| part.find(name, counter)),
        followers: part.find("followers", counter),
        kol,
        platform,
        video,
    })
}

/// Whether there is a time at all, readable or not.
fn stated(value: &Json) -> Option<()> {
    let blank = matches!(value, Json::Text(text) if text.trim().is_empty());
    (!blank).then_some(())
}

/// A text that says something.
fn text(value: &Json) -> Option<String> {
    match value {
        Json::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// A platform whose name says something.
fn platform(value: &Json) -> Option<String> {
    let name = name::platform(&text(value)?);
    (!name.is_empty()).then_some(name)
}

/// A text, or the digits of an integer.
fn id(value: &Json) -> Option<String> {
    match value {
        Json::Number(n) if !n.contains(['.', 'e', 'E']) => Some(n.clone()),
        other => text(other),
    }
}

/// The upper half of a TikTok id counts seconds since the epoch.
fn made_at(platform: &str, video: &str) -> Option<u64> {
    let digits = video.len() == 19 && video.chars().all(|c| c.is_ascii_digit());
    if platform != "tiktok" || !digits {
        return None;
    }
    let number: u64 = video.parse().ok()?;
    Some((number >> 32) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::super::fields::Explode;
    use super::*;

    fn all(text: &str, input: &Input) -> Vec<Option<Decoded>> {
        decode(Some(text.as_bytes()), "tiktok", input)
    }

    fn read(json: &str) -> Option<Decoded> {
        let events = all(json, &Input::default());
        assert_eq!(events.len(), 1, "one event, or one dead letter");
        events[0].clone()
    }

    #[test]
    fn a_full_event_is_read() {
        let event = read(
            r#"{"event_time":"2025-06-23T16:03:29.5+07:00","username":" @An ","platform":"YouTube",
                "video_id":75,"like_count":null,"video_likes":3,"like_count_raw":"9K",
                "comment_count_raw":"7.4K","share_count_raw":"Share","followers":12}"#,
        )
        .unwrap();
        assert_eq!(event.kol, "An");
        assert_eq!(event.platform, "youtube");
        assert_eq!(event.video.as_deref(), Some("75"));
        assert_eq!(event.time, Some(1_750_669_409_500));
        assert_eq!(event.engagement, [Some(3), Some(7_400), Some(0)]);
        assert_eq!(event.followers, Some(12));
        assert_eq!(event.created, None);
    }

    #[test]
    fn a_platform_without_a_visible_letter_is_none() {
        for (written, platform) in [
            ("\u{200b}YouTube ", "youtube"),
            (" ", "tiktok"),
            ("\u{2060}", "tiktok"),
            ("@x", "@x"),
        ] {
            let event = read(&format!(r#"{{"username":"a","platform":"{written}"}}"#));
            assert_eq!(event.unwrap().platform, platform, "{written:?}");
        }
    }

    #[test]
    fn an_unreadable_time_is_noted_and_a_missing_one_is_not() {
        let event = |time: &str| {
            let event = read(&format!(r#"{{"username":"a","event_time":{time}}}"#)).unwrap();
            (event.time, event.unreadable_time)
        };
        assert_eq!(event(r#""1970-01-01T00:00:01""#), (Some(1_000), false));
        assert_eq!(event(r#""1969-12-31T23:59:59Z""#), (None, true));
        assert_eq!(event(r#""soon""#), (None, true));
        assert_eq!(event("null"), (None, false));
        assert_eq!(event("NaN"), (None, false));
        assert_eq!(event(r#"" ""#), (None, false));
    }

    #[test]
    fn the_creation_time_is_in_a_tiktok_id_unless_it_is_published() {
        let id = "7518376794681117970";
        let made = (7_518_376_794_681_117_970_u64 >> 32) * 1_000;
        let event = read(&format!(r#"{{"username":"a","video_id":"{id}"}}"#)).unwrap();
        assert_eq!(event.created, Some(made));
        let number = read(&format!(r#"{{"username":"a","video_id":{id}}}"#)).unwrap();
        assert_eq!(number.video.as_deref(), Some(id));
        let elsewhere = format!(r#"{{"username":"a","platform":"x","video_id":"{id}"}}"#);
        assert_eq!(read(&elsewhere).unwrap().created, None);
        let published = format!(
            r#"{{"username":"a","video_id":"{id}","published_at":"1970-01-01T00:00:09Z"}}"#
        );
        assert_eq!(read(&published).unwrap().created, Some(9_000));
    }

    #[test]
    fn what_cannot_be_used_is_a_dead_letter() {
        let long = "a".repeat(1025);
        let cases = [
            "no json".to_owned(),
            "[1]".to_owned(),
            r#"[{"username":"a"}]"#.to_owned(),
            r#""{\"username\":\"a\"}""#.to_owned(),
            r#"{"username":"a"} {"username":"b"}"#.to_owned(),
            r#"{"like_count":1}"#.to_owned(),
            r#"{"username":" @"}"#.to_owned(),
            r#"{"username":"\u200b"}"#.to_owned(),
            r#"{"username":null}"#.to_owned(),
            r#"{"username":1.5}"#.to_owned(),
            r#"{"username":"a","platform":"a:b"}"#.to_owned(),
            format!(r#"{{"username":"{long}"}}"#),
            format!(r#"{{"username":"a","video_id":"{long}"}}"#),
            format!(r#"{{"username":"a","platform":"{}"}}"#, "p".repeat(65)),
            format!(r#"{{"username":"a","x":"{}"}}"#, "x".repeat(1 << 20)),
            format!(
                r#"{{"username":"a","x":{}{}}}"#,
                "[".repeat(500),
                "]".repeat(500)
            ),
        ];
        for case in cases {
            assert_eq!(read(&case), None, "{}", &case[..case.len().min(80)]);
        }
        let input = Input::default();
        assert_eq!(decode(None, "tiktok", &input), [None]);
        assert_eq!(
            decode(Some(b"{\"username\":\"\xff\"}"), "tiktok", &input),
            [None]
        );
    }

    #[test]
    fn of_two_equal_keys_the_last_wins() {
        let event = read(r#"{"username":"a","username":"b","video_id":""}"#).unwrap();
        assert_eq!((event.kol.as_str(), event.video), ("b", None));
    }

    /// Names of fields, and the paths of each.
    type Paths = [(&'static str, &'static [&'static str])];

    fn input(explode: Explode, fields: &Paths) -> Input {
        let own = |paths: &&[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        let fields = fields
            .iter()
            .map(|(name, paths)| ((*name).to_owned(), own(paths)));
        Input {
            fields: fields.collect(),
            explode,
            ..Input::default()
        }
    }

    #[test]
    fn every_shape_that_people_have_is_read_by_its_paths() {
        // A TikTok page, a scraped post, a video list, a downloader's info, a trending page: made up.
        let cases: [(&str, &Paths); 5] = [
            (
                r#"{"author":{"uniqueId":"ann"},"id":"7518376794681117970","createTime":1750000000,
                    "stats":{"diggCount":3,"commentCount":2,"shareCount":1,"playCount":90}}"#,
                &[
                    ("username", &["author.uniqueId"]),
                    ("video_id", &["id"]),
                    ("published_at", &["createTime"]),
                    ("likes", &["statsV2.diggCount", "stats.diggCount"]),
                    ("comments", &["statsV2.commentCount", "stats.commentCount"]),
                    ("shares", &["statsV2.shareCount", "stats.shareCount"]),
                ],
            ),
            (
                r#"{"ownerUsername":"ann","shortCode":"Cx1","likesCount":3,"commentsCount":2,
                    "timestamp":"2025-06-15T15:06:40.000Z","like_count":99,"shares":1}"#,
                &[
                    ("username", &["ownerUsername"]),
                    ("video_id", &["id", "shortCode"]),
                    ("published_at", &["timestamp"]),
                    ("likes", &["likesCount"]),
                    ("comments", &["commentsCount"]),
                    ("shares", &["shares"]),
                ],
            ),
            (
                r#"{"id":"dQ","snippet":{"channelTitle":"ann","publishedAt":"2025-06-15T15:06:40Z"},
                    "statistics":{"likeCount":"3","commentCount":"2","shareCount":"1"}}"#,
                &[
                    ("username", &["snippet.channelTitle", "snippet.channelId"]),
                    ("video_id", &["id"]),
                    ("published_at", &["snippet.publishedAt"]),
                    ("likes", &["statistics.likeCount"]),
                    ("comments", &["statistics.commentCount"]),
                    ("shares", &["statistics.shareCount"]),
                ],
            ),
            (
                r#"{"uploader_id":"@ann","channel_id":null,"id":"x","timestamp":1750000000,
                    "like_count":3,"comment_count":2,"share_count":1}"#,
                &[
                    ("username", &["channel_id", "uploader_id"]),
                    ("video_id", &["id"]),
                    ("published_at", &["timestamp"]),
                ],
            ),
            (
                r#"{"rows":[{"channelName":"no"},{"channelName":"ann","videoId":7,"n":["3",2,1],
                    "publishedAt":"Sun, 15 Jun 2025 15:06:40 GMT"}]}"#,
                &[
                    ("username", &["rows[1].channelName"]),
                    ("video_id", &["rows[1].videoId"]),
                    ("published_at", &["rows[1].publishedAt"]),
                    ("likes", &["rows[1].n[0]"]),
                    ("comments", &["rows[1].n[1]"]),
                    ("shares", &["rows[1].n[2]"]),
                ],
            ),
        ];
        for (text, fields) in cases {
            let events = all(text, &input(Explode::No, fields));
            let event = events[0].as_ref().expect(text);
            assert_eq!(event.kol, "ann", "{text}");
            assert!(event.video.is_some(), "{text}");
            assert_eq!(event.created, Some(1_750_000_000_000), "{text}");
            assert_eq!(event.engagement, [Some(3), Some(2), Some(1)], "{text}");
        }
    }

    #[test]
    fn a_bad_event_of_a_record_is_a_dead_letter_alone() {
        let items = input(Explode::Path("items".into()), &[("likes", &["n"])]);
        let likes = |text: &str, input: &Input| -> Vec<Option<u64>> {
            let events = all(text, input).into_iter();
            events.map(|event| event?.engagement[0]).collect()
        };
        let two = r#"{"items":[{"username":"a","n":1},{"username":"b","n":2}]}"#;
        assert_eq!(likes(two, &items), [Some(1), Some(2)]);
        let broken = r#"{"items":[{"username":"a","n":1},{"n":2},7,{"username":"b","n":3}]}"#;
        assert_eq!(likes(broken, &items), [Some(1), None, None, Some(3)]);
        assert_eq!(all(r#"{"items":[{"username":"a"},"#, &items), [None]);
        let lines = input(Explode::Lines, &[("likes", &["n"])]);
        let text = b"{\"username\":\"a\",\"n\":1}\n{\n{\"username\":\"\xff\"}\n{\"username\":\"b\",\"n\":2}\n";
        let events = decode(Some(text), "tiktok", &lines).into_iter();
        let read: Vec<_> = events.map(|event| event?.engagement[0]).collect();
        assert_eq!(read, [Some(1), None, None, Some(2)]);
    }
}
