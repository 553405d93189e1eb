//! How the rest of the process asks the controller.

use std::time::Duration;

use kol_common::KolError;
use kol_common::actor::{Address, AskError};
use kol_common::proto::{
    ExecutorStatus, ExplainRequest, Explanation, JobStatus, ListCheckpointsReply, RewindRequest,
    Savepoint, SubmitReply,
};
use tokio::sync::oneshot;

use super::message::{Message, Reply};
use super::submit::Submission;
use crate::job::End;

/// Longest wait for an answer: a little more than the store may take to come back.
const ANSWER: Duration = Duration::from_secs(15);

/// A cheap way to the controller.
#[derive(Clone, Debug)]
pub struct Handle {
    address: Address<Message>,
}

impl Handle {
    /// To the controller behind this address.
    pub fn new(address: Address<Message>) -> Self {
        Self { address }
    }

    /// For what is told without waiting for an answer.
    pub fn address(&self) -> &Address<Message> {
        &self.address
    }

    async fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> Message) -> Result<T, KolError> {
        match self.address.ask(question, ANSWER).await {
            Ok(answer) => answer,
            Err(AskError::Gone(_)) => Err(KolError::external(
                "MASTER_ENDING",
                "the master is shutting down",
            )
            .help("Ask again when it is back.")),
            Err(error) => Err(busy(&error.to_string())),
        }
    }

    /// Starts a job, or says that it runs already.
    ///
    /// # Errors
    /// Another job of that name lives, another live job writes the same Redis keys, or the state to
    /// begin with does not fit.
    pub async fn submit(&self, submission: Submission) -> Result<SubmitReply, KolError> {
        self.ask(|reply| Message::Submit(Box::new(submission), reply))
            .await
    }

    /// Ends a job. With a savepoint below a location (empty: its default), the answer comes once that
    /// is complete.
    ///
    /// # Errors
    /// There is no such job, or it is over, or its savepoint came to nothing.
    pub async fn end(
        &self,
        job: String,
        end: End,
        savepoint: Option<String>,
    ) -> Result<(JobStatus, Option<Savepoint>), KolError> {
        let (reply, saved) = oneshot::channel();
        let wanted = savepoint.map(|below| (below, reply));
        let waits = wanted.is_some();
        let ended = self.ask(|reply| Message::End(job, end, wanted, reply));
        let status = ended.await?;
        let savepoint = if waits {
            Some(complete(saved).await?)
        } else {
            None
        };
        Ok((status, savepoint))
    }

    /// Takes a savepoint of a job below a location (empty: its default): answers once it is complete.
    ///
    /// # Errors
    /// There is no such job, it does not run, or the savepoint came to nothing.
    pub async fn savepoint(&self, job: String, below: String) -> Result<Savepoint, KolError> {
        let (reply, saved) = oneshot::channel();
        let message = Message::Savepoint(job, below, reply);
        let told = self.address.tell(message, ANSWER).await;
        told.map_err(|e| busy(&e.to_string()))?;
        complete(saved).await
    }

    /// Deletes a savepoint.
    ///
    /// # Errors
    /// There is no such savepoint.
    pub async fn delete_savepoint(&self, id: String) -> Result<Savepoint, KolError> {
        self.ask(|reply| Message::DeleteSavepoint(id, reply)).await
    }

    /// Begins a job again from an earlier point, as a new job.
    ///
    /// # Errors
    /// There is no such job, or no such point.
    pub async fn rewind(&self, request: RewindRequest) -> Result<SubmitReply, KolError> {
        self.ask(|reply| Message::Rewind(request, reply)).await
    }

    /// Begins the job again that had this name before.
    ///
    /// # Errors
    /// There is none.
    pub async fn roll_back(&self, job: String) -> Result<SubmitReply, KolError> {
        self.ask(|reply| Message::Rollback(job, reply)).await
    }

    /// All jobs, newest first.
    ///
    /// # Errors
    /// The controller does not answer.
    pub async fn jobs(&self) -> Result<Vec<JobStatus>, KolError> {
        self.ask(Message::Jobs).await
    }

    /// One job by id or name.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn job(&self, job: String) -> Result<JobStatus, KolError> {
        self.ask(|reply| Message::Job(job, reply)).await
    }

    /// The kept checkpoints of a job, newest first.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn checkpoints(&self, job: String) -> Result<ListCheckpointsReply, KolError> {
        self.ask(|reply| Message::Checkpoints(job, reply)).await
    }

    /// All executors, those lost lately too.
    ///
    /// # Errors
    /// The controller does not answer.
    pub async fn executors(&self) -> Result<Vec<ExecutorStatus>, KolError> {
        self.ask(Message::Executors).await
    }

    /// Every term of one creator's score.
    ///
    /// # Errors
    /// There is no such job, or no partition knows the creator.
    pub async fn explain(&self, request: ExplainRequest) -> Result<Explanation, KolError> {
        self.ask(|reply| Message::Explain(request, reply)).await
    }
}

fn busy(what: &str) -> KolError {
    KolError::external("MASTER_BUSY", what)
        .help("Ask again; if it stays, look at the master's log and disk.")
}

/// Waits for a savepoint. It has a deadline where it is taken: this ends.
async fn complete(
    saved: oneshot::Receiver<Result<Savepoint, KolError>>,
) -> Result<Savepoint, KolError> {
    let ended = |_| {
        let what = "the master ended before the savepoint was complete";
        Err(KolError::external("SAVEPOINT_FAILED", what).help("Ask again when it is back."))
    };
    saved.await.unwrap_or_else(ended)
}
