//! Who runs which partition. Rules:
//!
//! 1. A partition is assigned under a new epoch, durable before the executor hears of it. So for one
//!    partition and epoch there is one owner, ever.
//! 2. From an executor that is lost, or that does not give a partition back in time, it is taken by
//!    raising the epoch; the executor is not asked.
//! 3. From an executor that answers, it is asked back: to drain, then at once, each with a deadline.
//! 4. After a new stream, an executor's own account counts: what it runs under the epoch on record is
//!    adopted; anything else it runs is revoked at once; what it should run and does not is assigned
//!    again under a new epoch.
//! 5. An assignment brings the newest state of the partition that is not known to be damaged.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::checkpoint::DAMAGED;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Assign, ErrorDomain, ErrorInfo, ExecutorState, PartitionAssignment, PartitionCheckpoint,
    PartitionFailed, Released, Revoke, RevokeMode, RunningPartition,
};
use kol_common::{ExecutorId, KolError, Millis};

use super::machine::{Executor, Fleet, Job, Out};
use super::partition::{FAILURE_BUDGET, Hold, Partition};
use super::placement::{Movable, place};
use super::record::{End, Phase};

/// What an executor may take longer than its drain timeout to answer, and how long it has to answer
/// a revocation at once.
const ANSWER: Duration = Duration::from_secs(3);

impl Job {
    /// Rule 4.
    pub(super) fn connected(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        running: &[RunningPartition],
        out: &mut Out,
    ) {
        let generation = self.record.generation;
        let mut confirmed = Vec::new();
        for claim in running {
            let Some(name) = &claim.partition else {
                continue;
            };
            let ours = self.partitions.iter_mut().find(|p| {
                p.record.partition.topic == name.topic
                    && p.record.partition.partition == name.partition
            });
            let matching = ours.filter(|p| {
                p.hold.executor() == Some(executor)
                    && p.record.epoch == claim.assignment_epoch
                    && claim.generation == generation
            });
            let Some(partition) = matching else {
                out.sends.push((executor.clone(), revoke_claim(claim)));
                continue;
            };
            confirmed.push(partition.record.slot);
            match &partition.hold {
                Hold::Awaited { .. } => {
                    partition.hold = Hold::Held {
                        executor: executor.clone(),
                    };
                }
                // The first request may have been lost with the stream.
                Hold::Releasing { mode, .. } => {
                    let message = revoke(&self.record.id, partition, *mode);
                    out.sends.push((executor.clone(), message));
                }
                Hold::Free { .. } | Hold::Held { .. } => {}
            }
        }
        for partition in &mut self.partitions {
            let gone = partition.hold.executor() == Some(executor)
                && !confirmed.contains(&partition.record.slot);
            if gone {
                self.undrained += 1;
                partition.fence(now);
                out.persist = true;
            }
        }
    }

    /// A partition came back.
    pub(super) fn released(&mut self, now: Millis, executor: &ExecutorId, released: &Released) {
        let Some(partition) = find(
            &mut self.partitions,
            executor,
            released.partition.as_ref(),
            released.assignment_epoch,
        ) else {
            return;
        };
        if !released.drained {
            self.undrained += 1;
        }
        // No need to persist: the epoch is raised when it is assigned again, and after a restart its
        // last owner will say that it does not run it.
        partition.record.owner = None;
        partition.hold = Hold::Free { after: now };
    }

    /// An owner gave up. What a person must mend ends the job; the rest is tried again elsewhere,
    /// later and later, within a budget.
    pub(super) fn partition_failed(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        failed: &PartitionFailed,
        out: &mut Out,
    ) {
        let Some(partition) = find(
            &mut self.partitions,
            executor,
            failed.partition.as_ref(),
            failed.assignment_epoch,
        ) else {
            return;
        };
        let error = failed.error.clone().unwrap_or_else(|| {
            KolError::internal("PARTITION_FAILED", "the executor gave no reason").to_info()
        });
        let text = sentence(&error);
        self.undrained += 1;
        if let Some(epoch) = partition.restored.filter(|_| error.code == DAMAGED) {
            partition.failure = Some(error);
            partition.fence(now);
            out.persist = true;
            let slot = partition.record.slot;
            if self.epochs.is_inherited(epoch) {
                let why = format!("the state to begin with cannot be used: {text}");
                return self.end(now, End::Failed, why, out);
            }
            // An older state is tried at once: the log has what came after it.
            return self.epochs.is_damaged(slot, epoch);
        }
        let failures = partition.failed(now, error.clone());
        partition.fence(now);
        let (epoch, name) = (partition.record.epoch, partition.record.partition.clone());
        out.persist = true;
        if error.domain() == ErrorDomain::User {
            self.end(now, End::Failed, text, out);
        } else if failures > FAILURE_BUDGET {
            let reason = format!(
                "partition {name} failed {failures} times within 5 minutes, last with {text}. \
                 Mend the cause, then submit the job again"
            );
            self.end(now, End::Failed, reason, out);
        } else {
            let pause = self.pause(failures as u32 - 1, epoch);
            let after = Millis(now.0 + pause.0);
            let again = self
                .partitions
                .iter_mut()
                .find(|p| p.record.partition == name);
            if let Some(partition) = again {
                partition.hold = Hold::Free { after };
            }
        }
    }

