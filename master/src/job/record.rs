//! What is persisted of a job: as JSON with a version, so that a person can read it and a later
//! version of this program too.

use kol_common::job::{Flip, JobSpec};
use kol_common::proto::{LostTail, PartitionCheckpoint, PartitionReport, Rekeying};
use kol_common::{ExecutorId, Incarnation, JobId, Millis, SourcePartition};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cause::Placed;
use super::cuts::Cuts;
use super::origin::Origin;

/// The version that this program writes.
pub const VERSION: u32 = 1;

/// How a job ended, or is about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A person stopped it: everything read is in Redis.
    Stopped,
    /// A person cancelled it: at once.
    Cancelled,
    /// It cannot run.
    Failed,
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Looking up topics, starting offsets and the generation.
    Starting,
    /// Its partitions are assigned.
    Running,
    /// Its partitions are being taken back.
    Ending(End),
    /// Nothing of it runs.
    Over(End),
}

impl Phase {
    /// The word that people read for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ending(End::Stopped) => "stopping",
            Self::Ending(End::Cancelled) => "being cancelled",
            Self::Ending(End::Failed) => "failing",
            Self::Over(End::Stopped) => "stopped",
            Self::Over(End::Cancelled) => "cancelled",
            Self::Over(End::Failed) => "failed",
        }
    }
}

/// One source partition of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRecord {
    /// Topic and number.
    pub partition: SourcePartition,
    /// Its number within the job: names its slots in Redis, never reused.
    #[serde(rename = "slot")]
    pub ordinal: u32,
    /// Where the job started to read it, or, once its topic was recreated, the log of that.
    pub start_offset: u64,
    /// Whether the log from there on gives all of its state. Where the job began with a state, that is so if the state
    /// says where it was first read, which `start_offset` is then. Records of older versions do not say so.
    #[serde(default)]
    pub from_log: bool,
    /// Id of the topic that this offset is of; `None` where brokers give none.
    #[serde(default)]
    pub topic_id: Option<Uuid>,
    /// The tails that Kafka lost of its log.
    #[serde(default)]
    pub cuts: Cuts,
    /// Raised each time it is assigned or taken from an executor that does not answer.
    #[serde(rename = "epoch")]
    pub assignment_epoch: u64,
    /// The executor it was assigned to last, unless it was taken back since.
    pub owner: Option<Incarnation>,
    /// When and why it was assigned to that one.
    #[serde(default)]
    pub placed: Option<Placed>,
    /// The executor that it was assigned to last, also once it was taken back.
    #[serde(default)]
    pub last: Option<LastOwner>,
    /// Of the first stage of a job that re-keys: Kafka has a position of it, or had one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_position: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Who had a partition last, as people find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastOwner {
    /// The executor that has it or had it last.
    pub executor: ExecutorId,
    /// The host of that one, as it said.
    pub host: String,
}

impl PartitionRecord {
    /// Takes over what its owner has found out about its log; answers whether that is new.
    pub fn learn(&mut self, report: &PartitionReport) -> bool {
        let has_position = report
            .rekeying
            .is_some_and(|rekeying| rekeying.has_position);
        let positioned = has_position && !self.has_position;
        self.has_position |= has_position;
        let Ok(topic_id) = Uuid::from_slice(&report.topic_id) else {
            return positioned;
        };
        // An owner that was given an older state may not have seen yet that it is of another log.
        if self.topic_id == Some(topic_id)
            || (self.topic_id.is_some() && report.log_start.is_none())
        {
            return positioned;
        }
        self.topic_id = Some(topic_id);
        self.start_offset = report.log_start.unwrap_or(self.start_offset);
        self.from_log |= report.log_start.is_some();
        true
    }

    /// It begins with this state.
    pub fn begin_with(&mut self, state: &PartitionCheckpoint) {
        let topic = Uuid::from_slice(&state.topic_id).ok();
        // The state of another log is dropped by its owner, who reads this one from its beginning.
        let of_another = topic.is_some() && self.topic_id.is_some() && topic != self.topic_id;
        if !of_another {
            self.from_log = state.start_offset.is_some();
            self.start_offset = state.start_offset.unwrap_or(self.start_offset);
            if let Some(lost) = state.lost_tail {
                self.lost_tail(lost, [state].into_iter());
            }
        }
    }

