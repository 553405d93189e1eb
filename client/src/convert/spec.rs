//! Writes the job spec, and says what became of every setting.

use std::fmt::Write as _;

use kol_common::checkpoint::Location;

use super::Settings;

/// Why a setting is not carried over; by prefix of its name.
const WITHOUT_MEANING: [(&str, &str); 12] = [
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
        "spark.driver",
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
        "maxOffsetsPerTrigger",
        "there are no triggers; see source.max_rate_per_partition",
    ),
    ("REDIS_DB", "part of sink.url"),
    ("spark.", "it tunes Spark itself"),
];

/// Settings that the spec takes up.
const TAKEN: [&str; 15] = [
    "kafka.bootstrap.servers",
    "KAFKA_BOOTSTRAP_SERVERS",
    "KAFKA_BROKER",
    "subscribe",
    "KAFKA_TOPIC",
    "startingOffsets",
    "failOnDataLoss",
    "kafka.group.id",
    "KAFKA_GROUP_ID",
    "checkpointLocation",
    "CHECKPOINT_DIR",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "spark.app.name",
];

/// The spec as TOML with comments.
pub fn write(settings: &Settings) -> String {
    let get = |names: &[&str]| names.iter().find_map(|n| settings.get(*n)).cloned();
    let mut out = String::new();
    let name = get(&["spark.app.name"]).map_or_else(|| "kol-trending".to_owned(), |n| as_name(&n));
    let bootstrap = get(&[
        "kafka.bootstrap.servers",
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_BROKER",
    ]);
    let topics = get(&["subscribe", "KAFKA_TOPIC"]).unwrap_or_else(|| "kol.videos.raw".into());
    let topics: Vec<_> = topics.split(',').map(|t| text(t.trim())).collect();
    let group = get(&["kafka.group.id", "KAFKA_GROUP_ID"]);
    let loss = match get(&["failOnDataLoss"]).as_deref() {
        Some("false") => "continue",
        // Spark's own default is to fail.
        _ => "fail",
    };
    let rate = get(&["spark.streaming.kafka.maxRatePerPartition"]);
    line(&mut out, &format!("name = {}\n\n[source]", text(&name)));
    line(
        &mut out,
        &format!(
            "bootstrap = {}",
            text(&bootstrap.unwrap_or_else(|| "localhost:9092".into()))
        ),
    );
    line(&mut out, &format!("topics = [{}]", topics.join(", ")));
    line(
        &mut out,
        &format!(
            "group_id = {}",
            text(&group.unwrap_or_else(|| "kol-streaming-consumer".into()))
        ),
    );
    line(
        &mut out,
        &starting_offsets(get(&["startingOffsets"]).as_deref()),
    );
    line(&mut out, &format!("on_data_loss = \"{loss}\""));
    if let Some(rate) = rate {
        line(&mut out, &format!("# max_rate_per_partition = {rate}"));
    }
    line(
        &mut out,
        "\n[scoring]\n# Counters of crawled videos are lifetime totals; the old job added them up.\ncounters = \"cumulative\"",
    );
    line(
        &mut out,
        &format!("\n[sink]\nurl = {}", text(&redis_url(settings))),
    );
    line(
        &mut out,
        "# The old job's streaming_scores:{kol} as well.\nlegacy_hashes = true",
    );
    if let Some(old) = get(&["checkpointLocation", "CHECKPOINT_DIR"]) {
        line(&mut out, &format!("\n[checkpoint]\n{}", location(&old)));
    }
    let unused = unused(settings);
    if !unused.is_empty() {
        line(&mut out, "\n# Not carried over:");
        for (key, value, why) in unused {
            line(&mut out, &format!("#   {key} = {value}: {why}"));
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "{text}");
}

/// A TOML text.
fn text(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

fn as_name(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name
        .trim()
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .take(100)
        .collect();
    if name.is_empty() {
        "kol-trending".into()
    } else {
        name
    }
}

fn starting_offsets(value: Option<&str>) -> String {
    match value {
        Some("earliest") => "starting_offsets = \"earliest\"".into(),
        None | Some("latest") => "starting_offsets = \"latest\"".into(),
        Some(other) => format!(
            "starting_offsets = \"latest\"\n# The old job started at {}: write it as {{ partitions = {{ \"0\" = 123 }} }}.",
            other.replace(['\n', '\r'], " ")
        ),
    }
}

fn redis_url(settings: &Settings) -> String {
    let get = |name: &str, default: &str| {
        settings
            .get(name)
            .map_or_else(|| default.to_owned(), Clone::clone)
    };
    format!(
        "redis://{}:{}/{}",
        get("REDIS_HOST", "localhost"),
        get("REDIS_PORT", "6379"),
        get("REDIS_DB", "0")
    )
}

/// Must lie below `--checkpoint-root` of kol-master, which is also the place when none is named.
fn location(old: &str) -> String {
    let url = match old.split_once("://") {
        None if old.starts_with('/') => format!("file://{old}"),
        // Names of the Hadoop connectors for the same buckets.
        Some(("s3a" | "s3n", place)) => format!("s3://{place}"),
        _ => old.to_owned(),
    };
    match url.parse::<Location>() {
        Ok(place) => format!("location = {}", text(&place.to_string())),
        Err(_) => format!(
            "# {old} cannot be used: name a folder that kol-master and all executors share, or a bucket.\n\
             # location = \"file:///…\" or \"s3://…\""
        ),
    }
}

fn unused(settings: &Settings) -> Vec<(&str, &str, &str)> {
    let taken = |key: &str| TAKEN.contains(&key);
    settings
        .iter()
        .filter(|(key, _)| !taken(key))
        .map(|(key, value)| {
            let why = WITHOUT_MEANING
                .iter()
                .find(|(prefix, _)| key.starts_with(prefix))
                .map_or(
                    "put it into [source.properties] if the client needs it",
                    |(_, why)| *why,
                );
            (key.as_str(), value.as_str(), why)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::find;

    #[test]
    fn what_is_written_is_a_spec_that_parses_and_means_the_same() {
        let old = r#"
            .appName("x").config("spark.app.name", "KOL Trending!")
            .config("spark.executor.memory", "2g")
            .config("spark.streaming.kafka.maxRatePerPartition", "1000")
            .option("kafka.bootstrap.servers", "kafka:9092")
            .option("subscribe", "kol.videos.raw,kol.profiles.raw")
            .option("startingOffsets", "earliest")
            .option("kafka.group.id", "kol-streaming-consumer")
            .option("checkpointLocation", "/opt/checkpoints")
            REDIS_HOST=redis
        "#;
        let toml = write(&find(old));
        let spec = kol_common::job::parse(&toml, "converted")
            .unwrap_or_else(|e| panic!("{e}\n{toml}"))
            .spec;
        assert_eq!(spec.name, "KOL-Trending-");
        assert_eq!(spec.source.topics(), ["kol.videos.raw", "kol.profiles.raw"]);
        assert_eq!(spec.source.max_rate_per_partition(), 0, "it never acted");
        assert!(toml.contains("# max_rate_per_partition = 1000"));
        assert!(
            toml.contains("spark.executor.memory = 2g: give it to each kol-executor as --memory")
        );
        assert_eq!(spec.sink.url, "redis://redis:6379/0");
        assert!(spec.sink.legacy_hashes);
        assert_eq!(spec.checkpoint.location, "file:///opt/checkpoints");
        assert_eq!(
            spec.source.on_data_loss(),
            kol_common::job::OnDataLoss::Fail
        );
    }

    #[test]
    fn a_bucket_of_the_old_job_is_the_bucket_of_the_new_one() {
        assert_eq!(location("s3a://old/ckp"), "location = \"s3://old/ckp\"");
        let elsewhere = location("hdfs://namenode/ckp");
        assert!(
            elsewhere.starts_with("# hdfs://namenode/ckp"),
            "{elsewhere}"
        );
    }

    #[test]
    fn nothing_found_gives_the_defaults() {
        let toml = write(&find("nothing here"));
        assert!(kol_common::job::parse(&toml, "converted").is_ok(), "{toml}");
    }
}
