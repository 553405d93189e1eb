//! What to replay.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::root;
use kol_fold::Record;

/// What producers key their records by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// By the creator's name.
    Username,
    /// The video; the creator where there is none.
    VideoId,
    /// None at all.
    None,
}

/// Real crawls from `$KOL_DATA` (default: the folder `shared/data` beside the repository) when they
/// are there, otherwise generated ones. Sorted by event time, which is also the records' time.
pub fn real_or_generated(key: Key) -> Vec<Record> {
    let folder =
        std::env::var_os("KOL_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!(
            "{} is not there: generated data stands in",
            folder.display()
        );
        return generated(key, 300, 20_000, 7);
    };
    let mut events = Vec::new();
    for file in files.flatten().map(|f| f.path()) {
        if file.extension().is_some_and(|e| e == "gz") {
            let opened = std::fs::File::open(&file).expect("a data file");
            let lines = BufReader::new(flate2::read::GzDecoder::new(opened)).lines();
            events.extend(lines.map(|line| line.expect("a line")));
        }
    }
    assert!(!events.is_empty(), "{} holds no *.gz", folder.display());
    into_records(events, key)
}

/// Readings of `kols` creators over eight days, a few with raw strings, nulls, late or malformed.
pub fn generated(key: Key, kols: u32, events: u32, seed: u64) -> Vec<Record> {
    const START_MS: i64 = 1_750_636_800_000;
    const LENGTH_MS: i64 = 8 * 24 * 3_600_000;
    let mut random = StdRng::seed_from_u64(seed);
    let mut lines = Vec::new();
    for number in 0..events {
        let at = START_MS + LENGTH_MS / i64::from(events) * i64::from(number);
        let delay = if number % 97 == 0 {
            random.random_range(0..9 * 24 * 3_600_000)
        } else {
            0
        };
        // Squaring makes a few creators much busier than the others.
        let share = random.random::<f64>();
        let kol = (share * share * f64::from(kols)) as u32;
        let likes =
            (at - START_MS) as u64 / 60_000 * u64::from(kols - kol) + random.random_range(0..50);
        let mut event = json!({
            "event_time": kol_common::Millis((at - delay) as u64).iso(),
            "username": format!("kol_{kol}"),
            "video_id": format!("{}", 7_000_000 + kol * 10 + random.random_range(0..5)),
            "like_count": likes,
            "comment_count": likes / 10,
            "share_count_raw": if kol.is_multiple_of(2) { "Share".to_owned() } else { format!("{:.1}K", likes as f64 / 1e4) },
        });
        if number % 50 == 0 {
            event["comment_count"] = Value::Null;
        }
        lines.push(if number % 501 == 0 {
            "{".to_owned()
        } else {
            event.to_string()
        });
    }
    into_records(lines, key)
}

fn into_records(events: Vec<String>, key: Key) -> Vec<Record> {
    let mut timed: Vec<(u64, Option<Vec<u8>>, String)> = Vec::new();
    for line in events {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        let time = text("event_time").and_then(|t| t.parse::<jiff::Timestamp>().ok());
        let time = time.map_or(1_750_636_800_000, |t| t.as_millisecond() as u64);
        let key = match key {
            Key::None => None,
            Key::Username => text("username"),
            Key::VideoId => text("video_id").or_else(|| text("username")),
        };
        timed.push((time, key.map(String::into_bytes), line));
    }
    timed.sort_by_key(|(time, ..)| *time);
    timed
        .into_iter()
        .map(|(time, key, line)| Record {
            timestamp_ms: Some(time),
            key,
            value: Some(line.into_bytes()),
            ..Record::default()
        })
        .collect()
}
