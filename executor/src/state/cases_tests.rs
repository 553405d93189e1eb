//! Records as they arrive from crawlers, decoded and applied: what all of a series gain. Own series, and those of the file
//! `records.jsonl` in `$KOL_CASES` (default: the folder `shared/cases` beside the repository) where that is there.

use std::path::{Path, PathBuf};

use kol_common::event::Decoder;
use kol_common::job::{Counters, Profile, ScoringSpec};

use super::*;

const DAY: u64 = 86_400_000;

/// What is special, what the records of one video say besides its names, and what they gain.
type Case = (&'static str, &'static [&'static str], u64);

/// Each reading is a day after the one before it, where it does not say when it was.
const CASES: [Case; 13] = [
    (
        "a letter after a blank is a word",
        &[
            r#""like_count_raw":"8 B""#,
            r#""like_count_raw":"8,5 B""#,
            r#""like_count_raw":"9 M""#,
            r#""like_count_raw":"9 B""#,
        ],
        0,
    ),
    (
        "a letter right behind the number is a factor",
        &[
            r#""like_count_raw":"2.1K""#,
            r#""like_count_raw":"2.4k""#,
            r#""comment_count_raw":"1M""#,
        ],
        300,
    ),
    (
        "a dot before three digits of text separates thousands somewhere",
        &[
            r#""like_count":"4.000""#,
            r#""like_count":"5.000""#,
            r#""like_count":5100"#,
            r#""like_count":5150"#,
        ],
        50,
    ),
    (
        "text of a float",
        &[r#""share_count":"17.0""#, r#""share_count":"19.00""#],
        2,
    ),
    (
        "commas between groups of three",
        &[r#""like_count":"1,999""#, r#""like_count":"2,004""#],
        5,
    ),
    (
        "a glitch",
        &[
            r#""like_count":30000"#,
            r#""like_count":0"#,
            r#""like_count":30007"#,
        ],
        7,
    ),
    (
        "a glitch that shows the label of a button",
        &[
            r#""like_count":30000"#,
            r#""like_count_raw":"Like""#,
            r#""like_count":30007"#,
        ],
        7,
    ),
    (
        "a label while nothing was counted",
        &[r#""share_count_raw":"Share""#, r#""share_count":6"#],
        6,
    ),
    (
        "a fall that is confirmed",
        &[
            r#""like_count":9000"#,
            r#""like_count":700"#,
            r#""like_count":704"#,
            r#""like_count":720"#,
        ],
        16,
    ),
    (
        "a fall to more than half",
        &[
            r#""like_count":9000"#,
            r#""like_count":8800"#,
            r#""like_count":8830"#,
        ],
        30,
    ),
    (
        "numbers that are none",
        &[
            r#""like_count":40,"comment_count":1"#,
            r#""like_count":NaN,"comment_count":-Infinity"#,
            r#""like_count":45,"comment_count":3"#,
        ],
        7,
    ),
    (
        "times in all their forms",
        &[
            r#""event_time":1795132800,"like_count":10"#,
            r#""event_time":"1795219200000","like_count":20"#,
            r#""event_time":1795305600000000,"like_count":30"#,
            r#""event_time":"2026-11-23 00:00:00 UTC","like_count":40"#,
            r#""event_time":"20261124T000000Z","like_count":50"#,
            r#""event_time":"Wed Nov 25 00:00:00 +0000 2026","like_count":60"#,
        ],
        50,
    ),
    (
        "one creator in several spellings that look the same",
        &[
            r#""username":"ren\u00e9e","like_count":1"#,
            r#""username":"rene\u0301e","like_count":4"#,
            r#""username":" @ren\u00e9\u200be","like_count":6"#,
        ],
        5,
    ),
];

/// How many creators there are, and what the first one gained, in engagements.
fn gained<'v>(values: impl IntoIterator<Item = &'v str>) -> (usize, f64) {
    let mut spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
    // It holds all readings of a case.
    spec.window = Millis(10 * DAY);
    let mut state = State::new(Arc::new(Scoring::new(&spec)));
    let decoder = Decoder::new("tiktok");
    for value in values {
        let event = decoder.decode(Some(value.as_bytes()));
        let event = event.unwrap_or_else(|e| panic!("{value}: {e}"));
        state.apply(&event, event.event_time.unwrap());
    }
    let slot = state.share(0).unwrap();
    (state.size().0, slot.engagement_e6 / 1e6)
}

/// A whole record, with a byte order mark where the number is odd.
fn record(day: usize, says: &str) -> String {
    let mark = if day % 2 == 1 { "\u{feff}" } else { "" };
    let mut others = r#""video_id":"v""#.to_owned();
    if !says.contains("username") {
        others.push_str(r#","username":"renee""#);
    }
    if !says.contains("event_time") {
        others.push_str(&format!(
            r#","event_time":"2026-11-{}T00:00:00Z""#,
            20 + day
        ));
    }
    format!("{mark}{{{says},{others}}}")
}

#[test]
fn every_series_of_this_file_gains_what_is_right() {
    let wrong = CASES.iter().filter_map(|(case, says, gain)| {
        let records = (0..).zip(*says).map(|(day, says)| record(day, says));
        let records: Vec<_> = records.collect();
        let gained = gained(records.iter().map(|record| &**record));
        (gained != (1, *gain as f64)).then_some((case, gained))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_shared_cases_gain_what_they_say() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().find(|f| f.join("Cargo.lock").exists());
    let beside = || root.unwrap_or(own).join("../shared/cases");
    let folder = std::env::var_os("KOL_CASES").map_or_else(beside, PathBuf::from);
    let Ok(cases) = std::fs::read_to_string(folder.join("records.jsonl")) else {
        eprintln!("NOT TESTED: {} has no records", folder.display());
        return;
    };
    for case in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(case).unwrap();
        let values = case["values"].as_array().unwrap();
        let right = case["right"].as_str().unwrap();
        let (_, gain) = right.split_once("gain ").unwrap();
        let digits = gain.find(|c: char| !c.is_ascii_digit());
        let gain: f64 = gain[..digits.unwrap_or(gain.len())].parse().unwrap();
        let values = values.iter().map(|value| value.as_str().unwrap());
        assert_eq!(gained(values), (1, gain), "{case}");
    }
}
