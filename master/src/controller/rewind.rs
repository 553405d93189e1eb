//! Jobs that begin again: from an earlier point, or as the job before them did.

use kol_common::job::StartingOffsets;
use kol_common::proto::rewind_request::To;
use kol_common::proto::{RewindRequest, SubmitReply};
use kol_common::{JobId, KolError, Millis};

use super::message::Reply;
use super::state::Controller;
use super::submit::{Next, left_by, not_ending};
use crate::job::Origin;
use crate::job::lineage::fits;
use crate::job::{End, Job, Predecessor};

impl Controller {
    /// A person wants a job to begin again from an earlier point.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn rewind(
        &mut self,
        now: Millis,
        request: RewindRequest,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        match self.rewound(&request) {
            Ok(next) => self.start(now, next, reply).await,
            Err(refused) => {
                let _nobody_waits = reply.send(Err(refused));
                Ok(())
            }
        }
    }

    /// A person wants the job back that had this name before.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn roll_back(
        &mut self,
        now: Millis,
        name: &str,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        match self.rolled_back(name) {
            Ok(next) => self.start(now, next, reply).await,
            Err(refused) => {
                let _nobody_waits = reply.send(Err(refused));
                Ok(())
            }
        }
    }

    fn rewound(&self, request: &RewindRequest) -> Result<Next, KolError> {
        let (id, job) = self.find(&request.job)?;
        not_ending(job)?;
        let origin = match request.to {
            Some(To::Epoch(epoch)) => {
                if !job.checkpoints().any(|m| m.epoch == epoch) {
                    let kept: Vec<_> = job.checkpoints().map(|m| m.epoch.to_string()).collect();
                    let what = format!("epoch {epoch} of `{}` is not kept", request.job);
                    return Err(KolError::user("EPOCH_NOT_FOUND", what)
                        .help(format!("Kept are {}.", kept.join(", "))));
                }
                Origin::Job {
                    id: id.clone(),
                    epoch: Some(epoch),
                }
            }
            // The state of then, as far as one is kept; otherwise the log of then.
            Some(To::TimestampMs(time)) => match job.checkpoints().find(|m| m.begun_ms <= time) {
                Some(of_then) => Origin::Job {
                    id: id.clone(),
                    epoch: Some(of_then.epoch),
                },
                None => Origin::Offsets(StartingOffsets::Timestamp(Millis(time))),
            },
            Some(To::Earliest(_)) => Origin::Offsets(StartingOffsets::Earliest),
            None => {
                let what = "the request does not say where to rewind to";
                return Err(KolError::user("REWIND", what));
            }
        };
        let mut next = self.successor(id, job, job, origin, End::Cancelled)?;
        next.at_once = request.at_once;
        Ok(next)
    }

    fn rolled_back(&self, name: &str) -> Result<Next, KolError> {
        let (id, job) = self.find(name)?;
        not_ending(job)?;
        let record = job.header();
        let older = self.jobs.range(..id.clone()).rev();
        let mut older = older.filter(|(_, j)| j.header().spec.name == record.spec.name);
        let Some((before, job_before)) = older.next() else {
            let what = format!("there was no job `{}` before this one", record.spec.name);
            return Err(KolError::user("JOB_NOT_FOUND", what).help("kol-client jobs lists them."));
        };
        let spec = &job_before.header().spec;
        let carried = left_by(before, job_before);
        // This job took over the state of the one before: it resumes from here. Otherwise the state is where
        // that one left it, and the log has what came after.
        let took_over = record.origin == carried && fits(&record.spec, spec).is_ok();
        let (origin, end) = if took_over {
            (left_by(id, job), End::Stopped)
        } else {
            (carried, End::Cancelled)
        };
        self.successor(id, job, job_before, origin, end)
    }

    /// A job that follows `job` and does what `as_job` did; unless another job has taken name or keys since.
    fn successor(
        &self,
        id: &JobId,
        job: &Job,
        as_job: &Job,
        origin: Origin,
        end: End,
    ) -> Result<Next, KolError> {
        let record = as_job.header();
        self.name_is_free(&record.spec.name, id)?;
        self.keys_are_free(&record.spec, Some(id))?;
        Ok(Next {
            spec: record.spec.clone(),
            warnings: record.warnings.clone(),
            origin,
            at_once: false,
            remarks: Vec::new(),
            take_over: false,
            follows: job.header().is_live().then(|| Predecessor {
                id: id.clone(),
                end,
            }),
            traceparent: String::new(),
        })
    }
}
