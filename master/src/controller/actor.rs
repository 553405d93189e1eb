//! The loop: one message or one tick at a time, decided by the machines, carried out here.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::actor::{Address, Group, Mailbox};
use kol_common::job::StartingOffsets;
use kol_common::proto::MasterMessage;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::{ExecutorId, JobId, KolError, Millis};
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use super::explain::Questions;
use super::message::{Message, Sender};
use super::savepoints::Waiting;
use super::store::{JobStore, Stored};
use crate::checkpoint::News;
use crate::checkpoint::group_offsets::GroupOffsets;
use crate::checkpoint::keeper::{Chore, Keeper};
use crate::cluster::{Input, Limits, Members, SessionId};
use crate::job::discovery::{Outside, Query, discover};
use crate::job::{Event, Job, Out, Phase, Start};
use crate::metrics::publish;

/// How often time passes for the machines.
const TICK: Duration = Duration::from_millis(100);
/// How often metrics are published.
const METRICS: Millis = Millis(1_000);
/// Messages taken before time may pass: heartbeats that wait in the queue must count before leases
/// are looked at, and a flood must not stop the clock.
const BATCH: usize = 1_024;
/// Longest wait to hand over what a look at Kafka found.
const HAND_OVER: Duration = Duration::from_secs(60);

/// What a controller needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whom to ask about the jobs' logs and Redis.
    pub outside: Outside,
    /// How long a partition may take to finish when it is taken back.
    pub drain: Duration,
    /// Leases.
    pub limits: Limits,
}

/// The actor.
pub struct Controller {
    pub(super) options: Options,
    pub(super) store: JobStore,
    pub(super) members: Members,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) questions: Questions,
    pub(super) senders: BTreeMap<ExecutorId, (SessionId, Sender)>,
    pub(super) address: Address<Message>,
    pub(super) tasks: Group,
    published: Millis,
    pub(super) group_offsets: BTreeMap<JobId, GroupOffsets>,
    pub(super) keeper: Keeper,
    pub(super) waiting: Waiting,
}

