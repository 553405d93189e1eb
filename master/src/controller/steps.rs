//! One step of a job: the machine decides, the store makes it durable, then it is carried out.

use kol_common::{JobId, KolError, Millis};

use super::state::Controller;
use crate::checkpoint::Notice;
use crate::checkpoint::keeper::Chore;
use crate::job::discovery::{Query, discover};
use crate::job::{Effect, Event, Input, Job, Phase, next_start};

impl Controller {
    /// Gives a job's machine one event, and carries out what follows.
    ///
    /// # Errors
    /// The store does not take writes: nothing may be decided then.
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
        let mut out = Vec::new();
        let input = Input {
            event,
            fleet: &fleet,
            wall: Millis::now(),
        };
        job.handle(now, input, &mut out);
        let persist = out.iter().any(|effect| matches!(effect, Effect::Persist));
        let record = persist.then(|| job.record());
        let epoch = out.iter().find_map(|effect| match effect {
            Effect::Commit(commit) => Some((id, commit)),
            _ => None,
        });
        if record.is_some() || epoch.is_some() {
            self.store.save(record.as_ref(), epoch).await?;
        }
        self.note_phase(id, before);
        for effect in out {
            self.carry_out(id, effect);
        }
        Ok(())
    }

    fn note_phase(&mut self, id: &JobId, before: Phase) {
        let Some(record) = self.jobs.get(id).map(Job::header) else {
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
    fn carry_out(&mut self, id: &JobId, effect: Effect) {
        match effect {
            Effect::Persist => {}
            Effect::Commit(commit) => {
                self.publish_offsets(id, &commit.manifest);
                self.publish_manifest(id, commit.manifest);
                if let Some(orphans) = commit.orphans {
                    self.clean_up(id, Chore::Orphans(id.clone(), orphans));
                }
            }
            Effect::Send(executor, message) => self.send(&executor, message),
            Effect::Discover => self.discover(id),
            Effect::Delete(paths) => self.clean_up(id, Chore::Files(paths)),
            Effect::Savepoint(savepoint, saved) => self.state_saved(id, savepoint, saved),
            Effect::Notice(Notice::Failed(error)) => {
                tracing::warn!(code = "EPOCH_ABORTED", job = %id, %error, "an epoch was aborted: processing continues");
            }
            Effect::Notice(Notice::Recovered(failures)) => {
                tracing::info!(job = %id, failures, "epochs are committed again");
            }
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
