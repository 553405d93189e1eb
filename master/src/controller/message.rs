//! What the controller receives. Only [`Handle`](super::Handle) makes these: the mailbox is known to no one
//! else.

use kol_common::checkpoint::stamp::Renewed;
use kol_common::proto::executor_message::Body;
use kol_common::proto::{
    ExecutorStatus, ExplainRequest, Explanation, JobStatus, ListCheckpointsReply, MasterMessage,
    PartitionFailed, Register, RewindRequest, Savepoint, SubmitReply,
};
use kol_common::{ExecutorId, JobId, KolError, Millis, SavepointId};
use tokio::sync::{mpsc, oneshot};

use super::submission::Submission;
use crate::cluster::SessionId;
use crate::job::End;
use crate::job::discovery::{Found, LogEnds};
use crate::job::tenure::Owned;

/// The stream to one executor. It is bounded; dropping it ends the stream.
pub(super) type Stream = mpsc::Sender<Result<MasterMessage, tonic::Status>>;

/// Where the answer to a request goes. The requester may be gone by then.
pub(super) type Reply<T> = oneshot::Sender<Result<T, KolError>>;

/// When a message was read off the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadAt {
    /// By the master's monotonic clock.
    pub(super) at: Millis,
    /// By its wall clock, which another host's is compared with.
    pub(super) wall: Millis,
}

/// The end of a job that waits for its savepoint: how, and who waits for it to begin.
pub(super) type Ending = (End, Reply<JobStatus>);

/// A savepoint that a person waits for.
#[derive(Debug)]
pub(super) struct SavepointRequest {
    /// URL of the folder that gets a folder for it; empty: `savepoints` below the job's checkpoint
    /// location.
    pub(super) below: String,
    /// Answered once the savepoint is complete, or cannot be.
    pub(super) reply: Reply<Savepoint>,
}

/// Something happened, or a person requests something. Where a `job` is a text, it is an id or a name; a
/// name means the newest job of that name, an empty text the only job that runs.
#[derive(Debug)]
pub(super) enum Message {
    /// An executor opened a stream and registered.
    Opened {
        /// The stream, as the process that accepted it numbers it.
        session: SessionId,
        /// Its first message.
        register: Box<Register>,
        /// The way back to it.
        stream: Stream,
    },
    /// An executor sent a message after its registration.
    Received {
        /// The stream that it came over.
        session: SessionId,
        /// When it was read off the network: it may have waited in the mailbox since.
        read: ReadAt,
        /// What it says.
        body: Box<Body>,
    },
    /// An executor's stream ended.
    Closed {
        /// The stream, as the process that accepted it numbers it.
        session: SessionId,
    },
    /// A look at Kafka and Redis that a job requested is over.
    Discovered {
        /// The job that requested it.
        job: JobId,
        /// Whether its keys in Redis are its own.
        owned: Box<Result<Owned, KolError>>,
        /// Partitions, starting offsets and generation, or why they are not known.
        found: Result<Found, KolError>,
        /// The checkpoint root that carries the marker and what became of its stamps, or why it does not.
        claimed: Result<(String, Renewed), KolError>,
    },
    /// The look for a file that an executor missed is over.
    FileLookedFor {
        /// Who missed it.
        executor: ExecutorId,
        /// What the executor said.
        failed: Box<PartitionFailed>,
        /// Where the file is whole; `None` if it is not, or if that is not known.
        location: Option<String>,
    },
    /// A look at where logs end that a job requested is over.
    EndsLookedUp {
        /// The job that is looked for.
        job: JobId,
        /// The ends, or why they are not known.
        found: Result<LogEnds, KolError>,
    },
    /// A person submits a job.
    Submit {
        /// The job, and where it begins.
        submission: Box<Submission>,
        /// Answered once the job is durable, or found to run already.
        reply: Reply<SubmitReply>,
    },
    /// The look at whose keys in Redis a submitted job would write is over.
    OwnersLooked {
        /// The job, and where it begins.
        submission: Box<Submission>,
        /// Whether it could own them.
        owned: Box<Result<Owned, KolError>>,
        /// As of the submission.
        reply: Reply<SubmitReply>,
    },
    /// A person ends a job.
    End {
        /// Name or id of the job; empty: the only one that runs.
        job: String,
        /// Stopped or cancelled.
        end: End,
        /// A savepoint to take first, if one is wanted: without it the job does not end.
        savepoint: Option<SavepointRequest>,
        /// Answered once the end has begun.
        reply: Reply<JobStatus>,
    },
    /// A person requests a savepoint of a job that runs.
    TakeSavepoint {
        /// Name or id of the job, as in `End`.
        job: String,
        /// Where, and who waits for it.
        request: SavepointRequest,
    },
    /// The task that makes the folder of a savepoint is over.
    SavepointPlaced {
        /// The job whose savepoint it is.
        job: JobId,
        /// Its id, given when it was requested.
        savepoint: SavepointId,
        /// Whether the folder is there.
        placed: Result<(), KolError>,
    },
    /// The task that writes a savepoint's manifest file is over.
    SavepointWritten {
        /// Its id, given when it was requested.
        savepoint: SavepointId,
        /// Its description, or why the file is not durable.
        written: Result<Box<Savepoint>, KolError>,
    },
    /// An attempt to delete files of what was forgotten is over.
    Deleted {
        /// The ids of that of which no file is left.
        done: Vec<String>,
    },
    /// A person deletes a savepoint.
    DeleteSavepoint {
        /// Id of the savepoint.
        savepoint: String,
        /// Answered with what it was once it is off the record; its files go later.
        reply: Reply<Savepoint>,
    },
    /// A person wants a job to begin again from an earlier point.
    Rewind {
        /// The job and the point.
        request: RewindRequest,
        /// As of a submission.
        reply: Reply<SubmitReply>,
    },
    /// A person wants the job back that had this name before.
    RollBack {
        /// The job to replace.
        job: String,
        /// As of a submission.
        reply: Reply<SubmitReply>,
    },
    /// A person moves the partitions of an executor away, or no longer.
    Drain {
        /// Its id or its host.
        executor: String,
        /// Or no longer.
        draining: bool,
        /// Answered once it has begun.
        reply: Reply<ExecutorStatus>,
    },
    /// A question about what there is.
    Query(Query),
}

/// What changes nothing. A `job` is as in [`Message`].
#[derive(Debug)]
pub(super) enum Query {
    /// All jobs, newest first.
    Jobs {
        /// Answered at once.
        reply: Reply<Vec<JobStatus>>,
    },
    /// The status of one job.
    Job {
        /// Name or id of the job, as in [`Message::End`].
        job: String,
        /// Answered at once.
        reply: Reply<JobStatus>,
    },
    /// The kept checkpoints and the savepoints of a job.
    Checkpoints {
        /// Name or id of the job, as in [`Message::End`].
        job: String,
        /// Answered at once.
        reply: Reply<ListCheckpointsReply>,
    },
    /// The folder of a savepoint; none when there is no such savepoint.
    SavepointFolder {
        /// Id of the savepoint.
        savepoint: String,
        /// Answered at once.
        reply: Reply<Option<String>>,
    },
    /// All executors, also those that were lost in the last minutes.
    Executors {
        /// Answered at once.
        reply: Reply<Vec<ExecutorStatus>>,
    },
    /// Every term of one creator's score.
    Explain {
        /// The job and the creator.
        request: ExplainRequest,
        /// Answered when the executors of the job have answered, or are out of time.
        reply: Reply<Explanation>,
    },
}