    /// Rule 2, for executors that are gone and for owners that never came back to us.
    pub(super) fn take_from_the_lost(&mut self, now: Millis, fleet: &Fleet, out: &mut Out) {
        for partition in &mut self.partitions {
            let lost = match &partition.hold {
                Hold::Free { .. } => false,
                Hold::Awaited { until, .. } => now >= *until,
                Hold::Held { executor } | Hold::Releasing { executor, .. } => {
                    !fleet.contains_key(executor)
                }
            };
            if lost {
                self.undrained += 1;
                partition.fence(now);
                out.persist = true;
            }
        }
    }

    /// Keeps partitions where they should be: movers are asked back, free ones are assigned.
    pub(super) fn place(&mut self, now: Millis, fleet: &Fleet, out: &mut Out) {
        let plan = place(&self.movable(fleet), &candidates(fleet));
        let mut assignments: BTreeMap<ExecutorId, Vec<PartitionAssignment>> = BTreeMap::new();
        for index in 0..self.partitions.len() {
            let partition = &mut self.partitions[index];
            let target = plan.get(&partition.record.slot);
            match &partition.hold {
                Hold::Free { after } if *after <= now => {
                    let Some((id, executor)) = target.and_then(|t| fleet.get_key_value(t)) else {
                        continue;
                    };
                    let state = self.epochs.checkpoint_of(partition.record.slot);
                    let assignment = assign(partition, id, executor, state);
                    assignments.entry(id.clone()).or_default().push(assignment);
                }
                Hold::Held { executor } => {
                    let asked = fleet.get(executor).is_some_and(Executor::callable);
                    if asked && target != Some(executor) {
                        self.ask_back(index, RevokeMode::Drain, self.drain + ANSWER, now, out);
                    }
                }
                Hold::Releasing { .. } => self.press(index, now, fleet, out),
                Hold::Free { .. } | Hold::Awaited { .. } => {}
            }
        }
        if assignments.is_empty() {
            return;
        }
        out.persist = true;
        let (tick, spec_json) = (self.tick(), self.spec_json());
        for (executor, partitions) in assignments {
            let message = Assign {
                job_id: self.record.id.to_string(),
                generation: self.record.generation,
                spec_json: spec_json.clone(),
                partitions,
                tick: tick.clone(),
            };
            out.sends.push((executor, ToExecutor::Assign(message)));
        }
    }

    /// Partitions that may be placed: not those of suspects and of owners that may still come back.
    fn movable(&self, fleet: &Fleet) -> Vec<Movable> {
        let movable = |p: &Partition| {
            let holder = match &p.hold {
                Hold::Free { .. } | Hold::Releasing { .. } => None,
                Hold::Held { executor } if fleet.get(executor).is_some_and(Executor::callable) => {
                    Some(executor.clone())
                }
                Hold::Held { .. } | Hold::Awaited { .. } => return None,
            };
            Some(Movable {
                slot: p.record.slot,
                holder,
            })
        };
        self.partitions.iter().filter_map(movable).collect()
    }

    /// Rule 3, when the job ends: what is left to drain after a last epoch is nothing.
    pub(super) fn take_back_all(&mut self, now: Millis, end: End, fleet: &Fleet, out: &mut Out) {
        let wanted = match end {
            End::Stopped => RevokeMode::Drain,
            End::Cancelled | End::Failed => RevokeMode::Now,
        };
        for index in 0..self.partitions.len() {
            match &self.partitions[index].hold {
                Hold::Held { executor } if fleet.get(executor).is_some_and(Executor::callable) => {
                    self.ask_back(index, wanted, ANSWER, now, out);
                }
                Hold::Releasing { executor, mode, .. }
                    if *mode == RevokeMode::Drain
                        && wanted == RevokeMode::Now
                        && fleet.get(executor).is_some_and(Executor::callable) =>
                {
                    self.ask_back(index, RevokeMode::Now, ANSWER, now, out);
                }
                Hold::Releasing { .. } => self.press(index, now, fleet, out),
                Hold::Free { .. } | Hold::Held { .. } | Hold::Awaited { .. } => {}
            }
        }
        let free = |p: &Partition| matches!(p.hold, Hold::Free { .. });
        if self.partitions.iter().all(free) {
            self.record.phase = Phase::Over(end);
            let complete = self.epochs.is_finished();
            if end == End::Stopped && self.undrained > 0 && !complete {
                self.record.reason = format!(
                    "{} of {} partitions did not confirm everything they had read before they \
                     ended: go on with submit --from-savepoint and this job, to bring Redis up to date",
                    self.undrained,
                    self.partitions.len()
                );
            }
            out.persist = true;
        }
    }

