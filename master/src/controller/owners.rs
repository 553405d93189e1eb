//! Whose keys in Redis jobs write: what is claimed for a job, looked up for a submission, and released.

use std::time::Duration;

use kol_common::job::JobSpec;
use kol_common::redis::owner::{Claim, Owner, release};
use kol_common::{JobId, KolError, Millis};

use super::state::Controller;
use crate::job::Job;
use crate::job::difference::shared_template;
use crate::job::discovery::Outside;

/// Longest time to remove the records of a job that is over: what stays counts as silent soon.
const RELEASE: Duration = Duration::from_secs(10);

impl Controller {
    /// What a job claims. Jobs of this master that write some of its keys come first if they are older and
    /// live; `replaced` does not, it is about to end.
    pub(super) fn claim(
        &self,
        id: &JobId,
        spec: &JobSpec,
        generation: u64,
        replaced: Option<&JobId>,
    ) -> Claim {
        let older = self.jobs.range(..id.clone());
        let older = older.filter(|(other, job)| {
            job.header().is_live()
                && Some(*other) != replaced
                && shared_template(&job.header().spec, spec).is_some()
        });
        Claim {
            owner: Owner {
                store: self.store.id().clone(),
                cluster: self.store.cluster().clone(),
                host: self.options.host.clone(),
                job: spec.name.clone(),
                job_id: id.clone(),
                generation,
            },
            sink: spec.sink.clone(),
            first: older.map(|(id, _)| id.clone()).collect(),
            displaced: Vec::new(),
            confirmed: self
                .jobs
                .get(id)
                .map_or(Millis(0), Job::ownership_confirmed),
        }
    }

    /// Removes the records of a job that is over, beside the loop.
    pub(super) fn release(&self, id: &JobId) {
        let Some(spec) = self.jobs.get(id).map(Job::header).map(|r| r.spec.clone()) else {
            return;
        };
        let (id, outside) = (id.clone(), self.options.outside.clone());
        let _runs_by_itself = self.tasks.spawn("release", async move {
            let removed = tokio::time::timeout(RELEASE, remove(&spec, &id, &outside)).await;
            if !matches!(removed, Ok(Ok(()))) {
                tracing::info!(code = "OWNER_RECORDS_STAY", job = %id, "the owner records of the job could not be removed: they count for a minute");
            }
            Ok(())
        });
    }
}

async fn remove(spec: &JobSpec, id: &JobId, outside: &Outside) -> Result<(), KolError> {
    let mut open = outside.redis.connect(&spec.sink, &outside.secrets).await?;
    let released = release(&spec.sink, &spec.name, id, &mut open).await;
    released.map_err(|e| kol_common::redis::classify(&e))
}
