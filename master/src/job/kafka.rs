//! What the brokers of Kafka say of the partitions of a job.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::job::{KafkaSource, StartingOffsets};
use kol_common::kafka::{
    Consumer, check_brokers, client_config, consumer, failure, shows_secrets, topic_ids,
};
use kol_common::secrets::Secrets;
use kol_common::{KolError, Millis, SourcePartition};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use super::discovery::{LogEnds, Started, Starts};
use super::internal::Existing;

/// Longest wait for one answer of a broker.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest wait for the ids of topics: some brokers never answer this request.
const IDS_ANSWER: Duration = Duration::from_secs(2);

/// Code of an error about a topic that does not exist.
const NOT_FOUND: &str = "TOPIC_NOT_FOUND";

/// Partitions that are not known, with where they start; looks up the ids of their topics first.
pub(super) fn query_kafka(
    source: &KafkaSource,
    known: &[SourcePartition],
    offsets: &StartingOffsets,
    secrets: &Secrets,
) -> Result<Starts, KolError> {
    let config = client_config(source, secrets, "kol-master")?;
    let consumer = consumer(config)?;
    may_log_in(&consumer, source, secrets)?;
    // First of all: whatever is found out after this may be of a topic that was recreated meanwhile, and
    // then this id shows it.
    let ids = ids_of(&consumer, source);
    let mut new = Vec::new();
    for topic in &source.topics {
        for number in partitions_of(&consumer, source, topic)? {
            let name = SourcePartition::new(topic, number);
            if !known.contains(&name) {
                new.push(name);
            }
        }
    }
    let offsets = if let (StartingOffsets::Timestamp(time), true) = (offsets, known.is_empty()) {
        at_time(&consumer, new, *time)?
    } else {
        let given = known.is_empty().then_some(offsets);
        at_offsets(&consumer, source, new, given)?
    };
    let started = offsets.into_iter().map(|(partition, offset)| Started {
        topic_id: ids.get(&partition.topic).copied(),
        partition,
        offset,
    });
    Ok(started.collect())
}

/// All ends in one request.
pub(super) fn query_ends(
    source: &KafkaSource,
    partitions: &[SourcePartition],
    secrets: &Secrets,
) -> Result<LogEnds, KolError> {
    let consumer = consumer(client_config(source, secrets, "kol-master")?)?;
    may_log_in(&consumer, source, secrets)?;
    let mut question = TopicPartitionList::new();
    for name in partitions {
        // In this request the time -1 stands for the end of the log.
        question
            .add_partition_offset(&name.topic, broker_number(name.partition)?, Offset::End)
            .map_err(|e| failure(&consumer, &e))?;
    }
    let answer = consumer
        .offsets_for_times(question, ANSWER)
        .map_err(|e| failure(&consumer, &e))?;
    let ends = answer.elements().into_iter().filter_map(|found| {
        let Offset::Offset(end) = found.offset() else {
            return None;
        };
        found.error().ok()?;
        let number = u32::try_from(found.partition()).ok()?;
        Some((SourcePartition::new(found.topic(), number), offset(end)))
    });
    Ok(ends.collect())
}

/// A topic as brokers describe it; `None` where there is none.
///
/// # Errors
/// They do not answer, or refuse.
pub(super) fn existing(
    source: &KafkaSource,
    topic: &str,
    secrets: &Secrets,
) -> Result<Option<Existing>, KolError> {
    let consumer = consumer(client_config(source, secrets, "kol-master")?)?;
    may_log_in(&consumer, source, secrets)?;
    let numbers = match partitions_of(&consumer, source, topic) {
        Ok(numbers) => numbers,
        Err(error) if error.code == NOT_FOUND => return Ok(None),
        Err(error) => return Err(error),
    };
    let ids = topic_ids(consumer.client(), &[topic.to_owned()], IDS_ANSWER)?;
    let mut is_empty = true;
    for number in &numbers {
        let (low, high) = consumer
            .fetch_watermarks(topic, broker_number(*number)?, ANSWER)
            .map_err(|e| failure(&consumer, &e))?;
        is_empty &= low == high;
    }
    Ok(Some(Existing {
        id: ids.get(topic).copied(),
        partitions: numbers.len() as u32,
        is_empty,
    }))
}

/// Whether the brokers may have the secrets of the source under the names that they give themselves: the requests
/// that follow go to them.
fn may_log_in(
    consumer: &Consumer,
    source: &KafkaSource,
    secrets: &Secrets,
) -> Result<(), KolError> {
    if !shows_secrets(source) {
        return Ok(());
    }
    let Some(topic) = source.topics.first() else {
        return Ok(());
    };
    check_brokers(source, secrets, &metadata_of(consumer, source, topic)?)
}

/// What the brokers say of a topic, and of themselves.
fn metadata_of(
    consumer: &Consumer,
    source: &KafkaSource,
    topic: &str,
) -> Result<Metadata, KolError> {
    let answer = consumer.fetch_metadata(Some(topic), ANSWER);
    answer.map_err(|e| match e.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            no_such_topic(source, topic)
        }
        _ => failure(consumer, &e),
    })
}

