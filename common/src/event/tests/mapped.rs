//! Records under other names, and several events in one.

use super::super::*;
use crate::job::parse;

fn decoder(source: &str) -> Decoder {
    let spec = parse(&format!("name = \"x\"\n[source]\n{source}"), "x");
    let spec = spec.unwrap_or_else(|e| panic!("{e}")).spec;
    Decoder::of(&spec.source, &spec.scoring.default_platform)
}

/// Platform, creator, video, likes, comments, shares and views; or the reason of a reject.
fn seen(decoder: &Decoder, value: &str) -> Vec<String> {
    let mut all = Vec::new();
    decoder.decode_each(Some(value.as_bytes()), |part, outcome| {
        let part = std::str::from_utf8(part.unwrap()).unwrap();
        all.push(match outcome {
            Ok(e) => {
                let video = e.video_id.as_deref().unwrap_or("-");
                let counters = [e.likes, e.comments, e.shares, e.views]
                    .map(|c| c.map_or("-".to_owned(), |c| c.to_string()));
                format!("{} {} {video} {}", e.platform, e.kol, counters.join(" "))
            }
            Err(reject) => format!("{} {}", reject.as_str(), part.len()),
        });
    });
    all
}

#[test]
fn every_ready_shape_reads_its_files() {
    for (shape, value, expected) in [
        (
            "tiktok-api",
            r#"{"id":"7518376794681117970","createTime":1750502716,"author":{"id":"1","uniqueId":"mia"},
            "stats":{"diggCount":10,"commentCount":2,"shareCount":3,"playCount":400}}"#,
            "tiktok mia 7518376794681117970 10 2 3 400",
        ),
        (
            "tiktok-api",
            r#"{"id":"1","author":{"uniqueId":"mia"},"statsV2":{"diggCount":"10","commentCount":"2",
            "shareCount":"3","playCount":"400"}}"#,
            "tiktok mia 1 10 2 3 400",
        ),
        (
            "tiktok-apify",
            r#"{"authorMeta":{"name":"mia"},"id":"1","diggCount":10,"commentCount":2,"shareCount":3,
            "playCount":400,"createTimeISO":"2026-11-20T00:00:00.000Z"}"#,
            "tiktok mia 1 10 2 3 400",
        ),
        (
            "instagram-apify",
            r#"{"ownerUsername":"mia","shortCode":"Cx","likesCount":10,"commentsCount":2,
            "videoViewCount":400,"timestamp":"2026-11-20T00:00:00.000Z"}"#,
            "instagram mia Cx 10 2 - 400",
        ),
        (
            "youtube-api",
            r#"{"id":"dQ","snippet":{"channelTitle":"Mia","channelId":"UC1",
            "publishedAt":"2026-11-20T00:00:00Z"},
            "statistics":{"viewCount":"400","likeCount":"10","commentCount":"2"}}"#,
            "youtube Mia dQ 10 2 - 400",
        ),
        (
            "yt-dlp",
            r#"{"id":"dQ","channel_id":"UC1","uploader_id":"@mia","like_count":10,"comment_count":2,
            "view_count":400,"timestamp":1763596800,"formats":[{"url":"x"}]}"#,
            "youtube UC1 dQ 10 2 - 400",
        ),
        (
            "youtube-trending",
            r#"{"channelName":"Mia","videoId":"dQ","likeCount":10,"commentCount":2,"viewCount":400,
            "publishedAt":"2026-11-20T00:00:00Z"}"#,
            "youtube Mia dQ 10 2 - 400",
        ),
    ] {
        let decoder = decoder(&format!("shape = \"{shape}\""));
        assert_eq!(seen(&decoder, value), [expected], "{shape}");
        if !value.contains("statsV2") {
            let event = decoder.decode(Some(value.as_bytes())).unwrap();
            assert!(event.published.is_some(), "{shape}");
        }
    }
}

