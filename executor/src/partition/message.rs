//! What a partition actor is started with and sent, and how it ends.

use std::fmt;
use std::sync::Arc;

use kol_common::actor::Address;
use kol_common::job::JobSpec;
use kol_common::proto::{
    Barrier, JobTick, KeptEpoch, PartitionCheckpoint, PartitionReport, Rekeying, SlotDetail,
};
use kol_common::scoring::Scoring;
use kol_common::{ClusterId, JobId, KolError, SourcePartition, StoreId};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Records that were read and no longer exist: the log lost its tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostTail {
    /// Offset of the first of them; where the log ended then.
    pub from: u64,
    /// One past the last of them.
    pub to: u64,
    /// The log has grown again: the record at this offset is another one than was read. Where the log was cut off is
    /// not known exactly, then: behind `from`, at this offset or before it.
    pub differs: Option<u64>,
    /// It may have been cut off before `from`, too: no record is known that is still the same.
    pub unproven: bool,
    /// The oldest offset that the log has.
    pub oldest: u64,
}

impl fmt::Display for LostTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.to.saturating_sub(1);
        let from = self.from;
        match self.differs {
            None => write!(
                f,
                "Kafka lost the tail of the log: records {from} to {last} were read and no longer exist"
            ),
            Some(at) => write!(
                f,
                "Kafka lost the tail of the log, which has grown again: record {at} is another one than was read; \
                 of records {from} to {last}, which were read, not all exist any more"
            ),
        }
    }
}

use crate::roots::Place;

/// What all partitions of a job share: the newest word from the master.
pub type Ticks = watch::Receiver<Arc<JobTick>>;

/// One assignment of one partition.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Id of the job.
    pub job: JobId,
    /// The job's spec, which its partitions here share.
    pub spec: Arc<JobSpec>,
    /// Its scoring constants.
    pub scoring: Arc<Scoring>,
    /// Generation of the job.
    pub generation: u64,
    /// Topic and number of the partition.
    pub partition: SourcePartition,
    /// Its number within the job.
    pub ordinal: u32,
    /// Grows with every assignment of the partition: fences its earlier owners.
    pub assignment_epoch: u64,
    /// Where to start reading, without a state.
    pub offset: u64,
    /// Id of the topic that the offset is of; `None` where brokers give none.
    pub topic_id: Option<Uuid>,
    /// State to start with.
    pub restore: Option<PartitionCheckpoint>,
    /// Older epochs that are kept, newest first: they say how far back the log is still the same.
    pub kept: Vec<KeptEpoch>,
    /// Grows each time that the log lost its tail: what Redis was shown under an older one may be of
    /// records that no longer exist.
    pub lineage: u64,
    /// Where to start reading, if not where the state ends.
    pub resume_at: Option<u64>,
    /// There was state, and none of it can be used: without all records from `offset` on the result would be
    /// wrong.
    pub whole_log: bool,
    /// Where its owner before stopped reading, if nobody has got that far since.
    pub read_before: Option<u64>,
    /// Where its records are written, if it is of the first stage of a job that re-keys: then it has no state.
    pub rekeying: Option<Rekeying>,
    /// Whose job it is.
    pub master: Master,
    /// What the trace of its start belongs to; empty without one.
    pub traceparent: String,
}

/// The master that runs a job.
#[derive(Clone, Debug)]
pub struct Master {
    /// Its cluster: the checkpoint root must be of it.
    pub cluster: ClusterId,
    /// Its state store, which owns the keys in Redis; empty where that is of a version without owner records.
    pub store: StoreId,
    /// Where people find it, `host:port`.
    pub host: String,
}

impl Assignment {
    /// The checkpoint root of the job.
    pub fn root(&self) -> Place {
        Place::root(&self.spec.checkpoint.location, &self.master.cluster)
    }

    /// The first partition of a job that begins, of this topic: for benchmarks and tests.
    pub(super) fn first(spec: JobSpec, topic: &str) -> Self {
        Self {
            job: JobId::generate(),
            scoring: Arc::new(Scoring::new(&spec.scoring)),
            spec: Arc::new(spec),
            generation: 1,
            partition: SourcePartition::new(topic, 0),
            ordinal: 0,
            assignment_epoch: 1,
            offset: 0,
            topic_id: None,
            restore: None,
            kept: Vec::new(),
            lineage: 0,
            resume_at: None,
            whole_log: false,
            read_before: None,
            rekeying: None,
            master: Master {
                cluster: ClusterId::generate(),
                store: StoreId::generate(),
                host: String::new(),
            },
            traceparent: String::new(),
        }
    }

    /// One of a job with these keys in `[source]`.
    #[cfg(test)]
    pub(crate) fn with_source(source: &str) -> Self {
        let text = format!("name = \"x\"\n[source]\n{source}");
        let spec = kol_common::job::parse(&text, "x").unwrap().spec;
        Self::first(spec, "t")
    }
}

/// Where the answer to a barrier goes: the partition's part of the epoch, or why there is none.
pub type BarrierAnswer = oneshot::Sender<Result<PartitionCheckpoint, KolError>>;

/// What a partition can be sent.
#[derive(Debug)]
pub enum Command {
    /// Stop reading, make Redis confirm everything, end.
    Drain,
    /// Take part in an epoch.
    Barrier {
        /// What the master says of it.
        barrier: Arc<Barrier>,
        /// Gets the partition's part of it.
        answer: BarrierAnswer,
    },
    /// Everything about one KOL; `None` when this partition does not know it.
    Explain {
        /// Platform of the KOL, lower case.
        platform: String,
        /// Name of the KOL, as events have it after cleaning.
        kol: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Option<SlotDetail>>,
    },
}

/// How a partition actor ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// On command: position, and whether Redis confirmed everything up to it.
    Released {
        /// Offset of the next record.
        position: u64,
        /// Redis has all of it.
        drained: bool,
        /// When it stopped reading.
        stopped: Instant,
    },
    /// By itself, with an error.
    Failed(KolError),
    /// By itself: the log lost records that the state has, and another assignment goes back before them.
    LostTail(LostTail),
}

/// A running partition, as its supervisor holds it.
#[derive(Debug)]
pub struct Partition {
    /// Where its commands go.
    pub address: Address<Command>,
    /// Its newest report.
    pub report: watch::Receiver<Arc<PartitionReport>>,
    /// Ends it at once.
    pub stop_now: CancellationToken,
}
