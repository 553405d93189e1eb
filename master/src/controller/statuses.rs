//! What people see.

use kol_common::proto::{ExecutorStatus, JobStatus, ListCheckpointsReply};
use kol_common::{KolError, Millis};

use super::state::Controller;
use crate::cluster::Member;

impl Controller {
    pub(super) fn executor_statuses(&self, now: Millis) -> Vec<ExecutorStatus> {
        let status = |m: &Member| m.status(now, self.load(&m.id, None) as u64);
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

    pub(super) fn checkpoints(&self, name: &str) -> Result<ListCheckpointsReply, KolError> {
        let (_, job) = self.find(name)?;
        let header = job.header();
        Ok(ListCheckpointsReply {
            location: header.spec.checkpoint.location.clone(),
            checkpoints: job.checkpoints().cloned().collect(),
            savepoints: self.store.savepoints(&header.spec.name).cloned().collect(),
        })
    }
}
