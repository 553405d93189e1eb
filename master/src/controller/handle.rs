//! How the rest of the process reaches the controller. Every wait has a deadline, and every refusal is a
//! typed error.

use std::time::Duration;

use kol_common::actor::{Address, AskError};
use kol_common::checkpoint::stamp::Renewed;
use kol_common::proto::executor_message::Body;
use kol_common::proto::{
    ExecutorStatus, ExplainRequest, Explanation, JobStatus, ListCheckpointsReply, MasterMessage,
    PartitionFailed, Register, RewindRequest, Savepoint, SubmitReply,
};
use kol_common::{ExecutorId, JobId, KolError, Millis, SavepointId};
use tokio::sync::{mpsc, oneshot};

use super::clock::Clock;
use super::message::{Message, Query, ReadAt, Reply, SavepointRequest};
use super::submission::Submission;
use crate::cluster::SessionId;
use crate::job::End;
use crate::job::discovery::{Found, LogEnds};
use crate::job::tenure::Owned;

/// Longest wait for an answer, and for room in the mailbox: a little more than the store may take to
/// recover.
const ANSWER: Duration = Duration::from_secs(15);
/// The same for the result of a task beside the controller: no one waits for that task.
const HAND_OVER: Duration = Duration::from_secs(60);
/// Longest wait for a savepoint. The coordinator ends it after twice `checkpoint.timeout`; this ends the
/// wait where the master itself does not get that far.
const SAVEPOINT: Duration = Duration::from_secs(3_600);
/// Messages to one executor that may wait: far more than a healthy one leaves unread.
const OUTGOING: usize = 1_024;

/// What an executor reads: the messages of its stream. It ends when the controller drops the stream.
pub type Outgoing = mpsc::Receiver<Result<MasterMessage, tonic::Status>>;

/// A cheap way to the controller. All methods fail with `MASTER_ENDING` when it has ended and with
/// `MASTER_BUSY` when it does not answer in time, besides the errors they name.
#[derive(Clone, Debug)]
pub struct Handle {
    mailbox: Address<Message>,
    clock: Clock,
    term: u64,
}

impl Handle {
    pub(super) fn new(mailbox: Address<Message>, clock: Clock, term: u64) -> Self {
        Self {
            mailbox,
            clock,
            term,
        }
    }

    /// The term in which the controller leads.
    pub fn term(&self) -> u64 {
        self.term
    }

