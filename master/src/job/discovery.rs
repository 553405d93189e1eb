//! What a job must know before it runs, queried from Kafka and Redis: partitions, the offsets to start
//! at, and the generation.

use std::sync::Arc;

use futures::future::BoxFuture;
use kol_common::actor::Group;
use kol_common::checkpoint::{Stores, snapshot};
use kol_common::job::{JobSpec, SourceSpec, StartingOffsets};
use kol_common::proto::Manifest;
use kol_common::redis::Connect;
use kol_common::secrets::Secrets;
use kol_common::{KolError, Millis, SourcePartition};
use uuid::Uuid;

use super::generations::newest_in_redis;
use super::lineage::{Start, fits, name_of, spec_of};
use super::record::{Internal, PartitionRecord};
use crate::checkpoint::group_offsets::GroupOffsets;

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

    /// The internal topic of a job that re-keys its input: created where there is none, unless the one that is `stored` is
    /// needed.
    ///
    /// # Errors
    /// `REKEY_TOPIC_FOREIGN`, `REKEY_PARTITIONS`, `REKEY_UNSUPPORTED`; it is gone, or the brokers do not answer or refuse.
    fn internal_topic(
        &self,
        _source: SourceSpec,
        _query: QueryRekeying,
        _secrets: Secrets,
    ) -> BoxFuture<'static, Result<Internal, KolError>> {
        let what = "these brokers have no internal topics";
        Box::pin(async move { Err(KolError::user("REKEY_UNSUPPORTED", what)) })
    }

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
    /// The first stage, if it re-keys its input.
    pub rekeying: Option<QueryRekeying>,
}

/// The first stage that a job wants, and what is known of it.
#[derive(Clone, Debug)]
pub struct QueryRekeying {
    /// The internal topic that is wanted.
    pub wanted: Wanted,
    /// The one that the job, or the newest one of its name, has.
    pub stored: Option<Internal>,
    /// The partitions of the first stage of that one.
    pub known: Vec<PartitionRecord>,
    /// The job continues with a state that was made of the one that is stored: another one will not do.
    pub must_be_stored: bool,
    /// Where the first stage begins in partitions that are not known.
    pub offsets: StartingOffsets,
}

/// What an internal topic is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the topic.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// How long brokers keep its records.
    pub retention: Millis,
}

/// The first stage as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRekeying {
    /// The internal topic.
    pub internal: Internal,
    /// Partitions of the first stage of an earlier job that wrote there.
    pub inherited: Vec<PartitionRecord>,
    /// Partitions that no earlier job had.
    pub partitions: Starts,
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
    /// The first stage of a job that re-keys its input: the other partitions are those of the internal topic.
    pub rekeying: Option<FoundRekeying>,
}

/// Queries Kafka and, for a job that starts or was refused as older than another generation, Redis. Partitions that come later start at their beginning.
///
/// # Errors
/// Retryable ones for what may recover by itself or be repaired without a new spec: a broker or a Redis that
/// does not answer, a topic that does not exist yet. Others for a spec that cannot work.
pub async fn discover(query: Query, outside: Outside) -> Result<Found, KolError> {
    let starting = query.known.is_empty();
    let (offsets, state) = look_up(query.start, &query.spec, &outside.stores).await?;
    let rekeying = match &query.rekeying {
        Some(wanted) => Some(look_at_input(wanted, &query.spec, &outside).await?),
        None => None,
    };
    let secrets = outside.secrets.clone();
    let source = match &rekeying {
        Some(found) => reading(&query.spec.source, &found.internal.topic),
        None => query.spec.source.clone(),
    };
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
        rekeying,
    })
}

/// The first stage of a job: its internal topic, and what it reads.
async fn look_at_input(
    query: &QueryRekeying,
    spec: &JobSpec,
    outside: &Outside,
) -> Result<FoundRekeying, KolError> {
    let (source, secrets) = (spec.source.clone(), outside.secrets.clone());
    let internal = outside
        .brokers
        .internal_topic(source.clone(), query.clone(), secrets.clone())
        .await?;
    // Positions belong to one internal topic: of another one nothing is read yet.
    let same = query.stored.as_ref().is_some_and(|s| s.id == internal.id);
    let inherited = if same {
        query.known.clone()
    } else {
        Vec::new()
    };
    let known: Vec<_> = inherited.iter().map(|p| p.partition.clone()).collect();
    let offsets = if known.is_empty() {
        query.offsets.clone()
    } else {
        StartingOffsets::Earliest
    };
    let starts = outside.brokers.starts(source, known, offsets, secrets);
    Ok(FoundRekeying {
        internal,
        inherited,
        partitions: starts.await?,
    })
}

/// The same source with another topic in place of its own.
fn reading(source: &SourceSpec, topic: &str) -> SourceSpec {
    let mut kafka = source.kafka().clone();
    kafka.topics = vec![topic.to_owned()];
    kafka.rekey = None;
    kafka.into()
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
