//! The flat pass says what the other one says, or nothing.

use proptest::prelude::*;

use super::super::*;

/// As producers send them, with and without spaces.
const USUAL: [&str; 5] = [
    r#"{"event_id":"4b30e86a-ecd3-5072-a39e-2608d5d5a8b6","event_time":"2025-06-23T09:03:29+00:00","event_type":"video","platform":"tiktok","username":"ti_8e783217b3","video_id":"7518376794681117970","niche_hint":"health_techandhousehold","view_count_raw":"198K","like_count":3701,"comment_count":51,"share_count_raw":"Share"}"#,
    r#"{"event_time": "2025-06-23T09:03:29.123456+00:00", "platform": "TikTok", "username": "@Nguyễn", "followers_raw": "411.8K", "likes_raw": "8M", "view_count": null}"#,
    "{\n  \"username\": \"a\",\n  \"video_id\": 7518376794681117970,\n  \"event_time\": 1795669200.25,\n  \"like_count\": 3.0\n}\n",
    r#"{"username":"a","caption":"\"Xin ch\u00e0o\" \ud83d\ude00\n","tags":["a",{"b":[]},{}],"is_ad":false,"duration":-1.5e+3,"like_count":0,"share_count":-1}"#,
    r#" {"username":"a","video_id":"","published_at":1750502716,"event_time":"Thu Nov 26 05:00:00 +0000 2026","x":true}"#,
];

/// Each is another reason to leave a record to the other pass.
const UNUSUAL: [&str; 27] = [
    "",
    "[]",
    r#"{}"#,
    r#"{"username":"a"} x"#,
    r#"{"username":"a",}"#,
    r#"{"username":"a""#,
    r#"{"username":"a" "x":1}"#,
    r#"{"username" "a"}"#,
    r#"{"username":"a","username":"b"}"#,
    r#"{"username":"a","like_count":null,"like_count":1}"#,
    r#"{"user\u006eame":"a"}"#,
    r#"{"username":"\u0061"}"#,
    r#"{"username":" "}"#,
    r#"{"username":"a","platform":"a:b"}"#,
    r#"{"username":"a","platform":" "}"#,
    r#"{"username":"a","like_count":-0}"#,
    r#"{"username":"a","video_id":-1234567890123456789}"#,
    r#"{"username":"a","like_count":01}"#,
    r#"{"username":"a","like_count":1e2}"#,
    r#"{"username":"a","like_count":{"n":1}}"#,
    r#"{"username":"a","video_id":12345678901234567890}"#,
    r#"{"username":"a","x":"\u00g0"}"#,
    r#"{"username":"a","x":00}"#,
    r#"{"username":"a","x":1.}"#,
    r#"{"username":"a","x":[1,]}"#,
    r#"{"username":"a","x":{"b":1,}}"#,
    "{\"username\":\"a\",\"x\":\"\t\"}",
];

/// Decoders of several kinds of sources, each with the one that has no flat pass.
fn pairs() -> Vec<(Decoder, Decoder)> {
    let of = |source: &str| {
        let spec = format!("name = \"x\"\n[source]\n{source}");
        let spec = crate::job::parse(&spec, "x").unwrap_or_else(|e| panic!("{e}"));
        Decoder::of(&spec.spec.source, &spec.spec.scoring.default_platform)
    };
    let fields = "fields = { username = [\"a.name\", \"a\", \"username\"], likes = [\"stats.likes\", \"like_count\", \"x[0]\"] }";
    let decoders = [
        Decoder::new("tiktok"),
        of("username_case = \"lower\""),
        of(fields),
        of("shape = \"tiktok-api\""),
        of("explode = \"lines\""),
        of("explode = \"items\""),
    ];
    let pair = |decoder: Decoder| (decoder.clone(), decoder.without_flat_pass());
    decoders.map(pair).into()
}

thread_local! {
    static PAIRS: Vec<(Decoder, Decoder)> = pairs();
}

type Outcome<'a> = (Option<usize>, Result<Event<'a>, Reject>);

fn outcomes<'a>(decoder: &'a Decoder, value: &'a [u8]) -> Vec<Outcome<'a>> {
    let mut all = Vec::new();
    decoder.decode_each(Some(value), |part, outcome| {
        all.push((part.map(<[u8]>::len), outcome));
    });
    all
}

fn both_passes_say_the_same(value: &[u8]) {
    PAIRS.with(|pairs| {
        for (with, without) in pairs {
            let shown = String::from_utf8_lossy(value);
            assert_eq!(outcomes(with, value), outcomes(without, value), "{shown}");
        }
    });
}

#[test]
fn records_as_producers_send_them_take_the_flat_pass() {
    let decoder = Decoder::new("tiktok");
    for text in USUAL {
        assert!(decoder.flat(text).is_some(), "{text}");
        both_passes_say_the_same(text.as_bytes());
    }
    let nested = r#"{"id":"7518376794681117970","createTime":1750502716,"author":{"id":"1","uniqueId":"mia"},"stats":{"diggCount":10,"playCount":400}}"#;
    let spec = crate::job::parse("name = \"x\"\n[source]\nshape = \"tiktok-api\"", "x").unwrap();
    let decoder = Decoder::of(&spec.spec.source, "tiktok");
    assert!(decoder.flat(nested).is_some());
}