    /// Kafka lost the tail of its log. `checkpoints` are the usable ones, newest first.
    pub fn lost_tail<'c>(
        &mut self,
        lost: LostTail,
        checkpoints: impl Iterator<Item = &'c PartitionCheckpoint>,
    ) {
        self.start_offset = self.start_offset.min(lost.from);
        let has_start = lost.oldest.is_some_and(|at| at <= self.start_offset);
        self.cuts.add(lost, self.from_log && has_start, checkpoints);
    }

    /// A state of it for another job, which knows nothing of its cuts but what this says.
    pub fn hand_on(&self, state: &PartitionCheckpoint) -> PartitionCheckpoint {
        let oldest = self.cuts.is_whole().then_some(self.start_offset);
        let lost = self.cuts.lost_of(state);
        PartitionCheckpoint {
            lineage: 0,
            lost_tail: lost.map(|lost| LostTail { oldest, ..lost }),
            ..state.clone()
        }
    }

    /// From where on the log gives a state that was made of it, if that is known.
    pub fn start_of(&self, state: &PartitionCheckpoint) -> Option<u64> {
        let same = self.topic_id == Uuid::from_slice(&state.topic_id).ok();
        (same && self.from_log).then_some(self.start_offset)
    }
}

/// The job whose place another one takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// The job that ends.
    pub id: JobId,
    /// How it is to end: stopped, if its state is taken over.
    pub end: End,
}

fn yes() -> bool {
    true
}

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Version of this shape.
    pub version: u32,
    /// Its id, which no other job ever has.
    pub id: JobId,
    /// What it does; secrets as references.
    pub spec: JobSpec,
    /// What the parser remarked on the spec.
    pub warnings: Vec<String>,
    /// When it was submitted.
    pub submitted: Millis,
    /// Where it is in its life.
    pub phase: Phase,
    /// Why, for a person; empty when there is nothing to say.
    pub reason: String,
    /// One lineage of state; 0 before it is known.
    pub generation: u64,
    /// The job clock when this was written: a lower bound of what it is.
    pub clock: Option<Millis>,
    /// Epochs up to this number may have been used.
    #[serde(default)]
    pub epochs_reserved: u64,
    /// Where its first state comes from.
    #[serde(default)]
    pub origin: Origin,
    /// The job that it supersedes: it ends that one, and starts once that one is over.
    #[serde(default)]
    pub follows: Option<Predecessor>,
    /// Its rankings may be shown to readers. Those of a record that does not say so are.
    #[serde(rename = "live", default = "yes")]
    pub shown: bool,
    /// A person wants its keys in Redis taken from whoever has them; until they are.
    #[serde(default)]
    pub take_over: bool,
    /// By ordinal: number i stands at index i.
    pub partitions: Vec<PartitionRecord>,
    /// The first stage of a job that re-keys its input, once its internal topic is known: `partitions` are those of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekeying: Option<RekeyRecord>,
}

impl JobRecord {
    /// A job that was just submitted.
    pub fn new(id: JobId, spec: JobSpec, warnings: Vec<String>, now: Millis) -> Self {
        Self {
            version: VERSION,
            id,
            warnings,
            submitted: now,
            phase: Phase::Starting,
            reason: String::new(),
            generation: 0,
            clock: None,
            epochs_reserved: 0,
            origin: Origin::Spec,
            follows: None,
            shown: spec.sink.flip == Flip::AtOnce,
            take_over: false,
            partitions: Vec::new(),
            rekeying: None,
            spec,
        }
    }

    /// Completes what a record of an older version does not say: the partitions of a job that began without a state.
    pub fn upgrade(&mut self) {
        if self.origin.is_the_log() {
            for partition in &mut self.partitions {
                partition.from_log = true;
            }
        }
    }

    /// The spec for executors.
    pub fn spec_json(&self) -> String {
        serde_json::to_string(&self.spec).unwrap_or_default()
    }

    /// Whether it still has something to do.
    pub fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Over(_))
    }
}

/// The internal topic of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Internal {
    /// Name of the internal topic.
    pub topic: String,
    /// Its id: another topic of that name is not this job's.
    pub id: Uuid,
    /// How many partitions creators are spread over.
    pub partitions: u32,
}

impl Internal {
    /// For the owner of a partition of the first stage.
    pub fn rekeying(&self, has_position: bool) -> Rekeying {
        Rekeying {
            topic: self.topic.clone(),
            topic_id: self.id.as_bytes().to_vec(),
            partitions: self.partitions,
            has_position,
        }
    }
}

/// What is persisted of a first stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RekeyRecord {
    /// Where it writes.
    pub internal: Internal,
    /// By ordinal, which counts within this stage.
    pub partitions: Vec<PartitionRecord>,
}
