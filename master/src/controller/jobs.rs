//! What people ask of the controller: submit, end, look, explain.

use std::collections::BTreeMap;

use kol_common::job::JobSpec;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    ExecutorState, ExecutorStatus, ExplainRequest, Explanation, JobStatus, SubmitOutcome,
    SubmitReply,
};
use kol_common::{ExecutorId, JobId, KolError, Millis};

use super::actor::Controller;
use super::message::Reply;
use crate::checkpoint::collector::Garbage;
use crate::job::difference::{differences, shared_key};
use crate::job::{End, Event, Executor, Fleet, Job, JobRecord, Phase};

/// Jobs that are over and still listed.
const REMEMBERED: usize = 100;

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

    pub(super) async fn submit(
        &mut self,
        now: Millis,
        spec: JobSpec,
        warnings: Vec<String>,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        let id = match self.admit(&spec) {
            Ok(None) => JobId::generate(),
            Ok(Some(same)) => {
                let _nobody_waits = reply.send(Ok(SubmitReply {
                    job_id: same.to_string(),
                    outcome: SubmitOutcome::Unchanged as i32,
                    warnings,
                }));
                return Ok(());
            }
            Err(refused) => {
                let _nobody_waits = reply.send(Err(refused));
                return Ok(());
            }
        };
        let record = JobRecord::new(id.clone(), spec, warnings.clone(), now);
        self.store.save(&record).await?;
        tracing::info!(job = %id, name = %record.spec.name, "a job was submitted");
        self.jobs.insert(
            id.clone(),
            Job::new(record, vec![], now, self.options.drain),
        );
        self.forget_oldest().await?;
        let _nobody_waits = reply.send(Ok(SubmitReply {
            job_id: id.to_string(),
            outcome: SubmitOutcome::Created as i32,
            warnings,
        }));
        self.step(now, &id, Event::Tick).await
    }

    /// Whether a spec may become a job; `Some` names the live job that is the same.
    fn admit(&self, spec: &JobSpec) -> Result<Option<JobId>, KolError> {
        let live = || self.jobs.iter().filter(|(_, job)| job.header().is_live());
        for (id, job) in live() {
            let other = &job.header().spec;
            if other.name == spec.name {
                return same_name(job, spec).map(|()| Some(id.clone()));
            }
        }
        for (_, job) in live() {
            let other = &job.header().spec;
            if let Some(key) = shared_key(other, spec) {
                return Err(KolError::user(
                    "SINK_KEYS_TAKEN",
                    format!(
                        "job `{}` already writes the keys `{key}` in the same Redis",
                        other.name
                    ),
                )
                .job(&spec.name)
                .help(
                    "Stop that job, or give this one its own keys in [sink.keys], for example \
                     with {job} in each.",
                ));
            }
        }
        Ok(None)
    }

    async fn forget_oldest(&mut self) -> Result<(), KolError> {
        let over = self.jobs.iter().filter(|(_, job)| !job.header().is_live());
        let over: Vec<JobId> = over.map(|(id, _)| id.clone()).collect();
        let surplus = over.len().saturating_sub(REMEMBERED);
        for id in over.iter().take(surplus) {
            self.store.remove(id).await?;
            self.collect(id, Garbage::Everything(id.clone()));
            self.jobs.remove(id);
        }
        Ok(())
    }

    pub(super) async fn end(
        &mut self,
        now: Millis,
        name: &str,
        end: End,
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
                self.step(now, &id, Event::End(end)).await?;
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

/// A live job has this name: fine if it is the same, and is to stay.
fn same_name(job: &Job, spec: &JobSpec) -> Result<(), KolError> {
    let record = job.header();
    if let Phase::Ending(_) = record.phase {
        return Err(KolError::user(
            "JOB_ENDING",
            format!("the job `{}` of that name is still ending", spec.name),
        )
        .job(&spec.name)
        .help("Submit again when kol-client status says that it is over."));
    }
    let differences = differences(&record.spec, spec);
    if differences.is_empty() {
        return Ok(());
    }
    Err(KolError::user(
        "JOB_EXISTS",
        format!(
            "job `{}` runs with another spec: {}",
            spec.name,
            differences.join("; ")
        ),
    )
    .job(&spec.name)
    .help(format!(
        "Stop it first (kol-client stop {}), then submit again.",
        spec.name
    )))
}
