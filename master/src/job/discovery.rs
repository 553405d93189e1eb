//! What a job must know before it runs, queried from Kafka and Redis: partitions, the offsets to start
//! at, and the generation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::actor::Group;
use kol_common::checkpoint::{Stores, snapshot};
use kol_common::job::{JobSpec, KafkaSource, SourceSpec, StartingOffsets};
use kol_common::kafka::{
    Consumer, check_brokers, client_config, consumer, failure, shows_secrets, topic_ids,
};
use kol_common::proto::Manifest;
use kol_common::redis::Connect;
use kol_common::secrets::Secrets;
use kol_common::{KolError, Millis, SourcePartition, world};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use super::generations::newest_in_redis;
use super::lineage::{Start, fits, name_of, spec_of};
use crate::checkpoint::group_offsets::GroupOffsets;

/// Longest wait for one answer of a broker.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest wait for the ids of topics: some brokers never answer this request.
const IDS_ANSWER: Duration = Duration::from_secs(2);

/// What the master queries from the brokers of a job, and publishes there.
pub trait Brokers: std::fmt::Debug + Send + Sync {
    /// The partitions of the source that are not `known`, and where to start, in the order
    /// of the topic list, then by number. `offsets` says where, for a job that starts.
    ///
    /// # Errors
    /// As [`discover`].
    fn starts(
        &self,
        source: SourceSpec,
        known: Vec<SourcePartition>,
        offsets: StartingOffsets,
        secrets: Secrets,
    ) -> BoxFuture<'static, Result<Starts, KolError>>;

    /// Where the logs of these partitions end. Those of which the brokers do not say so are left out.
    ///
    /// # Errors
    /// The brokers do not answer, or refuse.
    fn ends(
        &self,
        source: SourceSpec,
        partitions: Vec<SourcePartition>,
        secrets: Secrets,
    ) -> BoxFuture<'static, Result<LogEnds, KolError>>;

    /// What publishes a job's offsets for lag tools, in a task of `tasks`.
    ///
    /// # Errors
    /// They cannot be published.
    fn group_offsets(
        &self,
        source: &SourceSpec,
        secrets: &Secrets,
        tasks: &Group,
    ) -> Result<GroupOffsets, KolError>;
}

/// Partitions, and one past the newest record of each.
pub type LogEnds = Vec<(SourcePartition, u64)>;

/// Partitions that were found.
pub type Starts = Vec<Started>;

/// A partition that was found, and where to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Topic and number.
    pub partition: SourcePartition,
    /// Offset to start at.
    pub offset: u64,
    /// The topic's id, requested before the offset was: a topic that was recreated since has another one.
    /// `None` where brokers give none.
    pub topic_id: Option<Uuid>,
}

/// The brokers of Kafka.
#[derive(Clone, Copy, Debug)]
pub struct Kafka;

impl Brokers for Kafka {
    fn starts(
        &self,
        source: SourceSpec,
        known: Vec<SourcePartition>,
        offsets: StartingOffsets,
        secrets: Secrets,
    ) -> BoxFuture<'static, Result<Starts, KolError>> {
        Box::pin(async move {
            let query = move || query_kafka(source.kafka(), &known, &offsets, &secrets);
            let panicked = || KolError::internal("DISCOVERY", "the query of Kafka panicked");
            world::blocking(query).await.ok_or_else(panicked)?
        })
    }

    fn ends(
        &self,
        source: SourceSpec,
        partitions: Vec<SourcePartition>,
        secrets: Secrets,
    ) -> BoxFuture<'static, Result<LogEnds, KolError>> {
        Box::pin(async move {
            let query = move || query_ends(source.kafka(), &partitions, &secrets);
            let panicked = || KolError::internal("DISCOVERY", "the query of Kafka panicked");
            world::blocking(query).await.ok_or_else(panicked)?
        })
    }

    fn group_offsets(
        &self,
        source: &SourceSpec,
        secrets: &Secrets,
        tasks: &Group,
    ) -> Result<GroupOffsets, KolError> {
        GroupOffsets::start(source.kafka(), secrets, tasks)
    }
}

