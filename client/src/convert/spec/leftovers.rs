//! What is not carried over, and why. Values are shown only where they cannot be secrets.

use super::draft::Draft;
use super::login;
use super::streams::Chosen;
use crate::convert::model::{Facts, Setting};

/// Longest list; the rest is counted.
const MOST: usize = 100;

/// Why a setting is not carried over; by prefix of its name.
const REASONS: [(&str, &str); 28] = [
    (
        "spark.executor.instances",
        "executors are started, not configured: run this many kol-executor",
    ),
    (
        "spark.executor.memory",
        "give it to each kol-executor as --memory",
    ),
    (
        "spark.executor.cores",
        "give it to each kol-executor as --cores",
    ),
    (
        "spark.driver.",
        "there is no driver: kol-master needs a few MiB",
    ),
    ("spark.master", "kol-client takes --master"),
    (
        "spark.sql.shuffle",
        "nothing is shuffled: partitions keep their creators",
    ),
    (
        "spark.sql.streaming",
        "state is kept by each partition itself",
    ),
    (
        "spark.streaming.kafka.maxRatePerPartition",
        "it never acted on Structured Streaming; commented out as source.max_rate_per_partition",
    ),
    (
        "spark.streaming",
        "it belongs to DStreams and never acted on Structured Streaming",
    ),
    (
        "spark.dynamicAllocation",
        "start and stop kol-executor processes: partitions move by themselves",
    ),
    (
        "spark.hadoop.",
        "kol-master and kol-executor read the usual variables of AWS",
    ),
    (
        "spark.kubernetes.",
        "it says how Spark's own containers run",
    ),
    (
        "spark.kafka.",
        "it is for Spark's own Kafka client; what is still needed goes into [source.properties]",
    ),
    ("spark.", "it tunes Spark itself"),
    (
        "maxoffsetspertrigger",
        "there are no triggers; source.max_rate_per_partition limits each partition, a second",
    ),
    ("minoffsetspertrigger", "there are no triggers"),
    ("maxtriggerdelay", "there are no triggers"),
    ("minpartitions", "a partition of Kafka is the unit of work"),
    (
        "maxrecordsperpartition",
        "a partition of Kafka is the unit of work",
    ),
    ("groupidprefix", "source.group_id is the whole name"),
    ("includeheaders", "headers of records are not read"),
    ("fetchoffset.", "the client tries again by itself"),
    ("kafkaconsumer.", "the client tries again by itself"),
    ("kafka.", "the client here has no property of this meaning"),
    (
        "trigger",
        "there are no triggers: changes are sent each sink.flush_interval",
    ),
    (
        "watermark",
        "scoring.lateness; its default fits counters = \"cumulative\"",
    ),
    (
        "window slide",
        "scoring.slide; its default fits counters = \"cumulative\"",
    ),
    (
        "window",
        "scoring.window; its default fits counters = \"cumulative\", of which a short window holds no two readings",
    ),
];

/// Options and settings that other parts of the spec answer.
const TAKEN: [&str; 17] = [
    "kafka.bootstrap.servers",
    "kafka.group.id",
    "subscribe",
    "subscribepattern",
    "assign",
    "startingoffsets",
    "startingtimestamp",
    "startingoffsetsbytimestamp",
    "failondataloss",
    "spark.app.name",
    "spark.redis.host",
    "spark.redis.port",
    "spark.redis.db",
    "spark.redis.user",
    "spark.redis.auth",
    "spark.redis.ssl",
    "checkpointlocation",
];

/// Writes the hints and the list.
pub fn write(facts: &Facts, chosen: &Chosen<'_>, draft: &mut Draft) {
    sizing(facts, draft);
    let options = chosen.options();
    let mut all: Vec<&Setting> = Vec::new();
    for (key, setting) in options.iter().chain(&facts.spark) {
        let carried = TAKEN.contains(&key.as_str())
            || login::is_taken(key)
            || (key == "spark.sql.streaming.checkpointLocation" && facts.checkpoints.is_empty());
        if !carried {
            all.push(setting);
        }
    }
    all.extend(&facts.timing);
    if all.is_empty() && facts.habits.is_empty() {
        return;
    }
    draft.line("\n# Not carried over:");
    for setting in all.iter().take(MOST) {
        draft.comment(&format!("  {}", entry(setting)));
    }
    for habit in facts.habits.iter().take(MOST) {
        draft.comment(&format!(
            "  {}: {} ({})",
            habit.what, habit.here, habit.origin
        ));
    }
    let more = all.len().saturating_sub(MOST) + facts.habits.len().saturating_sub(MOST);
    if more > 0 {
        draft.comment(&format!("  and {more} more"));
    }
}

fn entry(setting: &Setting) -> String {
    let key = crate::convert::secrets::shown(&setting.key);
    let lower = setting.key.to_lowercase();
    let reason = REASONS
        .iter()
        .find(|(prefix, _)| setting.key.starts_with(prefix) || lower.starts_with(prefix))
        .map_or("a job here has no setting of this meaning", |(_, why)| *why);
    let is_plain = login::may_show(setting) && !setting.key.starts_with("spark.hadoop.");
    if is_plain {
        format!(
            "{key} = {}: {reason} ({})",
            setting.value.question(),
            setting.origin
        )
    } else {
        format!("{key}: {reason} ({})", setting.origin)
    }
}

/// How much the old job had.
fn sizing(facts: &Facts, draft: &mut Draft) {
    let get = |key: &str| facts.spark.get(key).map(|s| s.value.question());
    let instances = get("spark.executor.instances");
    let memory = get("spark.executor.memory").map(|m| format!(" with {m} of memory"));
    let cores = get("spark.executor.cores").map(|c| format!(" and {c} cores"));
    if instances.is_none() && memory.is_none() {
        return;
    }
    draft.line("");
    draft.comment(&format!(
        "Sizing: the old job had {} executors{}{}. Begin with as many kol-executor, and stop what idles.",
        instances.as_deref().unwrap_or("an unknown number of"),
        memory.unwrap_or_default(),
        cores.unwrap_or_default()
    ));
}