    async fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> Message) -> Result<T, KolError> {
        self.ask_within(ANSWER, question).await
    }

    async fn ask_within<T>(
        &self,
        deadline: Duration,
        question: impl FnOnce(Reply<T>) -> Message,
    ) -> Result<T, KolError> {
        let answer = self.mailbox.ask(question, deadline).await;
        answer.map_err(unanswered)?
    }

    async fn tell(&self, message: Message, deadline: Duration) -> Result<(), KolError> {
        let sent = self.mailbox.tell(message, deadline).await;
        sent.map_err(unanswered)
    }

    /// An executor opened a stream and registered. What comes back is what to send it; call
    /// [`Self::closed`] when the stream ends.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn opened(
        &self,
        session: SessionId,
        register: Register,
    ) -> Result<Outgoing, KolError> {
        let (stream, outgoing) = mpsc::channel(OUTGOING);
        let register = Box::new(register);
        let opened = Message::Opened {
            session,
            register,
            stream,
        };
        self.tell(opened, ANSWER).await.map(|()| outgoing)
    }

    /// An executor sent a message, just now.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn received(&self, session: SessionId, body: Body) -> Result<(), KolError> {
        let read = ReadAt {
            at: self.clock.now(),
            wall: Millis::now(),
        };
        let received = Message::Received {
            session,
            read,
            body: Box::new(body),
        };
        self.tell(received, ANSWER).await
    }

    /// An executor's stream ended.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn closed(&self, session: SessionId) -> Result<(), KolError> {
        self.tell(Message::Closed { session }, ANSWER).await
    }

    /// A look at Kafka and Redis is over.
    pub(super) async fn discovered(
        &self,
        job: JobId,
        owned: Result<Owned, KolError>,
        found: Result<Found, KolError>,
        claimed: Result<(String, Renewed), KolError>,
    ) -> Result<(), KolError> {
        let discovered = Message::Discovered {
            job,
            owned: Box::new(owned),
            found,
            claimed,
        };
        self.tell(discovered, HAND_OVER).await
    }

    /// A look for a file that an executor missed is over.
    pub(super) async fn file_looked_for(
        &self,
        executor: ExecutorId,
        failed: PartitionFailed,
        location: Option<String>,
    ) -> Result<(), KolError> {
        let failed = Box::new(failed);
        let looked = Message::FileLookedFor {
            executor,
            failed,
            location,
        };
        self.tell(looked, HAND_OVER).await
    }

    /// A look at where logs end is over.
    pub(super) async fn ends_looked_up(
        &self,
        job: JobId,
        found: Result<LogEnds, KolError>,
    ) -> Result<(), KolError> {
        self.tell(Message::EndsLookedUp { job, found }, HAND_OVER)
            .await
    }

    /// The look at whose keys in Redis a submitted job would write is over.
    pub(super) async fn owners_looked(
        &self,
        submission: Submission,
        owned: Result<Owned, KolError>,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        let submission = Box::new(submission);
        let looked = Message::OwnersLooked {
            submission,
            owned: Box::new(owned),
            reply,
        };
        self.tell(looked, HAND_OVER).await
    }

    /// The folder of a savepoint is there, or cannot be made.
    pub(super) async fn savepoint_placed(
        &self,
        job: JobId,
        savepoint: SavepointId,
        placed: Result<(), KolError>,
    ) -> Result<(), KolError> {
        let placed = Message::SavepointPlaced {
            job,
            savepoint,
            placed,
        };
        self.tell(placed, HAND_OVER).await
    }

    /// The manifest file of a savepoint is durable, or could not be written.
    pub(super) async fn savepoint_written(
        &self,
        savepoint: SavepointId,
        written: Result<Savepoint, KolError>,
    ) -> Result<(), KolError> {
        let written = written.map(Box::new);
        let written = Message::SavepointWritten { savepoint, written };
        self.tell(written, HAND_OVER).await
    }

    /// An attempt to delete files of what was forgotten is over.
    pub(super) async fn deleted(&self, done: Vec<String>) -> Result<(), KolError> {
        self.tell(Message::Deleted { done }, HAND_OVER).await
    }

    /// Starts a job, or says that it runs already.
    ///
    /// # Errors
    /// Another job of that name is live, another live job writes the same Redis keys, also one of another
    /// cluster, or the state to begin with does not fit.
    pub async fn submit(&self, submission: Submission) -> Result<SubmitReply, KolError> {
        let submission = Box::new(submission);
        self.ask(|reply| Message::Submit { submission, reply })
            .await
    }

    /// Ends a job. With a savepoint below a location (empty: its default), the job ends once that is complete,
    /// and runs on if it fails. Whoever stops waiting before has changed nothing, but for the savepoint.
    ///
    /// # Errors
    /// There is no such job, or it is over, or its savepoint failed.
    pub async fn end(
        &self,
        job: String,
        end: End,
        savepoint: Option<String>,
    ) -> Result<(JobStatus, Option<Savepoint>), KolError> {
        let Some(below) = savepoint else {
            let ended = self.ask(|reply| Message::End {
                job,
                end,
                savepoint: None,
                reply,
            });
            return Ok((ended.await?, None));
        };
        let (reply, saved) = oneshot::channel();
        let savepoint = Some(SavepointRequest { below, reply });
        let (reply, ended) = oneshot::channel();
        let message = Message::End {
            job,
            end,
            savepoint,
            reply,
        };
        self.tell(message, ANSWER).await?;
        let savepoint = complete(saved).await?;
        Ok((complete(ended).await?, Some(savepoint)))
    }

    /// Moves the partitions of an executor away, by its id or host, or no longer.
    ///
    /// # Errors
    /// There is no such executor, or several on that host.
    pub async fn drain(
        &self,
        executor: String,
        draining: bool,
    ) -> Result<ExecutorStatus, KolError> {
        self.ask(|reply| Message::Drain {
            executor,
            draining,
            reply,
        })
        .await
    }

    /// Takes a savepoint of a job below a location (empty: its default): answers once it is complete.
    ///
    /// # Errors
    /// There is no such job, it does not run, or the savepoint failed.
    pub async fn savepoint(&self, job: String, below: String) -> Result<Savepoint, KolError> {
        let (reply, saved) = oneshot::channel();
        let request = SavepointRequest { below, reply };
        let take = Message::TakeSavepoint { job, request };
        self.tell(take, ANSWER).await?;
        complete(saved).await
    }

    /// The folder of a savepoint, if there is one with this id.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn savepoint_folder(&self, savepoint: String) -> Result<Option<String>, KolError> {
        self.ask(|reply| Message::Query(Query::SavepointFolder { savepoint, reply }))
            .await
    }

    /// Deletes a savepoint.
    ///
    /// # Errors
    /// There is no such savepoint.
    pub async fn delete_savepoint(&self, savepoint: String) -> Result<Savepoint, KolError> {
        self.ask(|reply| Message::DeleteSavepoint { savepoint, reply })
            .await
    }

    /// Begins a job again from an earlier point, as a new job.
    ///
    /// # Errors
    /// There is no such job, or no such point.
    pub async fn rewind(&self, request: RewindRequest) -> Result<SubmitReply, KolError> {
        self.ask(|reply| Message::Rewind { request, reply }).await
    }

    /// Begins the job again that had this name before.
    ///
    /// # Errors
    /// There was none.
    pub async fn roll_back(&self, job: String) -> Result<SubmitReply, KolError> {
        self.ask(|reply| Message::RollBack { job, reply }).await
    }

    /// All jobs, newest first.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn jobs(&self) -> Result<Vec<JobStatus>, KolError> {
        self.ask(|reply| Message::Query(Query::Jobs { reply }))
            .await
    }

    /// One job by id or name.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn job(&self, job: String) -> Result<JobStatus, KolError> {
        self.ask(|reply| Message::Query(Query::Job { job, reply }))
            .await
    }

    /// The kept checkpoints of a job, newest first, and its savepoints.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn checkpoints(&self, job: String) -> Result<ListCheckpointsReply, KolError> {
        self.ask(|reply| Message::Query(Query::Checkpoints { job, reply }))
            .await
    }

    /// All executors, also those that were lost in the last minutes.
    ///
    /// # Errors
    /// See [`Handle`].
    pub async fn executors(&self) -> Result<Vec<ExecutorStatus>, KolError> {
        self.ask(|reply| Message::Query(Query::Executors { reply }))
            .await
    }

    /// Every term of one creator's score.
    ///
    /// # Errors
    /// There is no such job, or no partition knows the creator.
    pub async fn explain(&self, request: ExplainRequest) -> Result<Explanation, KolError> {
        self.ask(|reply| Message::Query(Query::Explain { request, reply }))
            .await
    }
}

