//! The loop: one message or one tick at a time, decided by the machines, carried out by the other files.

use std::time::Duration;

use kol_common::actor::{Group, Mailbox, Task, mailbox};
use kol_common::{KolError, Millis};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::handle::Handle;
use super::message::{Message, Query};
use super::state::{Controller, Options};
use super::store::JobStore;
use crate::cluster::Input;
use crate::election::LeaderStore;
use crate::job::Event;

/// Messages that may wait.
const INBOX: usize = 4_096;
/// How often time passes for the machines.
const TICK: Duration = Duration::from_millis(100);
/// Messages taken before time may pass: heartbeats that wait in the queue must count before leases
/// are looked at, and a flood must not stop the clock.
const BATCH: usize = 1_024;

/// Loads the jobs of the store and starts a controller in `tasks`. The task ends by itself only when the
/// store no longer takes writes.
///
/// # Errors
/// The store cannot be read.
pub async fn start(
    meta: LeaderStore,
    options: Options,
    tasks: &Group,
) -> Result<(Handle, Task), KolError> {
    let (store, stored) = JobStore::load(meta).await?;
    tracing::info!(
        code = "STATE_STORE_OPEN",
        jobs = stored.len(),
        "the state store is open"
    );
    let (address, inbox) = mailbox("controller", INBOX);
    let clock = Clock::start();
    let handle = Handle::new(address, clock, store.term());
    let controller = Controller::new(clock, options, store, stored, handle.clone(), tasks.clone());
    let task = tasks.spawn("controller", controller.run(inbox, tasks.stop_token()));
    Ok((handle, task))
}

impl Controller {
    async fn run(
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
        let now = self.clock.now();
        self.member(now, Input::Tick).await?;
        self.tick_jobs(now).await?;
        self.tick_drains().await?;
        self.questions.tick(now);
        self.tick_deletions(now);
        self.look_around(now);
        Ok(())
    }

    async fn message(&mut self, message: Message) -> Result<(), KolError> {
        let now = self.clock.now();
        match message {
            Message::Opened {
                session,
                register,
                stream,
            } => self.opened(now, session, *register, stream).await,
            Message::Received {
                session,
                read,
                body,
            } => self.received(now, session, read, *body).await,
            Message::Closed { session } => self.member(now, Input::Closed(session)).await,
            Message::Discovered {
                job,
                owned,
                found,
                claimed,
            } => self.discovered(now, &job, *owned, found, claimed).await,
            Message::FileLookedFor {
                executor,
                failed,
                location,
            } => self.file_looked_for(now, executor, *failed, location).await,
            Message::EndsLookedUp { job, found } => self.step(now, &job, Event::Ends(found)).await,
            Message::Submit { submission, reply } => {
                self.submit(*submission, reply);
                Ok(())
            }
            Message::OwnersLooked {
                submission,
                owned,
                reply,
            } => self.owners_looked(now, *submission, *owned, reply).await,
            Message::Rewind { request, reply } => self.rewind(now, request, reply).await,
            Message::RollBack { job, reply } => self.roll_back(now, &job, reply).await,
            Message::End {
                job,
                end,
                savepoint,
                reply,
            } => self.end(now, &job, end, savepoint, reply).await,
            Message::TakeSavepoint { job, request } => {
                self.take_savepoint(&job, request);
                Ok(())
            }
            Message::SavepointPlaced {
                job,
                savepoint,
                placed,
            } => self.savepoint_placed(now, &job, savepoint, placed).await,
            Message::SavepointWritten { savepoint, written } => {
                self.savepoint_written(now, &savepoint, written).await
            }
            Message::Deleted { done } => self.deleted(now, done).await,
            Message::DeleteSavepoint { savepoint, reply } => {
                self.delete_savepoint(now, &savepoint, reply).await
            }
            Message::Drain {
                executor,
                draining,
                reply,
            } => self.drain(now, &executor, draining, reply).await,
            Message::Query(query) => {
                self.answer(now, query);
                Ok(())
            }
        }
    }

    fn answer(&mut self, now: Millis, query: Query) {
        match query {
            Query::Jobs { reply } => {
                let _nobody_waits = reply.send(Ok(self.job_statuses(now)));
            }
            Query::Job { job, reply } => {
                let _nobody_waits = reply.send(self.job_status(now, &job));
            }
            Query::Checkpoints { job, reply } => {
                let _nobody_waits = reply.send(self.checkpoints(&job));
            }
            Query::SavepointFolder { savepoint, reply } => {
                let found = self.store.savepoint(&savepoint);
                let _nobody_waits = reply.send(Ok(found.map(|s| s.location.clone())));
            }
            Query::Executors { reply } => {
                let _nobody_waits = reply.send(Ok(self.executor_statuses(now)));
            }
            Query::Explain { request, reply } => self.explain(now, request, reply),
        }
    }
}
