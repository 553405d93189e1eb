//! From a record value to what the score needs of it.

use serde_json::{Map, Value};

use super::number::counter;

const LARGEST_VALUE: usize = 1 << 20;
const LONGEST_ID: usize = 1024;
const LONGEST_PLATFORM: usize = 64;

/// One usable event. Times in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    pub platform: String,
    pub kol: String,
    /// `None`: an event about the profile.
    pub video: Option<String>,
    /// Its own time, when readable.
    pub time: Option<u64>,
    /// When the video was made, when known.
    pub created: Option<u64>,
    /// Likes, comments, shares; views are not counted.
    pub engagement: [Option<u64>; 3],
    pub followers: Option<u64>,
}

/// Decodes a record value; `None` is a dead letter.
pub fn decode(value: Option<&[u8]>, default_platform: &str) -> Option<Decoded> {
    let value = value.filter(|v| v.len() <= LARGEST_VALUE)?;
    let text = std::str::from_utf8(value).ok()?;
    let json: Value = serde_json::from_str(text).ok()?;
    let object = json.as_object()?;

    let name = id(object, "username")?;
    let name = name.trim();
    let kol = name.strip_prefix('@').unwrap_or(name).to_owned();
    let platform = match object.get("platform").and_then(Value::as_str) {
        Some(platform) if !platform.is_empty() => platform.to_lowercase(),
        _ => default_platform.to_owned(),
    };
    let video = id(object, "video_id").filter(|id| !id.is_empty());
    let video_length = video.as_ref().map_or(0, String::len);
    let fits =
        kol.len() <= LONGEST_ID && video_length <= LONGEST_ID && platform.len() <= LONGEST_PLATFORM;
    if kol.is_empty() || !fits {
        return None;
    }
    let made = || made_at(&platform, video.as_deref()?);
    Some(Decoded {
        time: time(object, "event_time"),
        created: time(object, "published_at").or_else(made),
        engagement: [
            of_video(object, "like_count", "video_likes"),
            of_video(object, "comment_count", "video_comments"),
            of_video(object, "share_count", "video_shares"),
        ],
        followers: of_video(object, "followers_count", "followers"),
        kol,
        platform,
        video,
    })
}

/// The first readable of the two plain names and the two raw ones.
fn of_video(object: &Map<String, Value>, name: &str, other: &str) -> Option<u64> {
    let raw = [format!("{name}_raw"), format!("{other}_raw")];
    [name, other, &raw[0], &raw[1]]
        .into_iter()
        .find_map(|name| counter(object.get(name)?))
}

/// A string, or the digits of an integer.
fn id(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) if n.is_i64() || n.is_u64() => Some(n.to_string()),
        _ => None,
    }
}

fn time(object: &Map<String, Value>, name: &str) -> Option<u64> {
    let text = object.get(name)?.as_str()?.trim();
    let with_offset = text.parse::<jiff::Timestamp>().ok();
    let naive = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(zoned.timestamp())
    };
    let ms = with_offset
        .or_else(naive)?
        .as_nanosecond()
        .div_euclid(1_000_000);
    u64::try_from(ms).ok()
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
    use super::*;

    fn read(json: &str) -> Option<Decoded> {
        decode(Some(json.as_bytes()), "tiktok")
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
    fn a_naive_time_is_utc_and_a_time_before_1970_is_unreadable() {
        let at = |time: &str| read(&format!(r#"{{"username":"a","event_time":"{time}"}}"#));
        assert_eq!(at("1970-01-01T00:00:01").unwrap().time, Some(1_000));
        assert_eq!(at("1970-01-01 00:00:01Z").unwrap().time, Some(1_000));
        assert_eq!(at("1970-01-02").unwrap().time, Some(86_400_000));
        assert_eq!(at("1969-12-31T23:59:59Z").unwrap().time, None);
        assert_eq!(at("yesterday").unwrap().time, None);
    }

    #[test]
    fn the_creation_time_is_in_a_tiktok_id_unless_it_is_published() {
        let id = "7518376794681117970";
        let made = (7_518_376_794_681_117_970_u64 >> 32) * 1_000;
        let event = read(&format!(r#"{{"username":"a","video_id":"{id}"}}"#)).unwrap();
        assert_eq!(event.created, Some(made));
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
            r#"{"like_count":1}"#.to_owned(),
            r#"{"username":" @ "}"#.replace("@ ", "@"),
            r#"{"username":null}"#.to_owned(),
            r#"{"username":1.5}"#.to_owned(),
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
        assert_eq!(decode(None, "tiktok"), None);
        assert_eq!(decode(Some(b"{\"username\":\"\xff\"}"), "tiktok"), None);
    }

    #[test]
    fn of_two_equal_keys_the_last_wins() {
        let event = read(r#"{"username":"a","username":"b","video_id":""}"#).unwrap();
        assert_eq!((event.kol.as_str(), event.video), ("b", None));
    }
}
