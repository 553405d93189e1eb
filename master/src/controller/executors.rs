//! What executors do: they register, speak and go silent.

use std::collections::BTreeMap;

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{Register, Welcome};
use kol_common::{JobId, KolError, Millis};

use super::actor::Controller;
use super::message::Sender;
use crate::cluster::{Change, Input, Members, SessionId};
use crate::job::Event;

impl Controller {
    pub(super) async fn opened(
        &mut self,
        now: Millis,
        session: SessionId,
        register: Register,
        sender: Sender,
    ) -> Result<(), KolError> {
        let id = Members::id_of(&register.incarnation);
        tracing::info!(executor = %id, host = %register.host, running = register.running.len(), "an executor registered");
        self.senders.insert(id.clone(), (session, sender));
        let limits = self.options.limits;
        self.send(
            &id,
            ToExecutor::Welcome(Welcome {
                executor_id: id.to_string(),
                heartbeat_ms: Millis::from(limits.heartbeat).0,
                lease_ms: Millis::from(limits.lease).0,
            }),
        );
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

    pub(super) async fn said(
        &mut self,
        now: Millis,
        session: SessionId,
        at: Millis,
        body: FromExecutor,
    ) -> Result<(), KolError> {
        let Some(id) = self.members.of_session(session).cloned() else {
            return Ok(());
        };
        let input = match &body {
            FromExecutor::Heartbeat(heartbeat) => Input::Heard(session, Some(*heartbeat)),
            FromExecutor::Leaving(_) => Input::Leaving(session),
            _ => Input::Heard(session, None),
        };
        self.member(at, input).await?;
        match body {
            FromExecutor::Reports(reports) => {
                let mut by_job: BTreeMap<String, Vec<_>> = BTreeMap::new();
                for report in reports.reports {
                    by_job
                        .entry(report.job_id.clone())
                        .or_default()
                        .push(report);
                }
                for (job, reports) in by_job {
                    let body = FromExecutor::Reports(kol_common::proto::Reports { reports });
                    let event = Event::Said(id.clone(), body);
                    self.step(now, &JobId::from_wire(job), event).await?;
                }
            }
            FromExecutor::Released(ref released) => {
                let job = JobId::from_wire(released.job_id.as_str());
                self.step(now, &job, Event::Said(id, body)).await?;
            }
            FromExecutor::PartitionFailed(ref failed) => {
                let job = JobId::from_wire(failed.job_id.as_str());
                let error = failed.error.as_ref().map(kol_common::view::problem_json);
                tracing::warn!(code = "PARTITION_ENDED", executor = %id, %job, partition = ?failed.partition, ?error, "a partition failed");
                self.step(now, &job, Event::Said(id, body)).await?;
            }
            FromExecutor::BarrierAck(ref ack) => {
                let job = JobId::from_wire(ack.job_id.as_str());
                self.step(now, &job, Event::Said(id, body)).await?;
            }
            FromExecutor::BarrierFailed(ref failed) => {
                let job = JobId::from_wire(failed.job_id.as_str());
                self.step(now, &job, Event::Said(id, body)).await?;
            }
            FromExecutor::ExplainReply(reply) => self.questions.answered(&id, reply),
            FromExecutor::Register(_) | FromExecutor::Heartbeat(_) | FromExecutor::Leaving(_) => {}
        }
        Ok(())
    }

    /// One step of the members, and what follows from it for the jobs.
    pub(super) async fn member(&mut self, now: Millis, input: Input) -> Result<(), KolError> {
        let mut changes = Vec::new();
        self.members.handle(now, input, &mut changes);
        // Who connects is told to the jobs with what it runs: before that they must not place anything.
        let connected = |change: &Change| matches!(change, Change::Connected { .. });
        let changed = !changes.iter().all(connected);
        for change in changes {
            match change {
                // A sender that was replaced went when the new one was put in its place.
                Change::Connected { .. } => {}
                Change::Recovered(id) => tracing::info!(executor = %id, "heard again"),
                Change::Leaving(id) => {
                    tracing::info!(executor = %id, "leaves: its partitions go elsewhere");
                }
                Change::Suspected(id) => {
                    tracing::warn!(code = "EXECUTOR_SUSPECT", executor = %id, "silent or cut off: it keeps its partitions for now");
                }
                Change::Left(id) => {
                    self.senders.remove(&id);
                    tracing::info!(executor = %id, "left");
                }
                Change::Lost(id, _) => {
                    self.senders.remove(&id);
                    tracing::warn!(code = "EXECUTOR_LOST", executor = %id, "gone: its partitions go elsewhere");
                }
            }
        }
        if changed {
            self.tick_jobs(now).await?;
        }
        Ok(())
    }
}