impl Controller {
    /// With the jobs of the store. `address` is its own; `tasks` gets its looks at Kafka.
    pub fn new(
        options: Options,
        store: JobStore,
        stored: Vec<Stored>,
        address: Address<Message>,
        tasks: Group,
    ) -> Self {
        let now = Millis::now();
        let stores = options.outside.stores.clone();
        let jobs = stored
            .into_iter()
            .map(|(record, checkpoints)| {
                let id = record.id.clone();
                (id, Job::new(record, checkpoints, now, options.drain))
            })
            .collect();
        Self {
            members: Members::new(options.limits),
            options,
            store,
            jobs,
            questions: Questions::default(),
            senders: BTreeMap::new(),
            address,
            keeper: Keeper::start(&tasks, stores),
            waiting: Waiting::default(),
            tasks,
            published: Millis(0),
            group_offsets: BTreeMap::new(),
        }
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// The store does not take writes any more: nothing may be decided then.
    pub async fn run(
        mut self,
        mut inbox: Mailbox<Message>,
        stop: CancellationToken,
    ) -> Result<(), KolError> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut taken = 0;
        loop {
            // Messages before time, so that what was heard in time counts; see BATCH.
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(message) = inbox.recv(), if taken < BATCH => {
                    taken += 1;
                    self.message(message).await?;
                }
                _ = ticks.tick() => {
                    taken = 0;
                    self.tick().await?;
                }
            }
        }
    }

    async fn tick(&mut self) -> Result<(), KolError> {
        let now = Millis::now();
        self.member(now, Input::Tick).await?;
        self.tick_jobs(now).await?;
        self.questions.tick(now);
        if now.since(self.published) >= METRICS {
            self.published = now;
            publish(&self.job_statuses(now), &self.executor_statuses(now));
        }
        Ok(())
    }

    pub(super) async fn tick_jobs(&mut self, now: Millis) -> Result<(), KolError> {
        for id in self.live() {
            self.succeed(now, &id).await?;
        }
        Ok(())
    }

    async fn message(&mut self, message: Message) -> Result<(), KolError> {
        let now = Millis::now();
        match message {
            Message::Opened(session, register, sender) => {
                self.opened(now, session, *register, sender).await
            }
            Message::Said(session, at, body) => self.said(now, session, at, *body).await,
            Message::Closed(session) => self.member(now, Input::Closed(session)).await,
            Message::Discovered(job, found) => self.step(now, &job, Event::Discovered(found)).await,
            Message::Submit(submission, reply) => self.submit(now, *submission, reply).await,
            Message::Rewind(request, reply) => self.rewind(now, request, reply).await,
            Message::Rollback(job, reply) => self.roll_back(now, &job, reply).await,
            Message::End(job, end, savepoint, reply) => {
                self.end(now, &job, end, savepoint, reply).await
            }
            Message::Savepoint(job, below, reply) => {
                self.take_savepoint(now, &job, &below, reply).await
            }
            Message::SavepointWritten(id, written) => self.savepoint_written(&id, written).await,
            Message::DeleteSavepoint(id, reply) => self.delete_savepoint(&id, reply).await,
            Message::Explain(request, reply) => {
                self.explain(now, request, reply);
                Ok(())
            }
            Message::Jobs(reply) => {
                let _nobody_waits = reply.send(Ok(self.job_statuses(now)));
                Ok(())
            }
            Message::Job(job, reply) => {
                let _nobody_waits = reply.send(self.job_status(now, &job));
                Ok(())
            }
            Message::Checkpoints(job, reply) => {
                let _nobody_waits = reply.send(self.checkpoints(&job));
                Ok(())
            }
            Message::Executors(reply) => {
                let _nobody_waits = reply.send(Ok(self.executor_statuses(now)));
                Ok(())
            }
        }
    }

    /// One step of a job: decided, made durable, told.
    pub(super) async fn step(
        &mut self,
        now: Millis,
        id: &JobId,
        event: Event,
    ) -> Result<(), KolError> {
        let fleet = self.fleet(id);
        let Some(job) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        let before = job.header().phase;
        let mut out = Out::default();
        job.handle(now, event, &fleet, &mut out);
        let (after, reason) = (job.header().phase, job.header().reason.clone());
        let record = out.persist.then(|| job.record());
        let epoch = out.commit.as_ref().map(|commit| (id, commit));
        if record.is_some() || epoch.is_some() {
            self.store.save(record.as_ref(), epoch).await?;
        }
        if let Some(commit) = out.commit {
            self.publish_offsets(id, &commit.manifest);
            self.publish_manifest(id, commit.manifest);
            if let Some(sweep) = commit.sweep {
                self.keep_in_order(id, Chore::LeftBehind(id.clone(), sweep));
            }
        }
        if before != after {
            tracing::info!(job = %id, from = ?before, to = ?after, reason, "the job's phase changed");
            if matches!(after, Phase::Over(_)) {
                self.group_offsets.remove(id);
            }
        }
        for (executor, message) in out.sends {
            self.send(&executor, message);
        }
        if out.discover {
            self.discover(id);
        }
        match out.news {
            Some(News::Failed(error)) => {
                tracing::warn!(code = "EPOCH_ABORTED", job = %id, %error, "an epoch was given up: processing goes on");
            }
            Some(News::Mended(failures)) => {
                tracing::info!(job = %id, failures, "epochs are committed again");
            }
            None => {}
        }
        if !out.garbage.is_empty() {
            self.keep_in_order(id, Chore::Files(out.garbage));
        }
        for (savepoint, saved) in out.savepoints {
            self.state_is_saved(id, savepoint, saved);
        }
        Ok(())
    }

    fn discover(&self, id: &JobId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let record = job.record();
        let starting = record.generation == 0;
        // Partitions that come later start at their beginning.
        let (start, known) = if starting {
            (self.start_of(&record), Vec::new())
        } else {
            let known = record.partitions.into_iter().map(|p| p.partition);
            (
                Ok(Start::Offsets(StartingOffsets::Earliest)),
                known.collect(),
            )
        };
        let query = |start| Query {
            start,
            known,
            generation: self.store.generation(),
            spec: record.spec,
        };
        let (id, outside) = (id.clone(), self.options.outside.clone());
        let address = self.address.clone();
        let start = start.map(query);
        let _runs_by_itself = self.tasks.spawn("discovery", async move {
            let found = match start {
                Ok(query) => discover(query, outside).await,
                Err(error) => Err(error),
            };
            let told = address
                .tell(Message::Discovered(id, found), HAND_OVER)
                .await;
            told.map_err(|e| KolError::internal("DISCOVERY", e.to_string()))
        });
    }

    /// Without waiting: an executor that does not read loses its stream, not the master its pace.
    pub(super) fn send(&mut self, executor: &ExecutorId, body: ToExecutor) {
        let Some((_, sender)) = self.senders.get(executor) else {
            return;
        };
        let message = MasterMessage { body: Some(body) };
        match sender.try_send(Ok(message)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::warn!(code = "EXECUTOR_STALLED", %executor, "it does not read what it is sent: its stream is closed");
                self.senders.remove(executor);
            }
            Err(TrySendError::Closed(_)) => {
                self.senders.remove(executor);
            }
        }
    }
}