/// What a requester reads that got no answer.
fn unanswered(error: AskError) -> KolError {
    match error {
        AskError::Gone(_) => KolError::external("MASTER_ENDING", "the master is shutting down")
            .help("Try again when it is back."),
        AskError::Deadline(_) | AskError::Full(_) => {
            KolError::external("MASTER_BUSY", error.to_string())
                .help("Try again; if it stays, look at the master's log and disk.")
        }
    }
}

async fn complete<T>(saved: oneshot::Receiver<Result<T, KolError>>) -> Result<T, KolError> {
    let failed = |what| KolError::external("SAVEPOINT_FAILED", what);
    match tokio::time::timeout(SAVEPOINT, saved).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(
            failed("the master ended before the savepoint was complete")
                .help("Request it again when the master is back."),
        ),
        Err(_) => Err(failed("the savepoint was not complete within an hour").help(
            "kol-client checkpoints JOB lists it if it still completes; look at the master's log.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kol_common::actor::mailbox;

    #[tokio::test(start_paused = true)]
    async fn every_request_ends_at_its_deadline_or_with_the_controller() {
        let (address, mut inbox) = mailbox("controller", 2);
        let handle = Handle::new(address, Clock::start(), 0);
        let error = handle.jobs().await.unwrap_err();
        assert_eq!(error.code, "MASTER_BUSY");
        let error = handle.savepoint("a".into(), String::new()).await;
        assert_eq!(error.unwrap_err().code, "SAVEPOINT_FAILED");
        // Both messages still wait: there is no room for another.
        let error = handle.closed(SessionId(1)).await.unwrap_err();
        assert_eq!(error.code, "MASTER_BUSY");
        inbox.close();
        let error = handle.jobs().await.unwrap_err();
        assert_eq!(error.code, "MASTER_ENDING");
    }
}
