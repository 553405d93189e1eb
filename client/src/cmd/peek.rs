//! `peek TOPIC`.

use std::time::{Duration, Instant};

use kol_common::KolError;
use kol_common::event::Decoder;
use kol_common::kafka::{Consumer, classify, consumer};
use rdkafka::consumer::Consumer as _;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::Context;

/// Longest time for one question to the broker, and for records to arrive.
const ANSWER: Duration = Duration::from_secs(5);

/// Flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Topic to look into.
    topic: String,
    /// How many records of each partition.
    #[arg(short, default_value_t = 5)]
    n: u64,
    /// Kafka brokers.
    #[arg(long, env = "KOL_BOOTSTRAP", default_value = "localhost:9092")]
    bootstrap: String,
    /// Which end of the log.
    #[arg(long, value_enum, default_value_t)]
    from: End,
}

/// Which end of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum End {
    /// The newest records.
    #[default]
    End,
    /// The oldest records.
    Start,
}

/// Runs the command.
///
/// # Errors
/// Kafka cannot be reached, the topic is not there.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let as_json = ctx.json();
    let records = tokio::task::spawn_blocking(move || peek(&args)).await??;
    if as_json {
        println!("{}", Value::Array(records));
        return Ok(());
    }
    for record in &records {
        println!(
            "{}/{} key={}",
            record["partition"], record["offset"], record["key"]
        );
        println!(
            "  raw      {}",
            record["raw"].as_str().unwrap_or("(no value)")
        );
        println!("  decoded  {}", record["decoded"]);
        if let Some(missing) = record["missing"].as_array().filter(|m| !m.is_empty()) {
            let names: Vec<_> = missing.iter().filter_map(Value::as_str).collect();
            println!("  missing  {}", names.join(", "));
        }
    }
    if records.is_empty() {
        println!("The topic is empty.");
    }
    Ok(())
}

fn peek(args: &Args) -> Result<Vec<Value>, KolError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &args.bootstrap)
        .set("group.id", "kol-client-peek")
        .set("enable.auto.commit", "false")
        .set("allow.auto.create.topics", "false");
    let consumer = consumer(config)?;
    let (list, expected) = ranges(&consumer, args)?;
    consumer.assign(&list).map_err(|e| classify(&e))?;
    let deadline = Instant::now() + ANSWER;
    let decoder = Decoder::new("tiktok");
    let mut records = Vec::new();
    let mut left = expected;
    while left.values().any(|n| *n > 0) && Instant::now() < deadline {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.map_err(|e| classify(&e))?;
        let Some(count) = left.get_mut(&message.partition()).filter(|n| **n > 0) else {
            continue;
        };
        *count -= 1;
        records.push(show(&decoder, &message));
    }
    records.sort_by_key(|r| (r["partition"].as_i64(), r["offset"].as_i64()));
    Ok(records)
}

type Counts = std::collections::BTreeMap<i32, i64>;

/// Where to start in each partition, and how many records to expect.
fn ranges(consumer: &Consumer, args: &Args) -> Result<(TopicPartitionList, Counts), KolError> {
    let metadata = consumer
        .fetch_metadata(Some(&args.topic), ANSWER)
        .map_err(|e| classify(&e))?;
    let partitions = metadata
        .topics()
        .first()
        .map_or(&[][..], |t| t.partitions());
    if partitions.is_empty() {
        return Err(KolError::user(
            "TOPIC_NOT_FOUND",
            format!("there is no topic {} on {}", args.topic, args.bootstrap),
        ));
    }
    let n = i64::try_from(args.n).unwrap_or(i64::MAX);
    let mut list = TopicPartitionList::new();
    let mut counts = Counts::new();
    for partition in partitions.iter().map(|p| p.id()) {
        let (low, high) = consumer
            .fetch_watermarks(&args.topic, partition, ANSWER)
            .map_err(|e| classify(&e))?;
        let start = match args.from {
            End::Start => low,
            End::End => low.max(high.saturating_sub(n)),
        };
        counts.insert(partition, n.min(high - start));
        list.add_partition_offset(&args.topic, partition, Offset::Offset(start))
            .map_err(|e| classify(&e))?;
    }
    Ok((list, counts))
}

fn show(decoder: &Decoder, message: &rdkafka::message::BorrowedMessage<'_>) -> Value {
    let key = message.key().map(String::from_utf8_lossy);
    let raw = message.payload().map(String::from_utf8_lossy);
    let (decoded, missing) = match decoder.decode(message.payload()) {
        Err(reject) => (json!({"rejected": reject.as_str()}), Vec::new()),
        Ok(e) => {
            let fields = [
                ("likes", e.likes),
                ("comments", e.comments),
                ("shares", e.shares),
                ("views", e.views),
                ("followers", e.followers),
                ("event_time", e.event_time.map(|t| t.0)),
            ];
            let wanted =
                |name: &str| (name == "followers") == e.video_id.is_none() || name == "event_time";
            let missing = fields
                .iter()
                .filter(|(name, v)| v.is_none() && wanted(name));
            let decoded = json!({
                "platform": e.platform, "kol": e.kol, "video_id": e.video_id,
                "event_time": e.event_time.map(|t| t.iso()),
                "published": e.published.map(|t| t.iso()),
                "likes": e.likes, "comments": e.comments, "shares": e.shares,
                "views": e.views, "followers": e.followers,
            });
            (decoded, missing.map(|(name, _)| *name).collect())
        }
    };
    json!({
        "partition": message.partition(), "offset": message.offset(), "key": key, "raw": raw,
        "timestamp_ms": message.timestamp().to_millis(), "decoded": decoded, "missing": missing,
    })
}
