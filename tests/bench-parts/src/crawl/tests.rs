use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::*;

type Event = Map<String, Value>;

const OPTIONS: Options = Options {
    kols: 389,
    events: 43_887,
    end: Millis(1_782_864_000_000),
    span: SPAN,
    seed: 42,
};

fn lines(options: Options) -> Vec<String> {
    let mut crawl = Crawl::new(options);
    let mut value = Vec::new();
    let events = (0..options.events).map(|_| {
        let kol = crawl.next_into(&mut value);
        let text = String::from_utf8(value.clone()).unwrap();
        assert!(text.contains(&Crawl::username(kol)), "{text}");
        text
    });
    events.collect()
}

fn events(lines: &[String]) -> Vec<Event> {
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text<'a>(event: &'a Event, key: &str) -> &'a str {
    event[key].as_str().unwrap()
}

/// What events are like: the mean of some properties.
fn character(lines: &[String]) -> BTreeMap<&'static str, f64> {
    let events = events(lines);
    let count = lines.len() as f64;
    let share =
        |is: &dyn Fn(&Event) -> bool| events.iter().filter(|e| is(e)).count() as f64 / count;
    let different = |key: &str| {
        events
            .iter()
            .map(|e| text(e, key))
            .collect::<BTreeSet<_>>()
            .len()
    };
    BTreeMap::from([
        (
            "bytes",
            lines.iter().map(String::len).sum::<usize>() as f64 / count,
        ),
        (
            "readings of a creator",
            count / different("username") as f64,
        ),
        ("readings of a video", count / different("video_id") as f64),
        (
            "rounded views",
            share(&|e| e.contains_key("view_count_raw")),
        ),
        (
            "rounded likes",
            share(&|e| e.contains_key("like_count_raw")),
        ),
        (
            "shares as a label",
            share(&|e| e.get("share_count_raw") == Some(&"Share".into())),
        ),
        (
            "no views",
            share(&|e| e.get("view_count") == Some(&Value::Null)),
        ),
    ])
}

/// The crawls themselves, where they are: `$KOL_DATA`, or beside the repository.
fn crawled() -> Option<Vec<String>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("KOL_DATA").map_or_else(beside, PathBuf::from);
    let file = std::fs::File::open(folder.join("tiktok-vn-2025-06.videos.jsonl.gz")).ok()?;
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    Some(lines.map(Result::unwrap).collect())
}

#[test]
fn events_are_like_those_of_real_crawls() {
    let generated = lines(OPTIONS);
    // As they were, should they not be there.
    let known = BTreeMap::from([
        ("bytes", 303.8),
        ("readings of a creator", 112.8),
        ("readings of a video", 3.19),
        ("rounded views", 0.67),
        ("rounded likes", 0.167),
        ("shares as a label", 0.159),
        ("no views", 0.024),
    ]);
    let real = crawled().map_or(known, |lines| character(&lines));
    for (what, found) in character(&generated) {
        let real = real[what];
        assert!(
            (found / real - 1.0).abs() < 0.25,
            "{what}: {found:.3}, of real crawls {real:.3}"
        );
    }
    let bytes = (character(&generated)["bytes"], real["bytes"]);
    assert!((bytes.0 / bytes.1 - 1.0).abs() < 0.02, "{bytes:?}");
    if let Some(real) = crawled() {
        let keys = |line: &String| {
            let event: Event = serde_json::from_str(line).unwrap();
            event.keys().cloned().collect::<Vec<_>>()
        };
        let usual: BTreeSet<_> = real.iter().map(keys).collect();
        let unusual: BTreeSet<_> = generated
            .iter()
            .map(keys)
            .filter(|k| !usual.contains(k))
            .collect();
        assert!(unusual.len() <= 2, "{unusual:#?}");
    }
}

#[test]
fn the_same_options_give_the_same_events() {
    let few = Options {
        events: 2_000,
        ..OPTIONS
    };
    assert_eq!(lines(few), lines(few));
    let other = Options { seed: 43, ..few };
    assert_ne!(lines(few), lines(other));
}

#[test]
fn no_two_creators_have_one_name() {
    let names: BTreeSet<u64> = (0..1_000_000).map(creator::name).collect();
    assert_eq!(names.len(), 1_000_000);
    assert_eq!(Crawl::username(389).len(), 13);
}

#[test]
fn all_creators_come_and_their_readings_are_in_visits_newest_video_first() {
    let options = Options {
        kols: 2_000,
        events: 60_000,
        ..OPTIONS
    };
    let events = events(&lines(options));
    let mut of_each: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for event in &events {
        let id = text(event, "video_id").parse::<u64>().unwrap();
        of_each
            .entry(text(event, "username"))
            .or_default()
            .push((text(event, "event_time"), id));
    }
    assert_eq!(of_each.len(), 2_000);
    let mut older = 0;
    for readings in of_each.values() {
        for pair in readings.windows(2) {
            assert!(pair[0].0 <= pair[1].0, "{pair:?}");
            older += usize::from(pair[1].1 < pair[0].1);
        }
    }
    // Thirty readings in four visits: most follow one of a newer video.
    assert!(older > 60_000 * 3 / 4, "{older}");
    let times: Vec<&str> = events.iter().map(|e| text(e, "event_time")).collect();
    assert!(times.is_sorted(), "the log is in the order of the readings");
    assert_eq!(
        (times[0], times[59_999]),
        ("2026-06-23T00:00:00+00:00", "2026-06-30T23:59:48+00:00")
    );
}
