//! Finds settings in a file, whatever kind it is: spark-submit options, a properties file, the
//! `.option`, `.config` and `.set` literals of a PySpark script, the environment in a compose file.
//! Nothing is run; what is not a literal is not found.

use std::collections::BTreeMap;

/// Setting names as Spark spells them (or the environment variable's name), and their values. The
/// last word in the file counts.
pub type Settings = BTreeMap<String, String>;

/// Environment variables of the old job.
const ENVIRONMENT: [&str; 8] = [
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "CHECKPOINT_DIR",
    "KAFKA_BOOTSTRAP_SERVERS",
    "KAFKA_BROKER",
    "KAFKA_TOPIC",
    "KAFKA_GROUP_ID",
];

/// Options of the Kafka source that stand without a prefix.
const SOURCE_OPTIONS: [&str; 7] = [
    "kafka.bootstrap.servers",
    "subscribe",
    "startingOffsets",
    "failOnDataLoss",
    "kafka.group.id",
    "checkpointLocation",
    "maxOffsetsPerTrigger",
];

/// Finds all settings of a text.
pub fn find(text: &str) -> Settings {
    let mut found = Settings::new();
    calls(text, &mut found);
    command_line(text, &mut found);
    lines(text, &mut found);
    found
}

/// `.option("key", "value")`, `.config(…)`, `.set(…)`, and `os.getenv("KEY", "default")`.
fn calls(text: &str, found: &mut Settings) {
    for name in [".option(", ".config(", ".set(", "getenv(", "environ.get("] {
        let mut rest = text;
        while let Some(at) = rest.find(name) {
            rest = &rest[at + name.len()..];
            if let Some((key, value)) = two_literals(rest) {
                keep(found, &key, &value);
            }
        }
    }
}

/// Two literals with a comma between; numbers and truth values may stand without quotes.
fn two_literals(text: &str) -> Option<(String, String)> {
    let (key, rest) = quoted(text)?;
    let rest = rest.trim_start().strip_prefix(',')?;
    if let Some((value, _)) = quoted(rest) {
        return Some((key, value));
    }
    let end = rest.find([')', ','])?;
    let bare = rest[..end].trim();
    let literal =
        bare.parse::<f64>().is_ok() || matches!(bare, "True" | "False" | "true" | "false");
    literal.then(|| (key, bare.to_lowercase()))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (literal, rest) = text[1..].split_once(quote)?;
    Some((literal.to_owned(), rest))
}

/// `--conf key=value` and the flags of spark-submit.
fn command_line(text: &str, found: &mut Settings) {
    let mut words = text
        .split_ascii_whitespace()
        .filter(|word| *word != "\\")
        .map(|word| word.trim_matches(['"', '\'']));
    while let Some(word) = words.next() {
        let (flag, own) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
            _ => (word, None),
        };
        let key = match flag {
            "--num-executors" => "spark.executor.instances",
            "--executor-memory" => "spark.executor.memory",
            "--executor-cores" => "spark.executor.cores",
            "--driver-memory" => "spark.driver.memory",
            "--name" => "spark.app.name",
            "--master" => "spark.master",
            "--conf" => "--conf",
            _ => continue,
        };
        let Some(value) = own.or_else(|| words.next()) else {
            return;
        };
        if key != "--conf" {
            found.insert(key.to_owned(), value.to_owned());
        } else if let Some((key, value)) = value.split_once('=') {
            keep(found, key, value);
        }
    }
}

/// `key=value`, `key value` and `key: value` lines, with or without a dash before them.
fn lines(text: &str, found: &mut Settings) {
    for line in text.lines() {
        let line = line.trim().trim_start_matches("- ").trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.starts_with('#') {
            continue;
        }
        let Some(at) = line.find(|c: char| matches!(c, '=' | ':') || c.is_whitespace()) else {
            continue;
        };
        let value =
            line[at..].trim_start_matches(|c: char| matches!(c, '=' | ':') || c.is_whitespace());
        let value = value.trim_matches(['"', '\'', ',']);
        keep(found, line[..at].trim_matches(['"', '\'']), value);
    }
}

/// Keeps what is a setting. Compose writes defaults as `${NAME:-value}`.
fn keep(found: &mut Settings, key: &str, value: &str) {
    let known = key.starts_with("spark.")
        || SOURCE_OPTIONS.contains(&key)
        || ENVIRONMENT.contains(&key)
        || key.starts_with("kafka.");
    let value = value
        .strip_prefix("${")
        .and_then(|v| v.strip_suffix('}'))
        .and_then(|v| v.split_once(":-"))
        .map_or(value, |(_, default)| default);
    if known && !value.is_empty() && !value.contains('$') && !value.contains('(') {
        found.insert(key.to_owned(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(found: &Settings) -> Vec<(&str, &str)> {
        found
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect()
    }

    #[test]
    fn a_pyspark_script_gives_its_literals() {
        let script = r#"
            redis_host = os.getenv("REDIS_HOST", "redis")
            spark = (SparkSession.builder.appName("kol")
                .config("spark.streaming.kafka.maxRatePerPartition", "1000")
                .config('spark.sql.shuffle.partitions', 8).getOrCreate())
            df = (spark.readStream.format("kafka")
                .option("kafka.bootstrap.servers", KAFKA_BROKER)
                .option("subscribe", "kol.videos.raw,kol.profiles.raw")
                .option("startingOffsets", "latest")
                .option("failOnDataLoss", False)
                .load())
        "#;
        assert_eq!(
            pairs(&find(script)),
            [
                ("REDIS_HOST", "redis"),
                ("failOnDataLoss", "false"),
                ("spark.sql.shuffle.partitions", "8"),
                ("spark.streaming.kafka.maxRatePerPartition", "1000"),
                ("startingOffsets", "latest"),
                ("subscribe", "kol.videos.raw,kol.profiles.raw"),
            ]
        );
    }

    #[test]
    fn a_spark_submit_line_a_properties_file_and_a_compose_file_are_read() {
        let submit = "spark-submit --num-executors 4 --executor-memory=2g \\\n --conf spark.executor.cores=2 job.py";
        assert_eq!(
            pairs(&find(submit)),
            [
                ("spark.executor.cores", "2"),
                ("spark.executor.instances", "4"),
                ("spark.executor.memory", "2g"),
            ]
        );
        let properties = "# comment\nspark.executor.memory 3g\nspark.executor.instances=5\n";
        assert_eq!(
            pairs(&find(properties)),
            [
                ("spark.executor.instances", "5"),
                ("spark.executor.memory", "3g")
            ]
        );
        let compose = "services:\n  spark:\n    environment:\n      - REDIS_HOST=cache\n      \
                       REDIS_PORT: \"6380\"\n      CHECKPOINT_DIR: ${CHECKPOINT_DIR:-/data/ckp}\n";
        assert_eq!(
            pairs(&find(compose)),
            [
                ("CHECKPOINT_DIR", "/data/ckp"),
                ("REDIS_HOST", "cache"),
                ("REDIS_PORT", "6380"),
            ]
        );
    }
}
