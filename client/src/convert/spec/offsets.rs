//! Where the old job starts to read, as far as a spec can say it: a spec has offsets for the first
//! topic only, and partitions that it does not name start at the oldest record.

use std::collections::BTreeMap;

use kol_common::Millis;

use crate::convert::model::{Setting, Settings};

/// Options that say where a stream starts, in Spark's order of precedence.
pub const KEYS: [&str; 3] = [
    "startingtimestamp",
    "startingoffsetsbytimestamp",
    "startingoffsets",
];

/// Spark's numbers for the newest and the oldest record.
const NEWEST: i64 = -1;
const OLDEST: i64 = -2;

/// The end of the year 9999, in milliseconds: later times have no ISO 8601 form.
const LAST_TIME: u64 = 253_402_300_799_999;

/// Where to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Earliest,
    /// At what arrives from now on.
    Latest,
    /// At this time, ISO 8601.
    Timestamp(String),
    /// At these offsets of the partitions of one topic.
    Partitions {
        /// The topic; it must be the first of the spec.
        topic: String,
        /// Offset by partition.
        offsets: BTreeMap<u32, u64>,
    },
    /// What a person has to decide.
    Missing(String),
}

/// What the options of a stream say.
pub fn start(options: &Settings, topics: &[String]) -> Start {
    let Some((key, setting)) = KEYS.iter().find_map(|key| Some((*key, options.get(*key)?))) else {
        return Start::Latest;
    };
    let Some(text) = setting.value.value() else {
        return Start::Missing(setting.value.question());
    };
    let text = text.trim();
    let translated = match key {
        "startingtimestamp" => text
            .parse::<i64>()
            .ok()
            .map_or_else(|| Err("it is not a time in milliseconds".into()), at),
        "startingoffsetsbytimestamp" => table(text).and_then(|table| by_time(&table)),
        _ => match text.to_ascii_lowercase().as_str() {
            "earliest" => Ok(Start::Earliest),
            "latest" => Ok(Start::Latest),
            _ => table(text).and_then(|table| by_offset(table, topics)),
        },
    };
    translated.unwrap_or_else(|why| refused(setting, text, &why))
}

fn refused(setting: &Setting, text: &str, why: &str) -> Start {
    Start::Missing(format!("{why}; the old job says {} = {text}", setting.key))
}

type Table = BTreeMap<String, BTreeMap<u32, i64>>;

/// `{"topic": {"0": 23, "1": -2}}`
fn table(text: &str) -> Result<Table, String> {
    let table: BTreeMap<String, BTreeMap<String, i64>> =
        serde_json::from_str(text).map_err(|_| "it is not what Spark accepts here".to_owned())?;
    let mut all = Table::new();
    for (topic, partitions) in table {
        let mut numbers = BTreeMap::new();
        for (partition, offset) in partitions {
            let number = partition
                .parse::<u32>()
                .map_err(|_| format!("{partition} is not a partition"))?;
            numbers.insert(number, offset);
        }
        all.insert(topic, numbers);
    }
    Ok(all)
}

fn by_offset(table: Table, topics: &[String]) -> Result<Start, String> {
    let all: Vec<i64> = table.values().flat_map(|p| p.values().copied()).collect();
    if let Some(wrong) = all.iter().find(|offset| **offset < OLDEST) {
        return Err(format!(
            "{wrong} is not an offset: -1 is the newest, -2 the oldest record"
        ));
    }
    if all.is_empty() {
        return Err("it names no partition".into());
    }
    if let Some(other) = table
        .keys()
        .find(|topic| !topics.is_empty() && !topics.contains(topic))
    {
        return Err(format!("{other} is not one of the topics"));
    }
    if topics.iter().any(|topic| !table.contains_key(topic)) {
        return Err("it does not name all topics".into());
    }
    if all.iter().all(|offset| *offset == OLDEST) {
        return Ok(Start::Earliest);
    }
    if all.iter().all(|offset| *offset == NEWEST) {
        return Ok(Start::Latest);
    }
    if all.contains(&NEWEST) {
        return Err(
            "a spec cannot start some partitions at the newest record (-1) and others not".into(),
        );
    }
    let mut with_offsets = table
        .into_iter()
        .filter(|(_, partitions)| partitions.values().any(|offset| *offset >= 0));
    match (with_offsets.next(), with_offsets.next()) {
        (Some((topic, partitions)), None) => {
            let offsets = partitions
                .into_iter()
                .filter_map(|(partition, offset)| Some((partition, u64::try_from(offset).ok()?)))
                .collect();
            Ok(Start::Partitions { topic, offsets })
        }
        _ => Err("a spec has offsets for one topic only".into()),
    }
}

fn by_time(table: &Table) -> Result<Start, String> {
    let mut all = table.values().flat_map(|p| p.values().copied());
    let first = all.next().ok_or("it names no partition")?;
    if all.any(|other| other != first) {
        return Err("a spec has one time for all partitions".into());
    }
    at(first)
}

fn at(millis: i64) -> Result<Start, String> {
    let millis =
        u64::try_from(millis).map_err(|_| "it is not a time in milliseconds".to_owned())?;
    if millis > LAST_TIME {
        return Err("it is not a time in milliseconds".into());
    }
    Ok(Start::Timestamp(Millis(millis).iso()))
}
