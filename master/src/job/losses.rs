//! Partitions whose owner fails or is lost, and what follows from that. The rules are those of `ownership`.

use std::collections::BTreeSet;

use kol_common::checkpoint::{ABSENT, DAMAGED, LOST, NO_ROOM};
use kol_common::proto::{ErrorDomain, ErrorInfo, LostTail, PartitionCheckpoint, PartitionFailed};
use kol_common::{ExecutorId, KolError, Millis};

use super::backoff::pause;
use super::cause::Cause;
use super::effect::Effect;
use super::fleet::Fleet;
use super::ownership::{Partitions, find, is_held};
use super::partition::{FAILURE_BUDGET, Hold, Partition};
use super::placement::Site;

/// Error code of a partition that Redis refused.
const FENCED: &str = "FENCED";
/// Of one of the first stage of which Kafka has lost the position: whatever is read next may be doubled, or lost.
const POSITION_LOST: &str = "REKEY_POSITION_LOST";

/// What follows from a partition that failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing: it was not that executor's, or the partition is tried again.
    Tolerated,
    /// The state that it was assigned with is damaged. An older one is tried at once: the log has what
    /// came after it.
    Damaged {
        /// The partition's number within the job.
        ordinal: u32,
        /// The checkpoint epoch of that state.
        epoch: u64,
        /// What the executor said.
        text: String,
    },
    /// Kafka lost the tail of its log: it goes back before that at once.
    LostTail {
        /// The partition's number within the job.
        ordinal: u32,
        /// The records that were lost.
        lost: LostTail,
    },
    /// It was to start again without state, and its log no longer has everything that gives that: it continues at once
    /// with a state, if it has one.
    NotWhole {
        /// The partition's number within the job.
        ordinal: u32,
        /// What the executor said.
        text: String,
    },
    /// Redis refused it, although no executor of this job is newer: a newer generation is on record there. It is
    /// tried again, too.
    Outranked,
    /// Trying again cannot help: the job ends with this reason.
    Fatal(String),
}

impl Partitions {
    /// The partition that an owner gave up, if it has it.
    pub(super) fn given_up(
        &self,
        executor: &ExecutorId,
        failed: &PartitionFailed,
    ) -> Option<&Partition> {
        let (name, epoch) = (failed.partition.as_ref()?, failed.assignment_epoch);
        self.all.iter().find(|p| is_held(p, executor, name, epoch))
    }

    /// An owner gave up. What a person must repair is fatal; the rest is tried again elsewhere, later and
    /// later, within a budget.
    pub(super) fn failed(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        site: Option<Site>,
        failed: &PartitionFailed,
        out: &mut Vec<Effect>,
    ) -> Failure {
        let (name, epoch) = (failed.partition.as_ref(), failed.assignment_epoch);
        let Some(partition) = find(&mut self.all, executor, name, epoch) else {
            return Failure::Tolerated;
        };
        let error = failed.error.clone().unwrap_or_else(|| {
            KolError::internal("PARTITION_FAILED", "the executor gave no reason").to_info()
        });
        let text = sentence(&error);
        partition.leaves = Some(Cause::Failed {
            executor: executor.clone(),
            code: error.code.clone(),
        });
        self.undrained += 1;
        out.push(Effect::Persist);
        if let Some(epoch) = partition.restored.filter(|_| error.code == DAMAGED) {
            partition.failure = Some(error);
            partition.fence(now);
            let ordinal = partition.record.ordinal;
            return Failure::Damaged {
                ordinal,
                epoch,
                text,
            };
        }
        let scores = self.writes_to.is_none();
        if let Some(lost) = failed.lost_tail.as_ref().filter(|_| scores) {
            partition.failure = Some(error);
            partition.fence(now);
            let ordinal = partition.record.ordinal;
            return Failure::LostTail {
                ordinal,
                lost: **lost,
            };
        }
        if scores && error.code == LOST && partition.record.cuts.is_whole() {
            partition.failure = Some(error);
            partition.fence(now);
            let ordinal = partition.record.ordinal;
            return Failure::NotWhole { ordinal, text };
        }
        if error.code == ABSENT {
            // Not the partition's fault, and no executor that misses the folder gets it again.
            let salt = partition.record.assignment_epoch;
            partition.failure = Some(error);
            partition.fence(Millis(now.0 + pause(&self.job, 0, salt).0));
            return Failure::Tolerated;
        }
        let domain = error.domain();
        let is_outranked = error.code == FENCED;
        let is_fatal = error.code == POSITION_LOST;
        // An executor or memory is missing, perhaps for hours: no reason to end what fits.
        let limited = error.code != NO_ROOM;
        let failures = partition.failed(now, site, error);
        partition.fence(now);
        if domain == ErrorDomain::User || is_fatal {
            return Failure::Fatal(text);
        }
        let name = &partition.record.partition;
        if limited && failures > FAILURE_BUDGET {
            return Failure::Fatal(format!(
                "partition {name} failed {failures} times within 5 minutes, last with {text}. \
                 Repair the cause, then submit the job again"
            ));
        }
        let salt = partition.record.assignment_epoch;
        let after = Millis(now.0 + pause(&self.job, failures as u32 - 1, salt).0);
        partition.hold = Hold::Free { after };
        if is_outranked {
            Failure::Outranked
        } else {
            Failure::Tolerated
        }
    }

    /// Rule 2, for executors that are lost and for owners that did not return after this master was started
    /// again.
    pub(super) fn take_from_the_lost(&mut self, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        let mut absent = BTreeSet::new();
        for partition in &mut self.all {
            let lost = match &partition.hold {
                Hold::Free { .. } => false,
                Hold::Awaited { until, .. } => now >= *until,
                Hold::Held { executor } | Hold::Releasing { executor, .. } => {
                    !fleet.contains_key(executor)
                }
            };
            if lost {
                if let Hold::Awaited { executor, .. } = &partition.hold {
                    absent.insert(executor.clone());
                }
                self.undrained += 1;
                partition.leaves = partition.hold.executor().map(|executor| Cause::Lost {
                    executor: executor.clone(),
                });
                partition.fence(now);
                out.push(Effect::Persist);
            }
        }
        out.extend(absent.into_iter().map(Effect::Absent));
    }

    /// Kafka lost the tail of a partition's log. `checkpoints` are its usable ones, newest first.
    pub(super) fn lost_tail<'c>(
        &mut self,
        ordinal: u32,
        lost: LostTail,
        checkpoints: impl Iterator<Item = &'c PartitionCheckpoint>,
    ) {
        if let Some(partition) = self.all.get_mut(ordinal as usize) {
            partition.lost_tail(lost, checkpoints);
        }
    }

    /// Its log no longer has everything that gives its state. `checkpoints` are its usable ones, newest first.
    pub(super) fn log_is_not_whole<'c>(
        &mut self,
        ordinal: u32,
        checkpoints: impl Iterator<Item = &'c PartitionCheckpoint>,
    ) {
        if let Some(partition) = self.all.get_mut(ordinal as usize) {
            partition.record.cuts.is_no_longer_whole(checkpoints);
        }
    }
}

/// An error as people read it.
fn sentence(error: &ErrorInfo) -> String {
    kol_common::error::Shown(error).to_string()
}
