//! What people see.

use kol_common::proto::{ExecutorStatus, JobStatus, ListCheckpointsReply};
use kol_common::view::{Reading, disagreement};
use kol_common::{JobId, KolError, Millis};

use super::state::Controller;
use crate::checkpoint::group_offsets::GroupOffsets;
use crate::cluster::Member;
use crate::cluster::insecure::insecure;
use crate::job::{Job, clock_ahead};

impl Controller {
    pub(super) fn executor_statuses(&self, now: Millis) -> Vec<ExecutorStatus> {
        let wall = Millis::now();
        let status = |m: &Member| m.status(now, wall, self.partitions_of(&m.id) as u64);
        self.members.all().map(status).collect()
    }

    /// What is wrong with the wall clocks of the hosts.
    pub(super) fn clocks_disagree(&self) -> Option<String> {
        disagreement(self.clocks())
    }

    /// Which executors trust their network.
    fn executors_insecure(&self) -> Option<String> {
        let present = self.members.all().filter(|m| !m.is_gone());
        insecure(present.map(|m| (m.register.host.as_str(), &m.register.warnings[..])))
    }

    fn clocks(&self) -> impl Iterator<Item = Reading<'_>> {
        let present = self.members.all().filter(|m| !m.is_gone());
        present.filter_map(|m| Some((m.register.host.as_str(), m.heartbeat.clock_ahead?)))
    }

    /// The status of a job, with what wall clocks have to do with it.
    fn status_of(&self, now: Millis, id: &JobId, job: &Job) -> JobStatus {
        let wall = Millis::now();
        let mut status = job.status(now, &self.fleet(id));
        status.wall_ms = wall.0;
        if let Some(checkpoint) = &mut status.checkpoint
            && checkpoint.epoch > 0
        {
            let age = now.since(Millis(checkpoint.committed_ms));
            checkpoint.committed_ms = wall.since(age).0;
        }
        if job.header().is_live() {
            let advisor = self.advisors.get(id);
            status.scaling = advisor.map(|advisor| advisor.advice().clone());
            let newest = self.clocks().map(|(_, ahead)| ahead).fold(0, i64::max);
            let present = Millis(wall.0.saturating_add_signed(newest));
            let spec = &job.header().spec;
            let clock = status.clock_ms.map(Millis);
            status.warnings.extend(clock_ahead(spec, clock, present));
            status.warnings.extend(self.clocks_disagree());
            status.warnings.extend(self.executors_insecure());
        }
        let offsets = self.group_offsets.get(id);
        let taken = offsets.and_then(GroupOffsets::warning);
        status.warnings.extend(taken);
        status
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