/// The ids of the topics; none where brokers give none, or do not answer such a request: then a recreated
/// topic shows by the id that its first reader learns, or by the end of its log. Brokers that cannot be
/// reached show by the requests that follow.
fn ids_of(consumer: &Consumer, source: &KafkaSource) -> BTreeMap<String, Uuid> {
    topic_ids(consumer.client(), &source.topics, IDS_ANSWER).unwrap_or_else(|error| {
        tracing::debug!(%error, "the ids of topics are not known");
        BTreeMap::new()
    })
}

/// Where the offsets given by the spec lie in each partition; the beginning of it if none are given.
fn at_offsets(
    consumer: &Consumer,
    source: &KafkaSource,
    names: Vec<SourcePartition>,
    given: Option<&StartingOffsets>,
) -> Result<Vec<(SourcePartition, u64)>, KolError> {
    let mut started = Vec::with_capacity(names.len());
    for name in names {
        let number = broker_number(name.partition)?;
        let (low, high) = consumer
            .fetch_watermarks(&name.topic, number, ANSWER)
            .map_err(|e| failure(consumer, &e).partition(&name))?;
        let (low, high) = (offset(low), offset(high));
        let start = given.map_or(low, |given| resolve(source, given, &name, low, high));
        started.push((name, start));
    }
    Ok(started)
}

/// Where a partition starts, given its oldest offset and its end.
fn resolve(
    source: &KafkaSource,
    offsets: &StartingOffsets,
    name: &SourcePartition,
    low: u64,
    high: u64,
) -> u64 {
    match offsets {
        StartingOffsets::Earliest | StartingOffsets::Timestamp(_) => low,
        StartingOffsets::Latest => high,
        StartingOffsets::Partitions(given) => {
            let first = source.topics.first() == Some(&name.topic);
            let wanted = given.get(&name.partition).filter(|_| first);
            // An offset that is no longer there is kept: the executor counts and shows what is missing.
            wanted.map_or(low, |offset| (*offset).min(high))
        }
    }
}

fn partitions_of(
    consumer: &Consumer,
    source: &KafkaSource,
    topic: &str,
) -> Result<Vec<u32>, KolError> {
    let metadata = metadata_of(consumer, source, topic)?;
    let found = metadata.topics().iter().find(|t| t.name() == topic);
    let mut numbers: Vec<u32> = found
        .filter(|t| t.error().is_none())
        .map(|t| t.partitions())
        .unwrap_or_default()
        .iter()
        .filter_map(|p| u32::try_from(p.id()).ok())
        .collect();
    if numbers.is_empty() {
        return Err(no_such_topic(source, topic));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The first record at or after `time`, or the end where there is none.
fn at_time(
    consumer: &Consumer,
    names: Vec<SourcePartition>,
    time: Millis,
) -> Result<Vec<(SourcePartition, u64)>, KolError> {
    let at = Offset::Offset(i64::try_from(time.0).unwrap_or(i64::MAX));
    let mut question = TopicPartitionList::new();
    for name in &names {
        question
            .add_partition_offset(&name.topic, broker_number(name.partition)?, at)
            .map_err(|e| failure(consumer, &e))?;
    }
    let answer = consumer
        .offsets_for_times(question, ANSWER)
        .map_err(|e| failure(consumer, &e))?;
    let mut started = Vec::with_capacity(names.len());
    for name in names {
        let number = broker_number(name.partition)?;
        let found = answer.find_partition(&name.topic, number);
        let start = match found.map(|f| f.offset()) {
            Some(Offset::Offset(first)) => offset(first),
            _ => {
                let ends = consumer.fetch_watermarks(&name.topic, number, ANSWER);
                offset(ends.map_err(|e| failure(consumer, &e))?.1)
            }
        };
        started.push((name, start));
    }
    Ok(started)
}

fn broker_number(partition: u32) -> Result<i32, KolError> {
    i32::try_from(partition)
        .map_err(|_| KolError::internal("DISCOVERY", format!("partition number {partition}")))
}

fn offset(from_broker: i64) -> u64 {
    u64::try_from(from_broker).unwrap_or(0)
}

fn no_such_topic(source: &KafkaSource, topic: &str) -> KolError {
    KolError::external(
        NOT_FOUND,
        format!("topic `{topic}` does not exist at {}", source.bootstrap),
    )
    .help("Create it, or correct [source] topics; a job that waits for it then starts by itself.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_given_for_partitions_hold_for_the_first_topic_and_not_beyond_the_end() {
        let source = KafkaSource {
            topics: vec!["a".into(), "b".into()],
            ..KafkaSource::default()
        };
        let given = StartingOffsets::Partitions([(0, 5), (1, 99), (3, 1)].into());
        let at = |topic, number| {
            let name = SourcePartition::new(topic, number);
            resolve(&source, &given, &name, 2, 50)
        };
        assert_eq!(at("a", 0), 5);
        assert_eq!(at("a", 1), 50);
        assert_eq!(at("a", 2), 2);
        assert_eq!(at("a", 3), 1, "gone, and to be counted as lost");
        assert_eq!(at("b", 0), 2);
    }
}