#[test]
fn what_is_unusual_is_left_to_the_other_pass() {
    let decoder = Decoder::new("tiktok");
    for text in UNUSUAL {
        assert_eq!(decoder.flat(text), None, "{text}");
        both_passes_say_the_same(text.as_bytes());
    }
    let deep = format!(
        r#"{{"username":"a","x":{}{}}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    let long = format!(r#"{{"username":"a","video_id":"{}"}}"#, "7".repeat(2_000));
    let decimal = format!(r#"{{"username":"a","like_count":1.{}}}"#, "0".repeat(30));
    for text in [deep, long, decimal] {
        assert_eq!(decoder.flat(&text), None, "{text}");
        both_passes_say_the_same(text.as_bytes());
    }
}

#[test]
fn every_beginning_of_a_usual_record_is_rejected_alike() {
    for text in USUAL {
        for length in 0..text.len() {
            both_passes_say_the_same(&text.as_bytes()[..length]);
        }
    }
}

const KEYS: [&str; 24] = [
    "username",
    "platform",
    "video_id",
    "event_time",
    "published_at",
    "like_count",
    "video_likes",
    "like_count_raw",
    "comment_count",
    "share_count_raw",
    "view_count",
    "followers",
    "followers_count",
    "other",
    "caption",
    "x",
    "a",
    "author",
    "stats",
    "id",
    "user\\u006eame",
    "a name that is longer than any of those that are read",
    "créateur",
    "",
];

const VALUES: [&str; 56] = [
    "0",
    "7",
    "-0",
    "-5",
    "3701",
    "12345678",
    "1750669409",
    "1750669409000123",
    "7518376794681117970",
    "18446744073709551615",
    "18446744073709551616",
    "1000000000000",
    "1000000000001",
    "3.0",
    "3.5",
    "0.1",
    "1750669409.1234567",
    "1e2",
    "1E-2",
    "1e999",
    "NaN",
    "-Infinity",
    "null",
    "true",
    "false",
    "nul",
    "00",
    "1.",
    ".5",
    "+1",
    "\"\"",
    "\" \"",
    "\"a\"",
    "\"@Ann \"",
    "\"TikTok\"",
    "\"a:b\"",
    "\"cafe\u{301} \u{200b}\"",
    "\"7.4K\"",
    "\"1000B\"",
    "\"1001B\"",
    "\"1,234\"",
    "\"10.000\"",
    "\"12 B\"",
    "\"Share\"",
    "\"7518376794681117970\"",
    "\"2025-06-23T09:03:29+00:00\"",
    "\"2025-06-23 09:03:29.5+07:00\"",
    "\"2025-02-29T09:03:29Z\"",
    "\"1750669409\"",
    "\"yesterday\"",
    "\"\\u0041\\n\\\"\"",
    "\"\\ud83d\"",
    "\"\\u12\"",
    "[1,[{\"a\":null},\"\"]]",
    "{\"name\":\"b\",\"uniqueId\":\"c\",\"likes\":5,\"diggCount\":\"6\"}",
    "[",
];

fn spaces() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just(""), 3 => Just(" "), 1 => Just("\r\n\t ")]
}

fn object() -> impl Strategy<Value = String> {
    let key = prop::sample::select(KEYS.to_vec());
    let value = prop::sample::select(VALUES.to_vec());
    let field = (spaces(), key, spaces(), value, spaces());
    let field = field.prop_map(|(a, key, b, value, c)| format!("{a}\"{key}\"{b}:{c}{value}{b}"));
    let named = prop_oneof![1 => Just(None), 3 => Just(Some("\"username\":\"ann\"".to_owned()))];
    (prop::collection::vec(field, 0..10), named, spaces()).prop_map(|(mut fields, name, space)| {
        fields.extend(name);
        format!("{space}{{{}}}{space}", fields.join(","))
    })
}

fn record() -> impl Strategy<Value = String> {
    let several = |between: &'static str| {
        prop::collection::vec(object(), 0..4).prop_map(move |all| all.join(between))
    };
    prop_oneof![
        2 => prop::sample::select(USUAL.to_vec()).prop_map(str::to_owned),
        6 => object(),
        1 => several("\n"),
        1 => several(",").prop_map(|all| format!("[{all}]")),
        1 => several(",").prop_map(|all| format!("{{\"items\":[{all}]}}")),
    ]
}

/// Bytes that are put in place of others, or between them.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, bool, u8)>> {
    let byte = prop_oneof![
        3 => prop::sample::select(b"{}[]\",:\\ 0189.-+eEun\n\x1f\x7f\xc3".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), byte), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn both_passes_read_records_alike(record in record()) {
        both_passes_say_the_same(record.as_bytes());
    }

    #[test]
    fn both_passes_read_changed_records_alike(record in record(), changes in changes()) {
        let mut bytes = record.into_bytes();
        for (place, replaces, byte) in changes {
            let at = place.index(bytes.len() + 1);
            bytes.splice(at..(at + usize::from(replaces)).min(bytes.len()).max(at), [byte]);
        }
        both_passes_say_the_same(&bytes);
    }

    #[test]
    fn both_passes_read_random_bytes_alike(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        both_passes_say_the_same(&bytes);
    }
}