#[test]
fn named_fields_are_tried_in_their_order_and_the_others_keep_their_names() {
    let decoder = decoder(
        "[source.fields]\nusername = [\"user.name\", \"user.id\"]\n\
         likes = [\"m.likes\", \"reactions[1].n\", \"likes\"]\n",
    );
    for (value, expected) in [
        (
            r#"{"user":{"id":7,"name":"@a"},"m":{"likes":"1.2K"},"likes":3}"#,
            "tiktok a - 1200 - - -",
        ),
        (
            r#"{"user":{"id":7},"reactions":[{"n":9},{"n":8}],"comment_count":2}"#,
            "tiktok 7 - 8 2 - -",
        ),
        (
            r#"{"user":{"id":7,"name":" "},"m":{"likes":null},"likes":3}"#,
            "tiktok 7 - 3 - - -",
        ),
        (
            r#"{"likes":3,"user":{"name":"a"},"m":5,"reactions":{"1":2}}"#,
            "tiktok a - 3 - - -",
        ),
    ] {
        assert_eq!(seen(&decoder, value), [expected], "{value}");
    }
    let default = seen(&decoder, r#"{"username":"a","like_count":1}"#);
    assert_eq!(
        default,
        ["no_username 31"],
        "a named field replaces its default names"
    );
}

#[test]
fn an_envelope_is_read_by_paths() {
    let decoder = decoder(
        "[source.fields]\nusername = \"payload.after.username\"\n\
         likes = \"payload.after.like_count\"\n",
    );
    let value = r#"{"payload":{"before":null,"after":{"username":"a","like_count":5},"op":"u"}}"#;
    assert_eq!(seen(&decoder, value), ["tiktok a - 5 - - -"]);
}

#[test]
fn a_record_of_lines_is_several_events_and_a_broken_line_concerns_no_other() {
    let decoder = decoder("explode = \"lines\"");
    let value = "\u{feff}{\"username\":\"a\",\"like_count\":1}\r\n\n{\"username\":\"b\"\n\
                 {\"username\":\"c\",\"like_count\":NaN}\n";
    let expected = ["tiktok a - 1 - - -", "not_json 15", "tiktok c - - - - -"];
    assert_eq!(seen(&decoder, value), expected);
    assert_eq!(seen(&decoder, " \n "), ["not_json 3"]);
    let of_record = self::decoder("explode = \"lines\"\nfields = { username = \"$.who\" }");
    assert_eq!(seen(&of_record, "{\"who\":\"a\"}"), ["tiktok a - - - - -"]);
}

#[test]
fn what_a_value_looks_like_is_seen_also_behind_a_number_that_is_no_json() {
    let whole = Decoder::new("tiktok");
    let reject = |decoder: &Decoder, value: &str| {
        let mut rejects = Vec::new();
        decoder.decode_each(Some(value.as_bytes()), |_, outcome| {
            rejects.extend(outcome.err())
        });
        rejects
    };
    let array = r#"[{"username":"a","like_count":NaN},{"username":"b"}]"#;
    assert_eq!(reject(&whole, array), [Reject::EventsInArray]);
    let items = r#"{"score":NaN,"items":[{"username":"a"}]}"#;
    assert_eq!(reject(&whole, items), [Reject::EventsInArray]);
    let envelopes = r#"[{"payload":{"username":"a","like_count":NaN}},{"payload":{}}]"#;
    let exploded = decoder("explode = \"items\"");
    assert_eq!(reject(&exploded, envelopes), [Reject::Envelope; 2]);
}

#[test]
fn a_record_with_an_array_is_several_events_with_what_the_record_says_of_all() {
    let decoder = decoder(
        "explode = \"data.items\"\n[source.fields]\nplatform = [\"platform\", \"$.site\"]\n\
         event_time = \"$.at\"",
    );
    let value = r#"{"at":1795669200,"site":"YouTube","data":{"items":[{"username":"a"},{"x":1},
        {"username":"b","platform":"tiktok"}]}}"#;
    let expected = ["youtube a - - - - -", "no_username 7", "tiktok b - - - - -"];
    assert_eq!(seen(&decoder, value), expected);
    decoder.decode_each(Some(value.as_bytes()), |_, outcome| {
        if let Ok(event) = outcome {
            assert_eq!(event.event_time, Some(Millis(1_795_669_200_000)));
        }
    });
    let bare = r#"[{"username":"a"},{"username":"b"}]"#;
    assert_eq!(
        seen(&decoder, bare),
        ["tiktok a - - - - -", "tiktok b - - - - -"]
    );
    assert_eq!(
        seen(&decoder, r#"{"username":"a"}"#),
        ["tiktok a - - - - -"]
    );
    assert_eq!(
        seen(&decoder, r#"{"data":{"items":[]}}"#),
        Vec::<String>::new()
    );
    let broken = r#"[{"username":"a"},{"username":"b"}"#;
    assert_eq!(
        seen(&decoder, broken),
        [format!("not_json {}", broken.len())],
        "all or nothing"
    );
    let infinite = r#"[{"username":"a","like_count":NaN},{"username":"b","like_count":2}]"#;
    assert_eq!(
        seen(&decoder, infinite),
        ["tiktok a - - - - -", "tiktok b - 2 - - -"]
    );
}

#[test]
fn names_may_be_folded_to_lower_case() {
    let decoder = decoder("username_case = \"lower\"");
    assert_eq!(
        seen(&decoder, r#"{"username":"@ANN"}"#),
        ["tiktok ann - - - - -"]
    );
    assert_eq!(
        seen(&decoder, r#"{"username":"ÉVA"}"#),
        ["tiktok éva - - - - -"]
    );
}

#[test]
fn a_bad_part_of_a_record_with_infinities_is_rejected_with_its_own_bytes() {
    let of_items = decoder("explode = \"items\"");
    let bad = [
        r#"{"like_count":NaN, "share_count" : Infinity}"#,
        "NaN",
        "-Infinity",
        "1e999",
        r#"{"é":"NaN","op":1,"after":{}}"#,
        "[ NaN ]",
    ];
    let value = format!(
        "\u{feff}{{\"é\":-Infinity,\"items\":[ {} ,{{\"username\":\"a\",\"like_count\":1}}] }}",
        bad.join(" , ")
    );
    let (mut rejected, mut events) = (Vec::new(), 0);
    of_items.decode_each(Some(value.as_bytes()), |part, outcome| match outcome {
        Ok(event) => events += u64::from(event.likes == Some(1)),
        Err(reason) => {
            let part = std::str::from_utf8(part.unwrap()).unwrap().to_owned();
            rejected.push((part, reason));
        }
    });
    let parts: Vec<_> = rejected.iter().map(|(part, _)| part.as_str()).collect();
    assert_eq!(parts, bad);
    assert_eq!(rejected[4].1, Reject::Envelope, "as without infinities");
    assert_eq!(events, 1);
    // A record without the array is one event itself.
    let whole = r#"{"like_count":NaN}"#;
    assert_eq!(seen(&of_items, whole), ["no_username 18"]);
}
