//! Records as they arrive, made up of good and bad parts: the product's decoder and the reference fold, which share no
//! code, take the same events out of each, or both refuse it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue should say where"
)]

use std::path::{Path, PathBuf};

use kol_common::event::{Decoder, Event};
use kol_common::job::KafkaSource;
use kol_fold::{Decoded, Explode, Input, decode};
use proptest::prelude::*;
use proptest::sample::select;

/// What both of them read of a record under one way to take it apart.
type Outcome = Vec<Option<Decoded>>;

/// Values of a field as they stand in JSON.
const NAMES: &[&str] = &[
    r#""ann""#,
    r#"" @Ann ""#,
    r#""@@ann""#,
    r#""Nguye\u0302\u0303\u200bn""#,
    r#""\ufeffbo""#,
    r#""\ud83d\ude00""#,
    r#""a\ud800b""#,
    r#""""#,
    r#"" @""#,
    "7518376794681117970",
    "12345678901234567890123",
    "-12345678901234567890123",
    "7.5",
    "-3",
    "null",
    "NaN",
    "true",
    "[]",
];
const PLATFORMS: &[&str] = &[
    r#""TikTok""#,
    r#""YouTube""#,
    r#""you\u200btube ""#,
    r#""\u2060""#,
    r#""cafe\u0301""#,
    r#""@x""#,
    r#""a:b""#,
    r#""""#,
    r#"" ""#,
    r#""\u0130G""#,
    "null",
    "7",
    "{}",
];
const IDS: &[&str] = &[
    r#""7518376794681117970""#,
    "7518376794681117970",
    "12345678901234567890123",
    r#""Cx1""#,
    r#""""#,
    "75",
    "7.0",
    "1e3",
    "null",
    "false",
];
const TIMES: &[&str] = &[
    "1795669200",
    "1795669200000",
    "1795669200000000",
    "1795669200.75",
    r#""1795669200""#,
    r#""1795669200.5""#,
    r#""2026-11-26 05:00:00 UTC""#,
    r#""20261126T050000Z""#,
    r#""2026-11-26T05:00:00.123456+07:00""#,
    r#""2026-11-26T05:00""#,
    r#""2026-11-26T24:00:00Z""#,
    r#""2026-02-29""#,
    r#""2026-11-26T05:00:60Z""#,
    r#""Thu Nov 26 05:00:00 +0000 2026""#,
    r#""Thu, 26 Nov 2026 05:00:00 GMT""#,
    r#""26 Nov 2026 05:00:00 EST""#,
    r#""1969-12-31T23:59:59Z""#,
    r#""soon""#,
    r#"" ""#,
    "-1",
    "0",
    "1e9",
    "1e30",
    "null",
    "NaN",
    "{}",
    "true",
];
const COUNTERS: &[&str] = &[
    "3701",
    "7.0",
    "7.5",
    "-1",
    "-0",
    "0",
    "1e3",
    "1.5e1",
    "4.100e3",
    "1000000000000",
    "1000000000001",
    "99999999999999999999999",
    "NaN",
    "-Infinity",
    "null",
    "true",
    "[1]",
    r#""3701""#,
    r#""1234.0""#,
    r#""7.4K""#,
    r#""7.4k""#,
    r#""1.25M""#,
    r#""2B""#,
    r#""1.2345K""#,
    r#""12 B""#,
    r#""12,5 B""#,
    r#""1,234""#,
    r#""1,23""#,
    r#""1,234,567.0""#,
    r#""10.000""#,
    r#""9.900K""#,
    r#""Share""#,
    r#""Likes""#,
    r#"" 12 ""#,
    r#""+5""#,
    r#""1e3""#,
    r#""""#,
];
const COUNTER_NAMES: &[&str] = &[
    "like_count",
    "video_likes",
    "like_count_raw",
    "comment_count",
    "video_comments_raw",
    "share_count",
    "share_count_raw",
    "followers_count",
    "followers",
    "followers_raw",
];
fn field(
    names: &'static [&'static str],
    values: &'static [&'static str],
) -> impl Strategy<Value = String> {
    (select(names), select(values)).prop_map(|(name, value)| format!("\"{name}\":{value}"))
}

/// An event as people write it: mostly good, in any order, some fields twice.
fn event() -> impl Strategy<Value = String> {
    let some = |name, values| prop::collection::vec(field(name, values), 0..2);
    let counters = prop::collection::vec(field(COUNTER_NAMES, COUNTERS), 0..4);
    let name =
        prop_oneof![3 => Just(r#""username":"ann""#.to_owned()), 2 => field(&["username"], NAMES)];
    let fields = (
        name,
        some(&["platform"], PLATFORMS),
        some(&["video_id"], IDS),
        some(&["event_time", "published_at"], TIMES),
        counters,
    );
    let all = fields.prop_map(|(name, a, b, c, d)| [vec![name], a, b, c, d].concat());
    all.prop_shuffle()
        .prop_map(|fields| format!("{{{}}}", fields.join(",")))
}

/// A record: one event, or several in a way that people have.
fn record() -> impl Strategy<Value = String> {
    let events = || prop::collection::vec(event(), 0..4);
    prop_oneof![
        6 => event(),
        1 => events().prop_map(|all| all.join("\n")),
        1 => events().prop_map(|all| format!("[{}]", all.join(","))),
        1 => events().prop_map(|all| format!("{{\"items\":[{}]}}", all.join(","))),
        1 => event().prop_map(|one| format!("{{\"payload\":{{\"after\":{one}}}}}")),
    ]
}

fn of_product(event: Event<'_>) -> Decoded {
    Decoded {
        platform: event.platform.into_owned(),
        kol: event.kol.into_owned(),
        video: event.video_id.map(|id| id.into_owned()),
        time: event.event_time.map(|time| time.0),
        unreadable_time: event.time_unreadable,
        created: event.published.map(|time| time.0),
        engagement: [event.likes, event.comments, event.shares],
        followers: event.followers,
    }
}

/// What the product takes of a record: its events, with `None` in place of those that it rejects.
fn taken(source: &KafkaSource, value: &[u8]) -> Outcome {
    let decoder = Decoder::of(source, "tiktok");
    let mut all = Vec::new();
    decoder.decode_each(Some(value), |_, outcome| {
        all.push(outcome.ok().map(of_product));
    });
    all
}

/// Both read the record in each way to take it apart.
fn assert_same(value: &[u8]) {
    let ways = [
        (None, Explode::No),
        (Some("lines"), Explode::Lines),
        (Some("items"), Explode::Path("items".into())),
    ];
    for (product, fold) in ways {
        let source = KafkaSource {
            explode: product.map(|way| way.parse().unwrap()),
            ..KafkaSource::default()
        };
        let input = Input {
            explode: fold,
            ..Input::default()
        };
        let text = String::from_utf8_lossy(value);
        assert_eq!(
            taken(&source, value),
            decode(Some(value), "tiktok", &input),
            "product and fold differ on {text:?}, explode = {product:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn product_and_fold_take_the_same_of_records_that_are_made_up(text in record()) {
        assert_same(text.as_bytes());
    }
}

#[test]
fn product_and_fold_take_the_same_of_records_that_went_wrong_somewhere() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().find(|f| f.join("Cargo.lock").exists());
    let beside = || root.unwrap_or(own).join("../shared/cases");
    let folder = std::env::var_os("KOL_CASES").map_or_else(beside, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join("records.jsonl")) else {
        eprintln!("NOT TESTED: {} has no records", folder.display());
        return;
    };
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        for value in case["values"].as_array().unwrap() {
            assert_same(value.as_str().unwrap().as_bytes());
        }
    }
}