/// What is outside of the master.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Brokers of the jobs.
    pub brokers: Arc<dyn Brokers>,
    /// Opens connections to their Redis.
    pub redis: Arc<dyn Connect>,
    /// Opens the places of state files.
    pub stores: Stores,
    /// Resolves secret references.
    pub secrets: Secrets,
}

/// What to look for.
#[derive(Clone, Debug)]
pub struct Query {
    /// The spec of the job.
    pub spec: JobSpec,
    /// Its partitions so far; empty when it starts.
    pub known: Vec<SourcePartition>,
    /// Where it begins, when it starts.
    pub start: Start,
    /// The newest generation that was given out.
    pub generation: u64,
    /// Its own generation, if Redis refused it as older than another one.
    pub outranked: Option<u64>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// New partitions, in the order of the topic list, then by number.
    pub partitions: Starts,
    /// For a job that starts, or that Redis refused as older than another one: above every generation that the
    /// store or Redis knows. Of the latter it is its own one where Redis knows no newer one.
    pub generation: Option<u64>,
    /// For a job that starts: the state that it begins with.
    pub state: Option<Box<Manifest>>,
}

/// Queries Kafka and, for a job that starts or was refused as older than another generation, Redis. Partitions that come later start at their beginning.
///
/// # Errors
/// Retryable ones for what may recover by itself or be repaired without a new spec: a broker or a Redis that
/// does not answer, a topic that does not exist yet. Others for a spec that cannot work.
pub async fn discover(query: Query, outside: Outside) -> Result<Found, KolError> {
    let starting = query.known.is_empty();
    let (offsets, state) = look_up(query.start, &query.spec, &outside.stores).await?;
    let (source, secrets) = (query.spec.source.clone(), outside.secrets.clone());
    let starts = outside
        .brokers
        .starts(source, query.known.clone(), offsets, secrets);
    let partitions = starts.await?;
    let mut generation = None;
    if starting || query.outranked.is_some() {
        let found = partitions.iter().map(|found| &found.partition);
        let names = query.known.iter().chain(found);
        let newest = newest_in_redis(&query.spec, names, &*outside.redis, &outside.secrets).await?;
        let own = query.outranked.filter(|own| newest <= *own);
        generation = Some(own.unwrap_or_else(|| query.generation.max(newest) + 1));
    }
    if let Some(state) = &state {
        all_are_there(state, &partitions)?;
    }
    Ok(Found {
        partitions,
        generation,
        state,
    })
}

/// The offsets to start at, and the state.
async fn look_up(
    start: Start,
    spec: &JobSpec,
    stores: &Stores,
) -> Result<(StartingOffsets, Option<Box<Manifest>>), KolError> {
    let state = match start {
        Start::Offsets(offsets) => return Ok((offsets, None)),
        Start::State(state) => state,
        Start::Folder(location) => {
            let snapshot = snapshot::read(stores, &location).await?;
            let old = spec_of(&location, &snapshot)?;
            fits(&old, spec)?;
            Box::new(snapshot.manifest.unwrap_or_default())
        }
    };
    // Partitions that the state does not have came after it.
    Ok((StartingOffsets::Earliest, Some(state)))
}

/// The offset of a state means nothing without its partition.
fn all_are_there(state: &Manifest, found: &[Started]) -> Result<(), KolError> {
    let missing = state.partitions.iter().filter_map(name_of);
    let mut missing = missing.filter(|name| !found.iter().any(|f| f.partition == *name));
    missing.next().map_or(Ok(()), |name| {
        let what = format!("the state has partition {name}, and the topic has no such partition");
        Err(KolError::user("STATE_DOES_NOT_FIT", what)
            .help("Is this the cluster that the state was made on? Start without it otherwise."))
    })
}

fn query_kafka(
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
fn query_ends(
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
        "TOPIC_NOT_FOUND",
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
