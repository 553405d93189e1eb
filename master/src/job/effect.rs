//! What goes into a job's machine and what comes out of it.

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{Manifest, RunningPartition};
use kol_common::{ExecutorId, KolError, Millis, SavepointId, SourcePartition};

use super::discovery::{Found, LogEnds};
use super::fleet::Fleet;
use super::pause::Steps;
use super::record::{End, Predecessor};
use super::tenure::Owned;
use crate::checkpoint::{Commit, Notice};

/// What happened, with the executors and the wall clock as they are then.
#[derive(Debug)]
pub struct Input<'a> {
    /// The event itself.
    pub event: Event,
    /// All executors that are not lost.
    pub fleet: &'a Fleet,
    /// The wall clock, for what people read: unlike the time of a step it may go back.
    pub wall: Millis,
}

/// What happened, for a job.
#[derive(Debug)]
pub enum Event {
    /// An executor opened a stream and said what it runs of this job.
    Connected(ExecutorId, Vec<RunningPartition>),
    /// An executor sent `Reports`, `Released`, `Prepared`, `PartitionFailed`, `BarrierAck` or `BarrierFailed`
    /// about this job.
    Received(ExecutorId, FromExecutor),
    /// What a look at Kafka and Redis found, and why the checkpoint root is not there all the same.
    Discovered(Result<Found, KolError>, Option<KolError>),
    /// Where the logs end that [`Effect::LookUpEnds`] named; those that are not known are left out.
    Ends(Result<LogEnds, KolError>),
    /// Whether it owns its keys in Redis; comes before what the same look found.
    Owned(Result<Owned, KolError>),
    /// It is to end. The text says why, for a person; it is empty where somebody requested it.
    End(End, String),
    /// A person requests a savepoint in this folder.
    Savepoint(SavepointId, String),
    /// The job that it supersedes is over. If that one never began, it leaves the job that it superseded
    /// itself: perhaps that one still ends.
    PredecessorEnded(Option<Predecessor>),
    /// Time passed, or the fleet changed.
    Tick,
}

impl Event {
    /// Whether something may have to be placed anew: what epochs come to matters only to what is moving.
    pub(super) fn is_of_placing(&self) -> bool {
        let is_ack = matches!(self, Self::Received(_, FromExecutor::BarrierAck(_)));
        self.has_news() && !is_ack && !matches!(self, Self::Tick)
    }

    /// Not where reports say that nothing has changed: what follows from that can wait until time passes.
    pub(super) fn has_news(&self) -> bool {
        !matches!(self, Self::Received(_, FromExecutor::Reports(r)) if r.reports.is_empty())
    }
}

/// What is to be done.
///
/// Rule for the driver: once the step is over, what [`Effect::Persist`] and [`Effect::Commit`] want is made
/// durable in one transaction, before any other effect of that step. So no executor ever runs under an
/// assignment epoch that the store does not know, and no file goes that a durable epoch refers to. The
/// other effects are carried out in their order.
#[derive(Debug)]
pub enum Effect {
    /// Make the job's record durable, as [`super::Job::record`] has it after the step.
    Persist,
    /// Make a complete epoch durable.
    Commit(Commit),
    /// Send a message to an executor.
    Send(ExecutorId, ToExecutor),
    /// Look at Kafka and Redis, and answer with [`Event::Owned`] and [`Event::Discovered`].
    Discover,
    /// Look up where the logs of these partitions end, and answer with [`Event::Ends`].
    LookUpEnds(Vec<SourcePartition>),
    /// Delete state files that nothing refers to.
    Delete(Vec<String>),
    /// A savepoint only lacks its manifest file, or failed.
    Savepoint(SavepointId, Result<Manifest, KolError>),
    /// Tell the operator about the checkpoints.
    Notice(Notice),
    /// Tell the operator that an owner on record did not come, and is taken for lost.
    Absent(ExecutorId),
    /// A partition that changed hands is processed again.
    Resumed(Resumed),
}

/// A partition that an owner reported to have resumed: see [`Effect::Resumed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The partition that moved.
    pub partition: SourcePartition,
    /// How long it paused.
    pub paused: Millis,
    /// What that was made of.
    pub steps: Steps,
    /// Why it changed hands: the word of a [`Cause`](super::cause::Cause).
    pub cause: &'static str,
}
