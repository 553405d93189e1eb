//! What executors do: they register, send messages and fall silent.

use std::collections::BTreeMap;

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Drain, ExecutorStatus, HeartbeatReply, Register, Reports, UnseenRoot, Welcome,
};
use kol_common::{ExecutorId, JobId, KolError, Millis};

use super::message::{ReadAt, Reply, Stream};
use super::state::Controller;
use crate::cluster::{Beat, Effect, Input, Member, Members, SessionId};
use crate::job::Event;

impl Controller {
    /// An executor opened a stream and registered.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn opened(
        &mut self,
        now: Millis,
        session: SessionId,
        register: Register,
        stream: Stream,
    ) -> Result<(), KolError> {
        let id = Members::id_of(&register.incarnation);
        tracing::info!(code = "EXECUTOR_REGISTERED", executor = %id, host = %register.host, running = register.running.len(), "an executor registered");
        self.streams.insert(id.clone(), (session, stream));
        // Before anything is placed.
        self.note_unseen(now, id.clone(), register.unseen_roots.clone());
        let limits = self.options.limits;
        self.send(
            &id,
            ToExecutor::Welcome(Welcome {
                executor_id: id.to_string(),
                heartbeat_ms: Millis::from(limits.heartbeat).0,
                lease_ms: Millis::from(limits.lease).0,
                wall_ms: Millis::now().0,
                takes_unchanged: true,
            }),
        );
        self.send_stamps(&id);
        let running = register.running.clone();
        self.member(now, Input::Registered(session, register))
            .await?;
        for claim in &running {
            let job = JobId::from_wire(claim.job_id.as_str());
            if !self.jobs.get(&job).is_some_and(|j| j.header().is_live()) {
                self.send(&id, crate::job::revoke_claim(claim));
            }
        }
        for job in self.live() {
            let of_job = running.iter().filter(|r| r.job_id == job.as_str());
            let event = Event::Connected(id.clone(), of_job.cloned().collect());
            self.step(now, &job, event).await?;
        }
        Ok(())
    }

    /// An executor sent a message, which was read at `read`.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn received(
        &mut self,
        now: Millis,
        session: SessionId,
        read: ReadAt,
        body: FromExecutor,
    ) -> Result<(), KolError> {
        let Some(id) = self.members.of_session(session).cloned() else {
            return Ok(());
        };
        let input = match &body {
            FromExecutor::Heartbeat(heartbeat) => {
                Input::Heard(session, Some(Beat::read(*heartbeat, read.wall)))
            }
            FromExecutor::Leaving(leaving) => {
                Input::Leaving(session, Millis(leaving.drain_timeout_ms))
            }
            _ => Input::Heard(session, None),
        };
        self.member(read.at, input).await?;
        match body {
            FromExecutor::Reports(reports) => {
                for (job, reports) in self.by_job(reports) {
                    let event = Event::Received(id.clone(), FromExecutor::Reports(reports));
                    self.step(now, &job, event).await?;
                }
            }
            FromExecutor::Released(ref released) => {
                let job = JobId::from_wire(released.job_id.as_str());
                self.step(now, &job, Event::Received(id, body)).await?;
            }
            FromExecutor::Prepared(ref prepared) => {
                let job = JobId::from_wire(prepared.job_id.as_str());
                self.step(now, &job, Event::Received(id, body)).await?;
            }
            FromExecutor::PartitionFailed(failed) => self.partition_failed(now, id, failed).await?,
            FromExecutor::BarrierAck(ref ack) => {
                let job = JobId::from_wire(ack.job_id.as_str());
                self.step(now, &job, Event::Received(id, body)).await?;
            }
            FromExecutor::BarrierFailed(ref failed) => {
                let job = JobId::from_wire(failed.job_id.as_str());
                self.step(now, &job, Event::Received(id, body)).await?;
            }
            FromExecutor::UnseenRoots(unseen) => {
                self.note_unseen(now, id, unseen.roots);
                self.tick_jobs(now).await?;
            }
            FromExecutor::ExplainReply(reply) => self.questions.answered(&id, reply),
            FromExecutor::Heartbeat(_) => {
                let wall_ms = Millis::now().0;
                let reply = HeartbeatReply { wall_ms };
                self.send(&id, ToExecutor::HeartbeatReply(reply));
            }
            FromExecutor::Register(_) | FromExecutor::Leaving(_) => {}
        }
        Ok(())
    }

    /// The reports of each job, and of all live ones if something is said of the partitions that are not named.
    fn by_job(&self, reports: Reports) -> BTreeMap<JobId, Reports> {
        let unchanged = reports.unchanged;
        let of_job = || Reports {
            reports: Vec::new(),
            unchanged,
        };
        let mut by_job = BTreeMap::new();
        if unchanged.is_some() {
            by_job.extend(self.live().into_iter().map(|job| (job, of_job())));
        }
        for report in reports.reports {
            let job = JobId::from_wire(report.job_id.clone());
            let of_job = by_job.entry(job).or_insert_with(of_job);
            of_job.reports.push(report);
        }
        by_job
    }

    /// A person moves the partitions of an executor away, or no longer.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn drain(
        &mut self,
        now: Millis,
        executor: &str,
        draining: bool,
        reply: Reply<ExecutorStatus>,
    ) -> Result<(), KolError> {
        let id = match self.present(executor) {
            Ok(id) => id,
            Err(error) => {
                let _nobody_waits = reply.send(Err(error));
                return Ok(());
            }
        };
        // On record before anybody hears of it: another leader may follow before the executor does.
        self.store.set_drains(&id, Some(draining)).await?;
        self.member(now, Input::Drain(id.clone(), draining)).await?;
        let mut statuses = self.executor_statuses(now).into_iter();
        let status = statuses.find(|s| s.executor_id == id.as_str());
        let _nobody_waits = reply.send(status.ok_or_else(|| unknown(executor)));
        Ok(())
    }

    /// Long after this term began: what is on record of executors that never came, or were lost so long ago that they are
    /// forgotten, is of processes that have ended.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn tick_drains(&mut self) -> Result<(), KolError> {
        if self.clock.elapsed() < self.options.limits.remember {
            return Ok(());
        }
        let said = self.store.drains().keys();
        let mut gone = said.filter(|id| self.members.get(id).is_none());
        match gone.next().cloned() {
            Some(id) => self.store.set_drains(&id, None).await,
            None => Ok(()),
        }
    }

    /// An executor that is there, by its id or its host.
    ///
    /// # Errors
    /// There is none, or there are several on that host.
    fn present(&self, name: &str) -> Result<ExecutorId, KolError> {
        let is = |m: &&Member| !m.is_gone() && (m.id.as_str() == name || m.register.host == name);
        let mut found = self.members.all().filter(is);
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only.id.clone()),
            (None, _) => Err(unknown(name)),
            (Some(_), Some(_)) => {
                let what = format!("several executors are on host `{name}`");
                Err(KolError::user("EXECUTOR_AMBIGUOUS", what)
                    .help("Name one by its id; kol-client executors lists them."))
            }
        }
    }

    /// The places of state files that an executor does not see now.
    fn note_unseen(&mut self, now: Millis, id: ExecutorId, roots: Vec<UnseenRoot>) {
        let before = self.unseen.get(&id).filter(|(_, roots)| !roots.is_empty());
        let since = before.map_or(now, |(since, _)| *since);
        self.unseen.insert(id, (since, roots));
    }

    /// One step of the members, and what follows from it for the jobs.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn member(&mut self, now: Millis, input: Input) -> Result<(), KolError> {
        let mut effects = Vec::new();
        self.members.handle(now, input, &mut effects);
        // The jobs learn of a new connection together with what runs there: before that they must not
        // place anything.
        let connected = |effect: &Effect| matches!(effect, Effect::Connected { .. });
        let changed = !effects.is_empty() && !effects.iter().any(connected);
        for effect in effects {
            match effect {
                // The stream it had before was dropped when this one took its place.
                Effect::Connected { .. } => {}
                Effect::Recovered(id) => {
                    tracing::info!(code = "EXECUTOR_HEARD", executor = %id, "an executor is heard again")
                }
                Effect::Drain(id, draining) => {
                    tracing::info!(code = "EXECUTOR_DRAINS", executor = %id, draining, "a person moves the partitions of an executor away, or no longer");
                    self.send(&id, ToExecutor::Drain(Drain { draining }));
                }
                Effect::Leaving(id) => {
                    tracing::info!(code = "EXECUTOR_LEAVES", executor = %id, "an executor leaves: its partitions move to others");
                }
                Effect::Suspected(id) => {
                    tracing::warn!(code = "EXECUTOR_SUSPECT", executor = %id, "an executor is silent or cut off: it keeps its partitions for now");
                }
                Effect::Left(id) => {
                    self.streams.remove(&id);
                    self.unseen.remove(&id);
                    self.store.set_drains(&id, None).await?;
                    tracing::info!(code = "EXECUTOR_LEFT", executor = %id, "an executor left");
                }
                Effect::Lost(id, _) => {
                    self.streams.remove(&id);
                    self.unseen.remove(&id);
                    // That it drains stays on record: it may return, to another master, too.
                    tracing::warn!(code = "EXECUTOR_LOST", executor = %id, "an executor is lost: its partitions move to others");
                }
            }
        }
        if changed {
            self.tick_jobs(now).await?;
        }
        Ok(())
    }
}

fn unknown(name: &str) -> KolError {
    KolError::user(
        "EXECUTOR_NOT_FOUND",
        format!("there is no executor `{name}`"),
    )
    .help("kol-client executors lists them.")
}
