//! Jobs that are over are forgotten, with their state, when there are too many. Those are not that something
//! can still begin with:
//!
//! 1. what a job that is live, or that never began, is to begin with, and what it waits for;
//! 2. the jobs that wrote state files which kept epochs of another job refer to;
//! 3. of each name the newest job, because a job name owns its state, and the one before it, for a rollback.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::{JobId, KolError, Millis};

use super::state::Controller;
use crate::checkpoint::deletion::{Deletion, Forgotten};
use crate::job::Job;

/// Jobs that are over and still listed.
const REMEMBERED: usize = 100;
/// How many of each name rule 3 keeps.
const OF_EACH_NAME: usize = 2;

impl Controller {
    /// Forgets the oldest jobs that are over, if there are too many.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn forget_oldest(&mut self, now: Millis) -> Result<(), KolError> {
        let over = self.jobs.iter().filter(|(_, job)| !job.header().is_live());
        let over: Vec<JobId> = over.map(|(id, _)| id.clone()).collect();
        let surplus = over.len().saturating_sub(REMEMBERED);
        if surplus == 0 {
            return Ok(());
        }
        let needed = self.needed();
        for id in over.iter().filter(|id| !needed.contains(id)).take(surplus) {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            // Without a partition no file was written.
            let files = job.has_read().then(|| Deletion {
                location: job.header().spec.checkpoint.location.clone(),
                what: Forgotten::Job(id.clone()),
            });
            self.store.remove(id, files).await?;
            self.jobs.remove(id);
            self.attempts.hurry(now);
        }
        Ok(())
    }

    /// Jobs that something can still begin with.
    fn needed(&self) -> BTreeSet<JobId> {
        let mut needed: BTreeSet<JobId> = self.jobs.values().flat_map(Job::needs).collect();
        let mut of_name: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, job) in self.jobs.iter().rev() {
            let newer = of_name.entry(&job.header().spec.name).or_default();
            if *newer < OF_EACH_NAME {
                needed.insert(id.clone());
            }
            *newer += 1;
        }
        needed
    }
}