    fn ask_back(
        &mut self,
        index: usize,
        mode: RevokeMode,
        patience: Duration,
        now: Millis,
        out: &mut Out,
    ) {
        let partition = &mut self.partitions[index];
        let Some(executor) = partition.hold.executor().cloned() else {
            return;
        };
        let message = revoke(&self.record.id, partition, mode);
        out.sends.push((executor.clone(), message));
        partition.hold = Hold::Releasing {
            executor,
            mode,
            deadline: Millis(now.0 + Millis::from(patience).0),
        };
    }

    /// A partition that was asked back and did not come in time.
    fn press(&mut self, index: usize, now: Millis, fleet: &Fleet, out: &mut Out) {
        let Hold::Releasing {
            executor,
            mode,
            deadline,
        } = &self.partitions[index].hold
        else {
            return;
        };
        let callable = fleet.get(executor).is_some_and(Executor::callable);
        // A suspect answers nothing: it comes back, or its lease ends.
        if now < *deadline || !callable {
            return;
        }
        if *mode == RevokeMode::Drain {
            self.ask_back(index, RevokeMode::Now, ANSWER, now, out);
        } else {
            self.undrained += 1;
            self.partitions[index].fence(now);
            out.persist = true;
        }
    }

    /// The spec for executors.
    pub fn spec_json(&self) -> String {
        serde_json::to_string(&self.record.spec).unwrap_or_default()
    }
}

fn candidates(fleet: &Fleet) -> BTreeMap<ExecutorId, usize> {
    let alive = fleet
        .iter()
        .filter(|(_, e)| e.state == ExecutorState::Alive);
    alive.map(|(id, e)| (id.clone(), e.others)).collect()
}

/// Rule 1; the caller persists before it tells.
fn assign(
    partition: &mut Partition,
    id: &ExecutorId,
    executor: &Executor,
    state: Option<(u64, &PartitionCheckpoint)>,
) -> PartitionAssignment {
    partition.restored = state.map(|(epoch, _)| epoch);
    partition.record.epoch += 1;
    partition.record.owner = Some(executor.incarnation.clone());
    partition.hold = Hold::Held {
        executor: id.clone(),
    };
    PartitionAssignment {
        partition: Some((&partition.record.partition).into()),
        slot: partition.record.slot,
        assignment_epoch: partition.record.epoch,
        offset: partition.record.start_offset,
        restore: state.map(|(_, checkpoint)| checkpoint.clone()),
    }
}

fn revoke(job: &kol_common::JobId, partition: &Partition, mode: RevokeMode) -> ToExecutor {
    ToExecutor::Revoke(Revoke {
        job_id: job.to_string(),
        partition: Some((&partition.record.partition).into()),
        assignment_epoch: partition.record.epoch,
        mode: mode as i32,
    })
}

/// Ends at once what an executor runs and should not.
pub fn revoke_claim(claim: &RunningPartition) -> ToExecutor {
    ToExecutor::Revoke(Revoke {
        job_id: claim.job_id.clone(),
        partition: claim.partition.clone(),
        assignment_epoch: claim.assignment_epoch,
        mode: RevokeMode::Now as i32,
    })
}

/// The partition an executor speaks of, if it has it under that epoch.
fn find<'a>(
    partitions: &'a mut [Partition],
    executor: &ExecutorId,
    name: Option<&kol_common::proto::SourcePartition>,
    epoch: u64,
) -> Option<&'a mut Partition> {
    let name = name?;
    partitions.iter_mut().find(|p| {
        p.record.partition.topic == name.topic
            && p.record.partition.partition == name.partition
            && p.record.epoch == epoch
            && p.hold.executor() == Some(executor)
    })
}

/// An error as people read it.
fn sentence(error: &ErrorInfo) -> String {
    kol_common::error::Shown(error).to_string()
}
