//! What a master that follows can tell of the jobs: what the store has of them. What only executors know, such as lag, is
//! missing; everything that changes something is the leader's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kol_common::proto::{JobState, JobStatus, ListCheckpointsReply, PartitionState};
use kol_common::{JobId, KolError, Millis};

use super::identity::reachable;
use super::state::find;
use super::store::{saved, stored};
use crate::job::{Fleet, Job, Phase};
use crate::meta::MetaStore;

const WITHOUT_REPORTS: &str =
    "a master that follows shows what was committed: the leader knows what executors report";

/// Reads the store for each answer.
#[derive(Clone)]
pub struct Standby {
    meta: Arc<dyn MetaStore>,
    drain: Duration,
}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standby").finish_non_exhaustive()
    }
}

impl Standby {
    /// Over the store of all masters; `drain` as in [`super::Options`].
    pub fn new(meta: Arc<dyn MetaStore>, drain: Duration) -> Self {
        Self { meta, drain }
    }

    /// All jobs, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn jobs(&self) -> Result<Vec<JobStatus>, KolError> {
        let jobs = self.read().await?;
        Ok(jobs.values().rev().map(status).collect())
    }

    /// One job, by id or name.
    ///
    /// # Errors
    /// There is none, or the store cannot be read.
    pub async fn job(&self, name: &str) -> Result<JobStatus, KolError> {
        let jobs = self.read().await?;
        find(&jobs, name).map(|(_, job)| status(job))
    }

    /// The kept checkpoints and the savepoints of a job.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn checkpoints(&self, name: &str) -> Result<ListCheckpointsReply, KolError> {
        let jobs = self.read().await?;
        let (_, job) = find(&jobs, name)?;
        let spec = &job.header().spec;
        // Newest first, as the leader shows them.
        let mut savepoints = saved(self.meta.as_ref()).await?;
        savepoints.reverse();
        let savepoints = savepoints.into_iter().map(|(_, savepoint)| savepoint);
        Ok(ListCheckpointsReply {
            location: spec.checkpoint.location.clone(),
            checkpoints: job.checkpoints().cloned().collect(),
            savepoints: savepoints.filter(|s| s.job_name == spec.name).collect(),
        })
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ready(&self) -> Result<(), KolError> {
        reachable(self.meta.as_ref()).await
    }

    async fn read(&self) -> Result<BTreeMap<JobId, Job>, KolError> {
        let stored = stored(self.meta.as_ref()).await?;
        let job = |(_, (record, checkpoints))| {
            let job = Job::new(record, checkpoints, Millis::now(), self.drain);
            (job.header().id.clone(), job)
        };
        Ok(stored.into_iter().map(job).collect())
    }
}

/// What is missing is said, and is no problem of the job.
fn status(job: &Job) -> JobStatus {
    let wall = Millis::now();
    let mut status = job.status(wall, &Fleet::new());
    status.wall_ms = wall.0;
    if job.header().phase == Phase::Running {
        status.set_state(JobState::Running);
        status.problems.clear();
        for partition in &mut status.partitions {
            partition.set_state(PartitionState::Unspecified);
        }
        WITHOUT_REPORTS.clone_into(&mut status.reason);
    }
    status
}
