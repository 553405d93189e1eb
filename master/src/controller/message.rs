//! What the controller is told and asked.

use kol_common::proto::executor_message::Body;
use kol_common::proto::{
    ExecutorStatus, ExplainRequest, Explanation, JobStatus, ListCheckpointsReply, MasterMessage,
    Register, RewindRequest, Savepoint, SubmitReply,
};
use kol_common::{JobId, KolError, Millis, SavepointId};
use tokio::sync::{mpsc, oneshot};

use super::submit::Submission;
use crate::cluster::SessionId;
use crate::job::End;
use crate::job::discovery::Found;

/// Messages to one executor. Dropping it ends the stream.
pub type Sender = mpsc::Sender<Result<MasterMessage, tonic::Status>>;

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, KolError>>;

/// What happened, or what somebody wants to know.
#[derive(Debug)]
pub enum Message {
    /// An executor opened a stream and registered.
    Opened(SessionId, Box<Register>, Sender),
    /// An executor said something; the time is when it came in.
    Said(SessionId, Millis, Box<Body>),
    /// A stream ended.
    Closed(SessionId),
    /// A look at Kafka and Redis ended.
    Discovered(JobId, Result<Found, KolError>),
    /// A person submits a job.
    Submit(Box<Submission>, Reply<SubmitReply>),
    /// A person ends a job, by id or name; with a savepoint below a location (or its default), if one
    /// is wanted.
    End(
        String,
        End,
        Option<(String, Reply<Savepoint>)>,
        Reply<JobStatus>,
    ),
    /// A person wants a savepoint of a job below a location (or its default).
    Savepoint(String, String, Reply<Savepoint>),
    /// The manifest file of a savepoint is durable, or could not be written.
    SavepointWritten(SavepointId, Result<Box<Savepoint>, KolError>),
    /// A person deletes a savepoint.
    DeleteSavepoint(String, Reply<Savepoint>),
    /// A person wants a job to begin again from an earlier point.
    Rewind(RewindRequest, Reply<SubmitReply>),
    /// A person wants the job before this one back.
    Rollback(String, Reply<SubmitReply>),
    /// All jobs, newest first.
    Jobs(Reply<Vec<JobStatus>>),
    /// One job, by id or name.
    Job(String, Reply<JobStatus>),
    /// The kept checkpoints of a job.
    Checkpoints(String, Reply<ListCheckpointsReply>),
    /// All executors.
    Executors(Reply<Vec<ExecutorStatus>>),
    /// Every term of one creator's score.
    Explain(ExplainRequest, Reply<Explanation>),
}
