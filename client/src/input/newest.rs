//! The newest records of a topic, or the oldest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kol_common::KolError;
use kol_common::kafka::{Consumer, consumer, failure};
use rdkafka::consumer::Consumer as _;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::cluster::Cluster;
use super::topic::{ANSWER, partitions};

/// Which end of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum End {
    /// The newest records.
    #[default]
    End,
    /// The oldest records.
    Start,
}

/// A record as it lies in the log.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Number of its partition.
    pub partition: i32,
    /// Where it stands.
    pub offset: i64,
    /// Its key; `None`: it has none.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The Kafka timestamp, ms.
    pub timestamp_ms: Option<i64>,
}

/// Reads `per_partition` records from an end of each partition, and more so that there are about
/// `at_least` in all. Sorted by partition and offset.
///
/// # Errors
/// Kafka cannot be reached, the topic does not exist.
pub fn read(
    cluster: &Cluster,
    topic: &str,
    end: End,
    per_partition: u64,
    at_least: u64,
) -> Result<Vec<Sample>, KolError> {
    let consumer = consumer(cluster.config("kol-client")?)?;
    let partitions = partitions(&consumer, cluster, topic)?;
    let each = at_least
        .div_ceil(partitions.len() as u64)
        .max(per_partition);
    let (list, mut left) = ranges(&consumer, topic, &partitions, end, each)?;
    consumer.assign(&list).map_err(|e| failure(&consumer, &e))?;
    let deadline = Instant::now() + ANSWER;
    let mut records = Vec::new();
    while left.values().any(|n| *n > 0) && Instant::now() < deadline {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.map_err(|e| failure(&consumer, &e))?;
        let Some(count) = left.get_mut(&message.partition()).filter(|n| **n > 0) else {
            continue;
        };
        *count -= 1;
        records.push(Sample {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            timestamp_ms: message.timestamp().to_millis(),
        });
    }
    records.sort_by_key(|r| (r.partition, r.offset));
    Ok(records)
}

type Counts = BTreeMap<i32, i64>;

/// Where to start in each partition, and how many records to expect.
fn ranges(
    consumer: &Consumer,
    topic: &str,
    partitions: &[i32],
    end: End,
    each: u64,
) -> Result<(TopicPartitionList, Counts), KolError> {
    let n = i64::try_from(each).unwrap_or(i64::MAX);
    let mut list = TopicPartitionList::new();
    let mut counts = Counts::new();
    for partition in partitions.iter().copied() {
        let (low, high) = consumer
            .fetch_watermarks(topic, partition, ANSWER)
            .map_err(|e| failure(consumer, &e))?;
        let start = match end {
            End::Start => low,
            End::End => low.max(high.saturating_sub(n)),
        };
        counts.insert(partition, n.min(high - start));
        list.add_partition_offset(topic, partition, Offset::Offset(start))
            .map_err(|e| failure(consumer, &e))?;
    }
    Ok((list, counts))
}
