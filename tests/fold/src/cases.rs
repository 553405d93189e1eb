//! Records that went wrong somewhere, with what is right: rows of this file, and those of
//! `records.jsonl` in `$KOL_CASES` (default: the folder `shared/cases` beside the repository) when that
//! is there.

use std::path::{Path, PathBuf};

use kol_common::job::{Counters, Profile, ScoringSpec};

use super::json::{Json, parse};
use super::{Fold, Record};

/// 2026-11-27T00:00:00Z: when the records of all cases arrived, and when they are read.
const PRESENT: u64 = 1_795_737_600_000;

/// What went wrong, values of one creator's records in order, and what all of them gain.
type Case = (&'static str, &'static [&'static str], u64);

const CASES: [Case; 12] = [
    (
        "a letter after a blank is a word",
        &[
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-18","like_count_raw":"7 K"}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-19","like_count_raw":"9,1 M"}"#,
        ],
        0,
    ),
    (
        "a letter behind the number is a factor",
        &[
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-19","share_count_raw":"3.05M"}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-20","share_count_raw":"3.06M"}"#,
        ],
        10_000,
    ),
    (
        "a dot may separate thousands",
        &[
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-19","like_count":"2.500"}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-20","like_count":2600}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-21","like_count":2607.000}"#,
        ],
        7,
    ),
    (
        "a counter that cannot be read is not the other one",
        &[
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-19","like_count":"5.100","like_count_raw":"5.1K"}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-20","like_count":"5.200","like_count_raw":"5.2K"}"#,
        ],
        100,
    ),
    (
        "counts are hidden for a day",
        &[
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-19","like_count":8000,"comment_count":40}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-20","like_count_raw":"Likes","comment_count":44}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-21","like_count":8003,"comment_count":45}"#,
        ],
        8,
    ),
    (
        "followers were removed in bulk",
        &[
            r#"{"username":"bo","event_time":"2026-11-19","followers":9000}"#,
            r#"{"username":"bo","event_time":"2026-11-20","followers":2000}"#,
            r#"{"username":"bo","event_time":"2026-11-21","followers_count":"2K"}"#,
            r#"{"username":"bo","event_time":"2026-11-22","followers":2006}"#,
        ],
        6,
    ),
    (
        "numbers that are none",
        &[
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-19","like_count":5,"share_count":Infinity}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-20","like_count":-Infinity,"share_count":3}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-21","like_count":9,"share_count":NaN,"x":[NaN]}"#,
        ],
        4,
    ),
    (
        "Unix time",
        &[
            r#"{"username":"bo","video_id":"w","event_time":1795046400000000,"like_count":1}"#,
            r#"{"username":"bo","video_id":"w","event_time":"1795132800000","like_count":3}"#,
            r#"{"username":"bo","video_id":"w","event_time":1795219200.75,"like_count":8}"#,
        ],
        7,
    ),
    (
        "times by their words",
        &[
            r#"{"username":"bo","video_id":"w","event_time":"Thu, 19 Nov 2026 07:00:00 +0700","like_count":1}"#,
            r#"{"username":"bo","video_id":"w","event_time":"Fri Nov 20 00:00:00 +0000 2026","like_count":4}"#,
            r#"{"username":"bo","video_id":"w","event_time":"20261121T023000+0230","like_count":6}"#,
        ],
        5,
    ),
    (
        "a byte order mark, and a name with one",
        &[
            "\u{feff}{\"username\":\"bo\",\"video_id\":\"w\",\"event_time\":\"2026-11-19\",\"like_count\":1}",
            "{\"username\":\"\u{feff}bo\",\"video_id\":\"w\",\"event_time\":\"2026-11-20\",\"like_count\":5}",
        ],
        4,
    ),
    (
        "names with and without width",
        &[
            r#"{"username":"Nguy\u1ec5n","video_id":"w","event_time":"2026-11-19","like_count":1}"#,
            r#"{"username":" @Nguye\u0302\u0303\u200bn","video_id":"w","event_time":"2026-11-20","like_count":7}"#,
        ],
        6,
    ),
    (
        "more than anybody counts",
        &[
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-19","like_count":10}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-20","like_count":1000000000001}"#,
            r#"{"username":"bo","video_id":"w","event_time":"2026-11-21","like_count":12}"#,
        ],
        2,
    ),
];

/// How many creators there are, and what they gained in all.
fn gained<'v>(values: impl IntoIterator<Item = &'v str>) -> (usize, u128) {
    let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
    let mut fold = Fold::new(&spec);
    fold.set_present(PRESENT);
    for (offset, value) in values.into_iter().enumerate() {
        fold.apply(&Record {
            offset: offset as u64,
            timestamp_ms: Some(PRESENT),
            value: Some(value.as_bytes().to_vec()),
            ..Record::default()
        });
    }
    assert_eq!(fold.counts().dead_letter, 0);
    assert_eq!(fold.counts().unreadable_time, 0);
    let gains = fold.slots.values().flat_map(|slot| &slot.gains);
    let millionths: u128 = gains.map(|g| g.each * u128::from(g.to - g.from + 1)).sum();
    assert_eq!(millionths % 1_000_000, 0);
    (fold.slots.len(), millionths / 1_000_000)
}

/// The folder of the shared file.
fn cases() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().find(|f| f.join("Cargo.lock").exists());
    let beside = || root.unwrap_or(own).join("../shared/cases");
    std::env::var_os("KOL_CASES").map_or_else(beside, PathBuf::from)
}

#[test]
fn every_case_of_this_file_gains_what_is_right() {
    for (name, values, gain) in CASES {
        assert_eq!(
            gained(values.iter().copied()),
            (1, u128::from(gain)),
            "{name}"
        );
    }
}

#[test]
fn every_case_of_the_shared_file_gains_what_is_right() {
    let file = cases().join("records.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("NOT TESTED: {} is not there", file.display());
        return;
    };
    for line in text.lines() {
        let case = parse(line).expect("a case in each line");
        let text = |key: &str| match case.get(key) {
            Some(Json::Text(text)) => text.clone(),
            other => panic!("{key}: {other:?}"),
        };
        let Some(Json::List(values)) = case.get("values") else {
            panic!("no values in {line}");
        };
        let values = values.iter().map(|value| match value {
            Json::Text(text) => text.as_str(),
            other => panic!("{other:?} is no record"),
        });
        let right = text("right");
        let after = right.split("gain ").nth(1).expect("a gain");
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let gain: u128 = digits.parse().expect("a gain");
        assert_eq!(gained(values), (1, gain), "{}", text("case"));
    }
}
