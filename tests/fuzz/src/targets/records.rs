//! Values of Kafka records, texts in them, and what Redis holds of a creator.

use kol_common::event::{
    Decoder, Explode, Field, FieldPath, Layout, UsernameCase, parse_time, read_at,
    read_counter_text, readable,
};
use kol_common::scoring::{Market, Slot, SlotLayout, pack_slots, unpack_slots};

use super::{Target, bits, shown};

pub const RECORD: Target = Target {
    name: "record",
    read: record,
    valid: records,
    memory: (256 << 10, 64),
};

pub const PASSES: Target = Target {
    name: "passes",
    read: passes,
    valid: records,
    // All outcomes of both passes: a record of very many bad parts has as many.
    memory: (1 << 20, 1_024),
};

pub const TEXT: Target = Target {
    name: "text",
    read: text,
    valid: texts,
    memory: (64 << 10, 32),
};

pub const SLOTS: Target = Target {
    name: "slots",
    read: slots,
    valid: packed,
    memory: (4 << 10, 16),
};

/// A source whose records hold several events.
struct Several(Explode);

impl Layout for Several {
    fn paths(&self, field: Field) -> Vec<FieldPath> {
        let paths = field.default_paths().iter();
        paths.filter_map(|path| path.parse().ok()).collect()
    }

    fn explode(&self) -> Option<&Explode> {
        Some(&self.0)
    }

    fn username_case(&self) -> UsernameCase {
        UsernameCase::default()
    }
}

/// A source with fields in nested objects, some with several paths.
struct Nested;

impl Layout for Nested {
    fn paths(&self, field: Field) -> Vec<FieldPath> {
        let paths: &[&str] = match field {
            Field::Username => &["author.uniqueId", "author", "username"],
            Field::VideoId => &["id", "video_id"],
            Field::PublishedAt => &["createTime"],
            Field::Likes => &["stats.diggCount", "like_count", "items[0].stats.diggCount"],
            _ => field.default_paths(),
        };
        paths.iter().filter_map(|path| path.parse().ok()).collect()
    }

    fn explode(&self) -> Option<&Explode> {
        None
    }

    fn username_case(&self) -> UsernameCase {
        UsernameCase::Lower
    }
}

fn record(data: &[u8]) -> u64 {
    thread_local! {
        static DECODERS: [Decoder; 3] = {
            let several = |explode: &str| {
                let explode = explode.parse().expect("a way to explode");
                Decoder::of(&Several(explode), "tiktok")
            };
            [Decoder::new("tiktok"), several("lines"), several("items")]
        };
    }
    DECODERS.with(|decoders| {
        shown(decoders.each_ref().map(|decoder| {
            let (mut events, mut fields, mut rejects) = (0, 0, Vec::new());
            decoder.decode_each(Some(data), |_, outcome| match outcome {
                Ok(event) => {
                    events += 1;
                    let has = [
                        event.video_id.is_some(),
                        event.event_time.is_some(),
                        event.time_unreadable,
                        event.published.is_some(),
                        event.has_counters(),
                    ];
                    fields |= has.iter().fold(1, |all, has| all << 1 | u32::from(*has));
                }
                Err(reject) => {
                    if rejects.len() < 4 {
                        rejects.push(format!("{reject:?}"));
                    }
                }
            });
            (bits(events), fields, rejects)
        }))
    })
}

/// The flat pass and the other one must read a record alike.
fn passes(data: &[u8]) -> u64 {
    thread_local! {
        static PAIRS: [[Decoder; 2]; 4] = {
            let several = |explode: &str| {
                let explode = explode.parse().expect("a way to explode");
                Decoder::of(&Several(explode), "tiktok")
            };
            let decoders = [Decoder::new("tiktok"), several("lines"), several("items"), Decoder::of(&Nested, "x")];
            decoders.map(|decoder| [decoder.clone(), decoder.without_flat_pass()])
        };
    }
    PAIRS.with(|pairs| {
        shown(pairs.each_ref().map(|pair| {
            let [flat, other] = pair.each_ref().map(|decoder| {
                let mut outcomes = Vec::new();
                decoder.decode_each(Some(data), |part, outcome| {
                    outcomes.push((part.map(<[u8]>::len), outcome));
                });
                outcomes
            });
            assert_eq!(flat, other, "the flat pass reads it otherwise");
            let events = flat.iter().filter(|(_, outcome)| outcome.is_ok());
            (bits(flat.len()), bits(events.count()))
        }))
    })
}

fn records() -> Vec<Vec<u8>> {
    let one = r#"{"username":"kol_1","platform":"tiktok","video_id":"7412345678901234567","event_time":"2026-11-26T05:00:00Z","like_count":12,"comment_count":"1.2K","share_count":null,"view_count":1e3,"follower_count":"1,234"}"#;
    let nested = r#"{"items":[{"author":{"uniqueId":"Kol"},"id":"1","stats":{"diggCount":1,"playCount":2},"createTime":1764133200},{"username":"b","likes":"12,345"}],"platform":"youtube"}"#;
    let lines = format!("{one}\n{one}\n\n{{\"username\":\"x\",\"like_count\":NaN}}");
    let array = format!("[{one},{one}]");
    let spaced = "{\n  \"author\": {\"uniqueId\": \"@Mia\", \"id\": 7}, \"id\": 7518376794681117970, \"createTime\": 1764133200.5,\n  \"stats\": {\"diggCount\": \"10\", \"playCount\": 400}, \"desc\": \"\\\"Xin ch\\u00e0o\\\"\\n\", \"isAd\": false\n}";
    let strange = "\u{feff}{\"username\":\"\\u00e9\\ud83d\\ude00\",\"like_count\":123456789012345678901234567890}";
    [one, nested, &lines, &array, spaced, strange]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

fn text(data: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(data);
    let (count, time) = (read_counter_text(&text), parse_time(&text));
    let path: Result<FieldPath, _> = text.parse();
    let explode: Result<Explode, _> = text.parse();
    let found = path.as_ref().ok().map(|path| {
        let value = r#"{"a":{"b":[1,{"c":"d"}]}}"#;
        Field::ALL.map(|field| read_at(value, field, path).is_some())
    });
    shown((
        count.map(u64::leading_zeros),
        time.map(|time| time.0.leading_zeros()),
        readable(&text).is_some(),
        path.is_ok(),
        explode.is_ok(),
        found,
    ))
}

fn texts() -> Vec<Vec<u8>> {
    [
        "1,234",
        "7.4K",
        "1.5M",
        "0",
        "Like",
        "10.000",
        "999999999999",
        "2026-11-26T05:00:00.123Z",
        "Thu, 26 Nov 2026 05:00:00 +0000",
        "Thu Nov 26 05:00:00 +0000 2026",
        "20261126T050000+0530",
        "1764133200",
        "1764133200000",
        "author.stats.diggCount",
        "$.items[0].id",
        "lines",
        "a.b[1].c",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn slots(data: &[u8]) -> u64 {
    match unpack_slots(data) {
        Ok(slots) => shown(Ok::<_, String>(slots.len())),
        Err(error) => shown(Err::<usize, _>(error.to_string())),
    }
}

fn packed() -> Vec<Vec<u8>> {
    let slot = |partition| Slot {
        partition,
        generation: 3,
        window_end: 480_000,
        engagement_e6: 1e9,
        events: 7,
        ..Slot::default()
    };
    let of = |count: u32| {
        pack_slots(
            &SlotLayout::PLAIN,
            &Market::default(),
            &(0..count).map(slot).collect::<Vec<_>>(),
        )
    };
    vec![of(0), of(1), of(3)]
}
