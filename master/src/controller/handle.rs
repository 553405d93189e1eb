//! How the rest of the process asks the controller.

use std::time::Duration;

use kol_common::KolError;
use kol_common::actor::{Address, AskError};
use kol_common::job::JobSpec;
use kol_common::proto::{
    ExecutorStatus, ExplainRequest, Explanation, JobStatus, ListCheckpointsReply, SubmitReply,
};

use super::message::{Message, Reply};
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
            Err(error) => Err(KolError::external("MASTER_BUSY", error.to_string())
                .help("Ask again; if it stays, look at the master's log and disk.")),
        }
    }

    /// Starts a job, or says that it runs already.
    ///
    /// # Errors
    /// Another job of that name lives, or another live job writes the same Redis keys.
    pub async fn submit(
        &self,
        spec: JobSpec,
        warnings: Vec<String>,
    ) -> Result<SubmitReply, KolError> {
        self.ask(|reply| Message::Submit(Box::new(spec), warnings, reply))
            .await
    }

    /// Ends a job.
    ///
    /// # Errors
    /// There is no such job, or it is over.
    pub async fn end(&self, job: String, end: End) -> Result<JobStatus, KolError> {
        self.ask(|reply| Message::End(job, end, reply)).await
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
