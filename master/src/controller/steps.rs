//! One step of a job: the machine decides, the store makes it durable, then it is carried out.

use kol_common::checkpoint::marker::{Claim, claim};
use kol_common::checkpoint::stamp::Renewed;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{RootStamp, RootStamps};
use kol_common::{ExecutorId, JobId, KolError, Millis, SourcePartition};

use super::state::Controller;
use crate::checkpoint::Notice;
use crate::checkpoint::keeper::Chore;
use crate::job::discovery::{Found, Outside, Query, discover};
use crate::job::tenure::{Owned, own};
use crate::job::{Effect, Event, Input, Job, Phase, Resumed, next_start};

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
            let (job, from, to) = (record.spec.name.as_str(), before.word(), after.word());
            tracing::info!(code = "JOB_PHASE", job, job_id = %id, from, to, reason, "the job's phase changed");
            if matches!(after, Phase::Over(_)) {
                let name = record.spec.name.clone();
                self.begins.over(id, reason);
                self.group_offsets.remove(id);
                self.release(id);
                let mut live = self.jobs.values().map(Job::header).filter(|j| j.is_live());
                if !live.any(|job| job.spec.name == name) {
                    crate::metrics::forget(&name);
                }
            }
        }
    }

    /// What is to be durable is.
    fn carry_out(&mut self, id: &JobId, effect: Effect) {
        match effect {
            Effect::Persist => {}
            Effect::Commit(commit) => {
                self.begins.committed(id);
                crate::metrics::committed(&commit.manifest.job_name, &commit.manifest);
                self.publish_offsets(id, &commit.manifest);
                self.publish_manifest(id, commit.manifest);
                if let Some(orphans) = commit.orphans {
                    self.clean_up(id, Chore::Orphans(id.clone(), orphans));
                }
            }
            Effect::Send(executor, ToExecutor::Assign(mut assign)) => {
                assign.cluster_id = self.store.cluster().to_string();
                assign.store_id = self.store.id().to_string();
                assign.master_host.clone_from(&self.options.host);
                assign.traceparent = self.begins.traceparent(id);
                self.send(&executor, ToExecutor::Assign(assign));
            }
            Effect::Send(executor, ToExecutor::Prepare(mut prepare)) => {
                prepare.cluster_id = self.store.cluster().to_string();
                prepare.store_id = self.store.id().to_string();
                prepare.master_host.clone_from(&self.options.host);
                self.send(&executor, ToExecutor::Prepare(prepare));
            }
            Effect::Send(executor, message) => self.send(&executor, message),
            Effect::Discover => self.discover(id),
            Effect::LookUpEnds(partitions) => self.look_up_ends(id, partitions),
            Effect::Delete(paths) => self.clean_up(id, Chore::Files(paths)),
            Effect::Savepoint(savepoint, saved) => self.state_saved(id, savepoint, saved),
            Effect::Resumed(resumed) => self.resumed(id, &resumed),
            Effect::Notice(Notice::Failed(error)) => {
                let job = self.name_of(id);
                tracing::warn!(code = "EPOCH_ABORTED", job, job_id = %id, %error, "an epoch was aborted: processing continues");
            }
            Effect::Notice(Notice::Recovered(failures)) => {
                let job = self.name_of(id);
                tracing::info!(code = "EPOCHS_RESUMED", job, job_id = %id, failures, "epochs are committed again");
            }
            Effect::Absent(executor) => {
                let job = self.name_of(id);
                tracing::info!(code = "OWNER_ABSENT", job, job_id = %id, %executor, "an owner of before this master led has not come: its partitions move to others");
            }
        }
    }

    /// The name of a job, for the log.
    fn name_of(&self, id: &JobId) -> &str {
        let job = self.jobs.get(id);
        job.map_or("", |job| job.header().spec.name.as_str())
    }

    fn resumed(&self, id: &JobId, resumed: &Resumed) {
        let Resumed {
            partition,
            paused,
            steps,
            cause,
        } = resumed;
        let job = self.name_of(id);
        tracing::info!(code = "PARTITION_RESUMED", job, job_id = %id, %partition, paused_ms = paused.0, assigned_ms = steps.assigned.0, read_again = steps.again, cause, "a partition that changed hands is processed again");
        crate::metrics::resumed(job, resumed);
    }

    /// Looks at Kafka, Redis and the checkpoint root for a job, beside the loop. A job does not start without
    /// its root, nor without its keys in Redis: those are taken first. Nor does one take a newer generation without
    /// them: it would displace an owner.
    fn discover(&self, id: &JobId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let record = job.record();
        let root = self.root_of(id, job);
        let left = |id: &JobId, epoch| self.jobs.get(id).and_then(|job| job.state_left(epoch));
        let start = next_start(&record, left);
        let starts = record.generation == 0;
        let keys = self.claim(id, &record.spec, record.generation, None);
        let take_over = record.take_over;
        let outranked = job.outranked();
        let rekeying = self.wanted_stage(id, job);
        let partitions = record.partitions.into_iter().filter(|_| !starts);
        let known = partitions.map(|p| p.partition).collect();
        let query = |start| Query {
            start,
            known,
            generation: self.store.generation(),
            outranked,
            rekeying,
            spec: record.spec,
        };
        let (id, outside, handle) = (
            id.clone(),
            self.options.outside.clone(),
            self.handle.clone(),
        );
        let query = start.map(query);
        let _runs_by_itself = self.tasks.spawn("discovery", async move {
            let owned = own(keys, take_over, &outside);
            let (owned, (found, claimed)) = if starts || outranked.is_some() {
                let owned = owned.await;
                let found = look(query, Some(&owned), root, &outside).await;
                (owned, found)
            } else {
                // Executors write all the same: neither waits for the other.
                tokio::join!(owned, look(query, None, root, &outside))
            };
            handle.discovered(id, owned, found, claimed).await
        });
    }

    /// Looks up where logs end, beside the loop.
    fn look_up_ends(&self, id: &JobId, partitions: Vec<SourcePartition>) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let source = job.header().spec.source.clone();
        let outside = &self.options.outside;
        let ends = outside
            .brokers
            .ends(source, partitions, outside.secrets.clone());
        let (id, handle) = (id.clone(), self.handle.clone());
        let _runs_by_itself = self.tasks.spawn("log-ends", async move {
            let found = ends.await;
            handle.ends_looked_up(id, found).await
        });
    }

    /// What a job's checkpoint root must carry.
    fn root_of(&self, id: &JobId, job: &Job) -> Claim {
        let location = job.header().spec.checkpoint.location.clone();
        let parts = job.checkpoints().flat_map(|epoch| &epoch.partitions);
        let has_state = parts
            .into_iter()
            .any(|p| p.location.is_empty() && !p.files.is_empty());
        Claim {
            cluster: self.store.cluster().clone(),
            marked: self.store.is_marked(&location),
            holds: has_state.then(|| id.to_string()).into_iter().collect(),
            renewal: self
                .renewals
                .due(self.clock.now(), &location, self.store.stamp_of(&location)),
            location,
        }
    }

    /// A look is over.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn discovered(
        &mut self,
        now: Millis,
        id: &JobId,
        owned: Result<Owned, KolError>,
        found: Result<Found, KolError>,
        claimed: Result<(String, Renewed), KolError>,
    ) -> Result<(), KolError> {
        let absent = claimed.as_ref().err().cloned();
        if !self.jobs.get(id).is_some_and(|j| j.header().is_live()) {
            // It ended while the look was under way, which may have made its owner records again.
            self.release(id);
        }
        self.step(now, id, Event::Owned(owned)).await?;
        self.step(now, id, Event::Discovered(found, absent)).await?;
        let Ok((location, renewed)) = claimed else {
            return Ok(());
        };
        let recorded = self.store.stamp_of(&location);
        let stamp = self.renewals.looked(now, &location, recorded, renewed);
        if self.store.mark(&location, stamp).await? {
            let executors: Vec<_> = self.streams.keys().cloned().collect();
            for executor in executors {
                self.send_stamps(&executor);
            }
        }
        Ok(())
    }

    /// What an executor is held to.
    pub(super) fn send_stamps(&mut self, executor: &ExecutorId) {
        let stamps = self.store.stamps().map(|(location, stamp)| RootStamp {
            location: location.to_owned(),
            stamp: stamp.to_string(),
        });
        let stamps = stamps.collect();
        self.send(executor, ToExecutor::RootStamps(RootStamps { stamps }));
    }
}

/// Looks at the checkpoint root and, if a job may start or runs, at Kafka and Redis. `owned` says whether a
/// job that starts owns its keys.
async fn look(
    query: Result<Query, KolError>,
    owned: Option<&Result<Owned, KolError>>,
    root: Claim,
    outside: &Outside,
) -> (Result<Found, KolError>, Result<(String, Renewed), KolError>) {
    let location = root.location.clone();
    let claimed = claim(&outside.stores, root).await;
    let found = match (query, &claimed, owned) {
        (Ok(_), _, Some(Err(held))) if !held.retryable => Err(held.clone()),
        (Ok(_), Err(absent), Some(_)) => Err(absent.clone()),
        (Ok(mut query), _, owned) => {
            let former = owned.and_then(|owned| owned.as_ref().ok());
            let former = former.map_or(0, |owned| owned.generation);
            query.generation = query.generation.max(former);
            let found = discover(query, outside.clone()).await;
            match owned {
                // Without its keys it does not start; what else is wrong should be known first.
                Some(Err(away)) => found.and(Err(away.clone())),
                _ => found,
            }
        }
        (Err(error), ..) => Err(error),
    };
    (found, claimed.map(|renewed| (location, renewed)))
}
