//! What people ask of the controller: end, look, explain. New jobs: see [`super::submit`].

use std::collections::BTreeMap;

use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    ExecutorState, ExecutorStatus, ExplainRequest, Explanation, JobStatus, Savepoint,
};
use kol_common::{ExecutorId, JobId, KolError, Millis};

use super::actor::Controller;
use super::message::Reply;
use crate::job::{End, Event, Executor, Fleet, Job, Phase};

impl Controller {
    /// Jobs that are not over.
    pub(super) fn live(&self) -> Vec<JobId> {
        let live = self.jobs.iter().filter(|(_, job)| job.header().is_live());
        live.map(|(id, _)| id.clone()).collect()
    }

    /// The executors as one job sees them.
    pub(super) fn fleet(&self, job: &JobId) -> Fleet {
        let here = |m: &&crate::cluster::Member| !m.is_gone();
        self.members
            .all()
            .filter(here)
            .map(|m| {
                let executor = Executor {
                    incarnation: m.incarnation(),
                    state: m.state,
                    host: m.register.host.clone(),
                    others: self.load(&m.id, Some(job)),
                };
                (m.id.clone(), executor)
            })
            .collect()
    }

    /// How many partitions an executor has, those of `except` not counted.
    fn load(&self, executor: &ExecutorId, except: Option<&JobId>) -> usize {
        let counted = self
            .jobs
            .iter()
            .filter(|(id, job)| job.header().is_live() && Some(*id) != except);
        counted.map(|(_, job)| job.held_by(executor)).sum()
    }

    pub(super) fn executor_statuses(&self, now: Millis) -> Vec<ExecutorStatus> {
        let status = |m: &crate::cluster::Member| m.status(now, self.load(&m.id, None) as u64);
        self.members.all().map(status).collect()
    }

    /// Newest first; ids that were made later sort later.
    pub(super) fn job_statuses(&self, now: Millis) -> Vec<JobStatus> {
        let newest_first = self.jobs.iter().rev();
        newest_first
            .map(|(id, job)| job.status(now, &self.fleet(id)))
            .collect()
    }

    pub(super) fn job_status(&self, now: Millis, name: &str) -> Result<JobStatus, KolError> {
        let (id, job) = self.find(name)?;
        Ok(job.status(now, &self.fleet(id)))
    }

    /// By id, or the newest by name; empty for the only live one.
    pub(super) fn find(&self, name: &str) -> Result<(&JobId, &Job), KolError> {
        if name.is_empty() {
            let mut live = self.jobs.iter().filter(|(_, j)| j.header().is_live());
            return match (live.next(), live.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(KolError::user("JOB_NOT_FOUND", "no job runs")
                    .help("Submit one with kol-client submit FILE.")),
                (Some(_), Some(_)) => Err(KolError::user("JOB_AMBIGUOUS", "several jobs run")
                    .help("Name one; kol-client jobs lists them.")),
            };
        }
        let mut newest_first = self.jobs.iter().rev();
        newest_first
            .find(|(id, job)| id.as_str() == name || job.header().spec.name == name)
            .ok_or_else(|| {
                KolError::user("JOB_NOT_FOUND", format!("there is no job `{name}`"))
                    .help("kol-client jobs lists them.")
            })
    }

    pub(super) async fn end(
        &mut self,
        now: Millis,
        name: &str,
        end: End,
        savepoint: Option<(String, Reply<Savepoint>)>,
        reply: Reply<JobStatus>,
    ) -> Result<(), KolError> {
        let id = match self.find(name) {
            Ok((id, job)) => match job.header().phase {
                Phase::Over(_) => Err(KolError::user(
                    "JOB_OVER",
                    format!("job `{}` is over already", job.header().spec.name),
                )
                .job(id.as_str())),
                _ => Ok(id.clone()),
            },
            Err(error) => Err(error),
        };
        let answer = match id {
            Ok(id) => {
                if let Some((below, reply)) = savepoint {
                    self.take_savepoint(now, id.as_str(), &below, reply).await?;
                }
                self.step(now, &id, Event::End(end, String::new())).await?;
                self.job_status(now, id.as_str())
            }
            Err(error) => Err(error),
        };
        let _nobody_waits = reply.send(answer);
        Ok(())
    }

    pub(super) fn explain(
        &mut self,
        now: Millis,
        request: ExplainRequest,
        reply: Reply<Explanation>,
    ) {
        let (draft, executors) = match self.find(&request.job) {
            Ok((id, job)) => (self.draft(now, id, job, &request), job.executors()),
            Err(error) => {
                let _nobody_waits = reply.send(Err(error));
                return;
            }
        };
        let here = |id: &ExecutorId| {
            let member = self.members.get(id);
            member.is_some_and(|m| {
                m.state == ExecutorState::Alive || m.state == ExecutorState::Leaving
            })
        };
        let asked: Vec<ExecutorId> = executors.into_iter().filter(here).collect();
        let query = self.questions.ask(now, draft, &asked, reply);
        for executor in asked {
            self.send(&executor, ToExecutor::Explain(query.clone()));
        }
    }

    /// The answer without its slots.
    fn draft(&self, now: Millis, id: &JobId, job: &Job, request: &ExplainRequest) -> Explanation {
        let status = job.status(now, &BTreeMap::new());
        let platform = if request.platform.is_empty() {
            job.header().spec.scoring.default_platform.clone()
        } else {
            request.platform.to_lowercase()
        };
        let of_platform = status.market.iter().find(|m| m.platform == platform);
        Explanation {
            job_id: id.to_string(),
            market: of_platform.map_or(0.0, |m| m.mean),
            platform,
            kol: request.kol.clone(),
            slots: Vec::new(),
            spec_json: status.spec_json,
            now_ms: now.0,
        }
    }
}
