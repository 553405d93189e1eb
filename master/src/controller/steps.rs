//! One step of a job: the machine decides, the store makes it durable, then it is carried out.

use kol_common::{JobId, KolError, Millis};

use super::state::Controller;
use crate::checkpoint::News;
use crate::checkpoint::keeper::Chore;
use crate::job::discovery::{Query, discover};
use crate::job::{Event, Out, Phase, next_start};

impl Controller {
    /// Gives a job's machine one event, and carries out what follows.
    ///
    /// # Errors
    /// The store does not take writes: nothing may be decided any more.
    pub(super) async fn step(
        &mut self,
        now: Millis,
        id: &JobId,
        event: Event,
    ) -> Result<(), KolError> {
        let fleet = self.fleet(id);
        let Some(job) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        let before = job.header().phase;
        let mut out = Out::default();
        job.handle(now, event, &fleet, &mut out);
        let record = out.persist.then(|| job.record());
        let epoch = out.commit.as_ref().map(|commit| (id, commit));
        if record.is_some() || epoch.is_some() {
            self.store.save(record.as_ref(), epoch).await?;
        }
        self.note_phase(id, before);
        self.carry_out(id, out);
        Ok(())
    }

    fn note_phase(&mut self, id: &JobId, before: Phase) {
        let Some(record) = self.jobs.get(id).map(crate::job::Job::header) else {
            return;
        };
        let (after, reason) = (record.phase, &record.reason);
        if before != after {
            tracing::info!(job = %id, from = ?before, to = ?after, reason, "the job's phase changed");
            if matches!(after, Phase::Over(_)) {
                self.group_offsets.remove(id);
            }
        }
    }

    /// What is to be durable is.
    fn carry_out(&mut self, id: &JobId, out: Out) {
        if let Some(commit) = out.commit {
            self.publish_offsets(id, &commit.manifest);
            self.publish_manifest(id, commit.manifest);
            if let Some(sweep) = commit.sweep {
                self.clean_up(id, Chore::LeftBehind(id.clone(), sweep));
            }
        }
        for (executor, message) in out.sends {
            self.send(&executor, message);
        }
        if out.discover {
            self.discover(id);
        }
        match out.news {
            Some(News::Failed(error)) => {
                tracing::warn!(job = %id, %error, "an epoch was given up: processing goes on");
            }
            Some(News::Mended(failures)) => {
                tracing::info!(job = %id, failures, "epochs are committed again");
            }
            None => {}
        }
        if !out.garbage.is_empty() {
            self.clean_up(id, Chore::Files(out.garbage));
        }
        for (savepoint, saved) in out.savepoints {
            self.state_saved(id, savepoint, saved);
        }
    }

    /// Looks at Kafka and Redis for a job, beside the loop.
    fn discover(&self, id: &JobId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let record = job.record();
        let left = |id: &JobId, epoch| self.jobs.get(id).and_then(|job| job.state_left(epoch));
        let start = next_start(&record, left);
        let starts = record.generation == 0;
        let partitions = record.partitions.into_iter().filter(|_| !starts);
        let known = partitions.map(|p| p.partition).collect();
        let query = |start| Query {
            start,
            known,
            generation: self.store.generation(),
            spec: record.spec,
        };
        let (id, outside, handle) = (
            id.clone(),
            self.options.outside.clone(),
            self.handle.clone(),
        );
        let query = start.map(query);
        let _runs_by_itself = self.tasks.spawn("discovery", async move {
            let found = match query {
                Ok(query) => discover(query, outside).await,
                Err(error) => Err(error),
            };
            handle.discovered(id, found).await
        });
    }
}
