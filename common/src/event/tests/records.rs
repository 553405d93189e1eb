//! Counters, times and names as they arrive, read by read: what each value of a series is read as.

use super::super::*;

/// A field as it is written, and the likes that it shows.
type Shown = (&'static str, Option<u64>);

/// Series of values.
const SERIES: [(&str, &[Shown]); 7] = [
    (
        "a suffix after a blank says nothing",
        &[
            (r#""like_count_raw":"3 B""#, None),
            (r#""like_count_raw":"3,1 B""#, None),
        ],
    ),
    (
        "a suffix right behind the number counts",
        &[
            (r#""like_count_raw":"2.2K""#, Some(2_200)),
            (r#""like_count_raw":"2.3k""#, Some(2_300)),
        ],
    ),
    (
        "a dot before three digits of text says nothing",
        &[
            (r#""like_count_raw":"4.100""#, None),
            (r#""like_count_raw":"4.000""#, None),
            (r#""like_count":4.100e3"#, Some(4_100)),
        ],
    ),
    (
        "the text of a float is its number",
        &[
            (r#""like_count":"204.0""#, Some(204)),
            (r#""like_count":"205.00""#, Some(205)),
        ],
    ),
    (
        "a label counts as zero",
        &[
            (r#""like_count_raw":"Like""#, Some(0)),
            (r#""like_count_raw":"Thích""#, Some(0)),
        ],
    ),
    (
        "the bound of counters",
        &[
            (r#""like_count":1000000000000"#, Some(1_000_000_000_000)),
            (r#""like_count":1000000000001"#, None),
            (r#""like_count":1e13"#, None),
            (r#""like_count":"1,000B""#, Some(1_000_000_000_000)),
            (r#""like_count":"1,001B""#, None),
        ],
    ),
    (
        "what is no number is missing",
        &[
            (r#""like_count":NaN"#, None),
            (r#""like_count":-1"#, None),
            (r#""like_count":"NaN""#, None),
            (r#""like_count":true"#, None),
            (r#""like_count":{"n":1}"#, None),
        ],
    ),
];

#[test]
fn each_value_of_a_series_is_read_as_it_should_be() {
    let decoder = Decoder::new("tiktok");
    let mut wrong = Vec::new();
    for (case, values) in SERIES {
        for (field, likes) in values {
            let value = format!("{{\"username\":\"bea\",{field}}}");
            let event = decoder.decode(Some(value.as_bytes()));
            let event = event.unwrap_or_else(|e| panic!("{case}: {value}: {e}"));
            if event.likes != *likes {
                wrong.push((case, *field, event.likes));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Cases that are handed around beside the repository (`KOL_CASES`) are decoded when they are there; what they, and
/// others like them, gain is a test of the executor's state.
#[test]
fn every_record_of_the_shared_cases_is_usable_and_names_one_creator() {
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().find(|f| f.join("Cargo.lock").exists());
    let beside = || root.unwrap_or(own).join("../shared/cases");
    let folder = std::env::var_os("KOL_CASES").map_or_else(beside, std::path::PathBuf::from);
    let Ok(cases) = std::fs::read_to_string(folder.join("records.jsonl")) else {
        eprintln!("NOT TESTED: {} has no records", folder.display());
        return;
    };
    let decoder = Decoder::new("tiktok");
    for case in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(case).unwrap();
        let mut creators = std::collections::BTreeSet::new();
        for value in case["values"].as_array().unwrap() {
            let event = decoder.decode(Some(value.as_str().unwrap().as_bytes()));
            let event = event.unwrap_or_else(|e| panic!("{case}: {e}"));
            assert!(event.event_time.is_some(), "{case}");
            creators.insert(event.kol.into_owned());
        }
        assert_eq!(creators.len(), 1, "{case}");
    }
}
