//! The person: submits the job, looks at it, and now and then does with it what an operator does. Whatever
//! fails is tried again until it is done; a call that got no answer may have been heard all the same.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use kol_common::checkpoint::DAMAGED;
use kol_common::error::info_of;
use kol_common::proto::job_service_client::JobServiceClient;
use kol_common::proto::rewind_request::To;
use kol_common::proto::{
    DrainRequest, JobRef, JobState, JobStatus, LeadershipRequest, ListExecutorsRequest,
    RewindRequest, SavepointRequest, StopRequest, SubmitRequest,
};
use kol_executor::session::Dial as _;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::masters::Masters;
use super::net::Net;
use super::nodes::Shared;

/// How long the person waits for an answer, for a savepoint, and between two questions.
const ANSWER: Duration = Duration::from_secs(2);
const SAVED: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What a second spec of the job has more.
const OTHER_WEIGHTS: &str = "[scoring.weights]\npersonal = 0.2\nmarket = 0.3\nmomentum = 0.5\n";

/// What an operator does with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// `savepoint`.
    Savepoint,
    /// `savepoint`, and then `submit --replace --from-savepoint` with it.
    BackToSavepoint,
    /// `rewind --to-epoch` with the oldest that is kept.
    RewindToEpoch {
        /// `--at-once`.
        at_once: bool,
    },
    /// `rewind --to-earliest`.
    RewindToEarliest {
        /// `--at-once`.
        at_once: bool,
    },
    /// `stop`, and `submit` when it is over.
    StopAndGoOn,
    /// `submit --replace` with other weights.
    Replace,
    /// `rollback`.
    RollBack,
    /// `drain` of the executor on a host.
    Drain(&'static str),
    /// `drain --cancel`.
    CancelDrain(&'static str),
}

/// Why a call failed.
#[derive(Debug)]
enum Failed {
    /// The master, or whoever stands between, says so.
    Said(Box<Status>),
    /// There is no connection, or no answer in time.
    Silent(&'static str),
}

impl Failed {
    fn code(&self) -> Option<String> {
        match self {
            Self::Said(status) => info_of(status).map(|info| info.code),
            Self::Silent(_) => None,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(status) => f.write_str(status.message()),
            Self::Silent(what) => f.write_str(what),
        }
    }
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self::Said(Box::new(status))
    }
}

/// See the module.
pub struct Person {
    shared: Rc<Shared>,
    net: Net,
    /// The job was accepted once.
    submitted: bool,
    spec: String,
}

impl Person {
    /// Who has done nothing yet.
    pub fn new(shared: Rc<Shared>, net: Net) -> Self {
        Self {
            spec: shared.spec.clone(),
            shared,
            net,
            submitted: false,
        }
    }

    /// Submits the job until it is accepted, then does the errands and looks at the job for ever.
    pub async fn live(mut self) {
        loop {
            let errand = self.shared.errands.borrow().front().copied();
            let done = match errand {
                _ if !self.submitted => self.submit(|_| {}).await,
                Some(errand) => self.run(errand).await,
                None => self.watch().await,
            };
            match (done, errand) {
                (Err(error), errand) => {
                    tracing::debug!(%error, ?errand, "the person tries again");
                    self.shared.refusal.replace(error.to_string());
                }
                (Ok(()), _) if !self.submitted => self.submitted = true,
                (Ok(()), Some(errand)) => {
                    tracing::info!(?errand, "the person is done");
                    // What was seen of the job before says nothing of the one that follows it.
                    self.shared.status.replace(None);
                    self.shared.errands.borrow_mut().pop_front();
                }
                (Ok(()), None) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn watch(&self) -> Result<(), Failed> {
        let status = self.look().await?;
        self.look_at_executors().await?;
        self.shared.status.replace(Some(status));
        Ok(())
    }

    async fn run(&mut self, errand: Errand) -> Result<(), Failed> {
        // One that failed must begin again before anything else can be done with it.
        self.look().await?;
        match errand {
            Errand::Savepoint => self.savepoint().await.map(drop),
            Errand::BackToSavepoint => {
                let from_savepoint = self.savepoint().await?;
                self.submit(|request| {
                    request.replace = true;
                    request.from_savepoint = from_savepoint;
                })
                .await
            }
            Errand::RewindToEpoch { at_once } => {
                let oldest = self.oldest_epoch().await?;
                self.rewind(To::Epoch(oldest), at_once).await
            }
            Errand::RewindToEarliest { at_once } => self.rewind(To::Earliest(true), at_once).await,
            Errand::StopAndGoOn => {
                self.stop().await?;
                self.submit(|_| {}).await
            }
            Errand::Replace => {
                self.spec = format!("{}{OTHER_WEIGHTS}", self.shared.spec);
                self.submit(|request| request.replace = true).await
            }
            Errand::RollBack => self.roll_back().await,
            Errand::Drain(host) => self.drain(host, true).await,
            Errand::CancelDrain(host) => self.drain(host, false).await,
        }
    }

    async fn submit(&self, flags: impl FnOnce(&mut SubmitRequest)) -> Result<(), Failed> {
        let mut request = SubmitRequest {
            spec_toml: self.spec.clone(),
            origin: "simulation.toml".into(),
            ..SubmitRequest::default()
        };
        flags(&mut request);
        let mut master = self.master().await?;
        within(ANSWER, master.submit(request)).await.map(drop)
    }

    async fn look(&self) -> Result<JobStatus, Failed> {
        let mut master = self.master().await?;
        let status = within(ANSWER, master.get_job(self.job())).await?;
        if status.state() == JobState::Failed && status.reason.contains(DAMAGED) {
            // The state to begin with was damaged: the log has all of it.
            self.rewind(To::Earliest(true), false).await?;
            return Err(Failed::Silent("the job begins without state"));
        }
        Ok(status)
    }

    async fn savepoint(&self) -> Result<String, Failed> {
        let request = SavepointRequest {
            job: self.job().job,
            location: String::new(),
        };
        let mut master = self.master().await?;
        let savepoint = within(SAVED, master.take_savepoint(request)).await?;
        Ok(savepoint.id)
    }

    async fn oldest_epoch(&self) -> Result<u64, Failed> {
        let mut master = self.master().await?;
        let kept = within(ANSWER, master.list_checkpoints(self.job())).await?;
        let oldest = kept.checkpoints.last().map(|manifest| manifest.epoch);
        oldest.ok_or(Failed::Silent("no epoch is kept yet"))
    }

    async fn rewind(&self, to: To, at_once: bool) -> Result<(), Failed> {
        let request = RewindRequest {
            job: self.job().job,
            to: Some(to),
            at_once,
        };
        let mut master = self.master().await?;
        within(ANSWER, master.rewind(request)).await.map(drop)
    }

    /// Stops the job, and waits until it is over.
    async fn stop(&self) -> Result<(), Failed> {
        let request = StopRequest {
            job: self.job().job,
            ..StopRequest::default()
        };
        let mut master = self.master().await?;
        match within(ANSWER, master.stop_job(request)).await {
            // It was heard the last time.
            Err(error) if error.code().as_deref() == Some("JOB_OVER") => return Ok(()),
            stopping => stopping.map(drop)?,
        }
        while self.look().await?.state() != JobState::Stopped {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn roll_back(&self) -> Result<(), Failed> {
        let mut master = self.master().await?;
        match within(ANSWER, master.rollback(self.job())).await {
            // There was none before it.
            Err(error) if error.code().as_deref() == Some("JOB_NOT_FOUND") => Ok(()),
            begun => begun.map(drop),
        }
    }

    /// Has the executor of a host drained, or no longer.
    async fn drain(&self, host: &'static str, draining: bool) -> Result<(), Failed> {
        self.shared.drains.borrow_mut().begin(host);
        let request = DrainRequest {
            executor: host.to_owned(),
            cancel: !draining,
        };
        let mut master = self.master().await?;
        match within(ANSWER, master.drain_executor(request)).await {
            Ok(status) => {
                self.shared.drains.borrow_mut().confirmed(&status, draining);
                Ok(())
            }
            // It is away; its next life knows nothing of it.
            Err(error) if error.code().as_deref() == Some("EXECUTOR_NOT_FOUND") => Ok(()),
            Err(error) => {
                self.shared.drains.borrow_mut().unsure(host);
                Err(error)
            }
        }
    }

    /// Looks at the executors, once one of them was drained: without that nothing depends on it.
    async fn look_at_executors(&self) -> Result<(), Failed> {
        if !self.shared.drains.borrow().began() {
            return Ok(());
        }
        let mut master = self.master().await?;
        let listed = within(ANSWER, master.list_executors(ListExecutorsRequest {})).await?;
        self.shared.drains.borrow_mut().look(listed.executors);
        Ok(())
    }

    /// The master that leads.
    async fn master(&self) -> Result<JobServiceClient<Channel>, Failed> {
        let mut failed = Failed::Silent("no master leads");
        for url in self.shared.masters.urls() {
            let master = match self.at(url).await {
                Ok(master) => master,
                Err(error) => {
                    failed = error;
                    continue;
                }
            };
            if self.shared.masters == Masters::One {
                return Ok(master);
            }
            let answer = within(ANSWER, master.clone().leadership(LeadershipRequest {})).await;
            if answer.is_ok_and(|reply| reply.leads) {
                return Ok(master);
            }
        }
        Err(failed)
    }

    async fn at(&self, url: String) -> Result<JobServiceClient<Channel>, Failed> {
        let endpoint = Endpoint::from_shared(url).map_err(|_| Failed::Silent("no address"))?;
        let opened = tokio::time::timeout(ANSWER, self.net.dial(&endpoint)).await;
        let channel = opened.map_err(|_| Failed::Silent("no connection in time"))?;
        let channel = channel.map_err(|_| Failed::Silent("no connection"))?;
        Ok(JobServiceClient::new(channel))
    }

    /// By its name: the newest that has it.
    fn job(&self) -> JobRef {
        JobRef {
            job: "simulated".into(),
        }
    }
}

async fn within<T>(
    longest: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Failed> {
    match tokio::time::timeout(longest, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Failed::Silent("no answer in time")),
    }
}
