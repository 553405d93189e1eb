//! What people see.

use kol_common::proto::{ExecutorStatus, JobStatus, ListCheckpointsReply};
use kol_common::{JobId, KolError, Millis};

use super::state::Controller;
use crate::checkpoint::group_offsets::GroupOffsets;
use crate::cluster::Member;
use crate::job::Job;

impl Controller {
    pub(super) fn executor_statuses(&self, now: Millis) -> Vec<ExecutorStatus> {
        let status = |m: &Member| m.status(now, self.load(&m.id, None) as u64);
        self.members.all().map(status).collect()
    }

    /// Newest first; ids that were made later sort later.
    pub(super) fn job_statuses(&self, now: Millis) -> Vec<JobStatus> {
        let newest_first = self.jobs.iter().rev();
        newest_first
            .map(|(id, job)| self.status_of(now, id, job))
            .collect()
    }

    pub(super) fn job_status(&self, now: Millis, name: &str) -> Result<JobStatus, KolError> {
        let (id, job) = self.find(name)?;
        Ok(self.status_of(now, id, job))
    }

    fn status_of(&self, now: Millis, id: &JobId, job: &Job) -> JobStatus {
        let mut status = job.status(now, &self.fleet(id));
        let offsets = self.group_offsets.get(id);
        status
            .warnings
            .extend(offsets.and_then(GroupOffsets::warning));
        status
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
