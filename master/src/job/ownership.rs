//! Who runs which partition. Rules:
//!
//! 1. A partition is assigned under a new assignment epoch, durable before the executor learns of it. So
//!    for one partition and assignment epoch there is one owner, ever.
//! 2. From an executor that is lost, or that does not release a partition in time, it is taken by
//!    raising the assignment epoch; the executor is not called.
//! 3. From an executor that answers it is revoked: at once where the next owner has its state, otherwise to drain and then
//!    at once, each with a deadline.
//! 4. After a new stream, an executor's own account counts: what it runs under the assignment epoch on
//!    record is adopted; anything else it runs is revoked at once; what it should run and does not is
//!    assigned again under a new assignment epoch.
//! 5. An assignment brings the newest state of the partition that is not known to be damaged.
//!
//! Here is what executors report; `losses` has what they lose, `moves` assigns and takes back, and `preparing` says when a
//! partition is taken back whose next owner reads its state ahead.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    self, Manifest, PartitionCheckpoint, PartitionReport, Released, Revoke, RevokeMode,
    RunningPartition,
};
use kol_common::{ExecutorId, JobId, Millis};

use super::cuts::Cuts;
use super::discovery::Started;
use super::effect::Effect;
use super::lineage::name_of;
use super::measure::Round;
use super::partition::{Hold, Partition};
use super::record::{Internal, PartitionRecord};
use crate::cluster::Grace;

/// The partitions of a job, and who runs them.
#[derive(Debug)]
pub(super) struct Partitions {
    pub(super) job: JobId,
    /// How long a partition may take to finish when it is taken back.
    pub(super) drain: Duration,
    /// All partitions; the index is the ordinal.
    pub(super) all: Vec<Partition>,
    /// Those that did not confirm everything they had read, since the job began to end.
    pub(super) undrained: u64,
    /// Who should have them by the newest plan, by ordinal.
    pub(super) targets: BTreeMap<u32, ExecutorId>,
    /// Where the first stage of a job that re-keys writes; `None` of partitions that are scored.
    pub(super) writes_to: Option<Internal>,
    /// Ends of logs that were looked up from then on are goals; `None` while none are.
    pub(super) goals_from: Option<Millis>,
}

impl Partitions {
    /// As they were persisted; owners on record may still run them, and have the longest time to say so.
    pub(super) fn restore(
        job: JobId,
        records: Vec<PartitionRecord>,
        drain: Duration,
        now: Millis,
    ) -> Self {
        let restore = |record| Partition::restore(record, now);
        Self {
            job,
            drain,
            all: records.into_iter().map(restore).collect(),
            undrained: 0,
            targets: BTreeMap::new(),
            writes_to: None,
            goals_from: Some(Millis(0)),
        }
    }

    /// Owners on record have as long as that to say that they still run them.
    pub(super) fn await_owners(&mut self, now: Millis, grace: &Grace) {
        for partition in &mut self.all {
            partition.await_owner(now, grace);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.all.iter()
    }

    pub(super) fn get(&self, ordinal: u32) -> Option<&Partition> {
        self.all.get(ordinal as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What is to be persisted.
    pub(super) fn records(&self) -> Vec<PartitionRecord> {
        self.all.iter().map(|p| p.record.clone()).collect()
    }

    /// A partition that was discovered, unless it is known: it gets the next ordinal.
    pub(super) fn add(&mut self, now: Millis, found: Started) -> bool {
        let known = |p: &Partition| p.record.partition == found.partition;
        if self.all.iter().any(known) {
            return false;
        }
        let record = PartitionRecord {
            partition: found.partition,
            ordinal: self.all.len() as u32,
            start_offset: found.offset,
            from_log: true,
            topic_id: found.topic_id,
            cuts: Cuts::default(),
            assignment_epoch: 0,
            owner: None,
            placed: None,
            last: None,
            has_position: false,
        };
        self.all.push(Partition::restore(record, now));
        true
    }

    /// They begin with this state; those that it does not have came after it, and are read from their beginning.
    pub(super) fn begin_with(&mut self, state: &Manifest) {
        for partition in &mut self.all {
            let record = &mut partition.record;
            let mut parts = state.partitions.iter();
            let of = |p: &&PartitionCheckpoint| name_of(p).as_ref() == Some(&record.partition);
            if let Some(part) = parts.find(of) {
                record.begin_with(part);
            }
        }
    }

    /// Whether the log from the starting offset on gives the state of one.
    pub(super) fn is_from_log(&self, ordinal: u32) -> bool {
        self.get(ordinal).is_some_and(|p| p.record.from_log)
    }

    /// How many of them an executor has.
    pub(super) fn held_by(&self, executor: &ExecutorId) -> usize {
        let of = |p: &&Partition| p.hold.executor() == Some(executor);
        self.all.iter().filter(of).count()
    }

    /// The executor that one is moving to, by the newest plan.
    pub(super) fn moving_to(&self, partition: &Partition) -> Option<&ExecutorId> {
        let target = self.targets.get(&partition.record.ordinal);
        let owner = partition.hold.executor();
        target.filter(|target| owner.is_some_and(|owner| owner != *target))
    }

    /// Executors that have at least one.
    pub(super) fn executors(&self) -> Vec<ExecutorId> {
        let owners = self.all.iter().filter_map(|p| p.hold.executor().cloned());
        let mut owners: Vec<_> = owners.collect();
        owners.sort();
        owners.dedup();
        owners
    }

    /// The newest report of each partition's current assignment.
    pub(super) fn round(&self) -> Round<'_> {
        let report = |p: &'_ Partition| p.record.ordinal;
        let all = self.all.iter();
        all.map(|p| (report(p), p.current_report())).collect()
    }

    /// The one that an executor speaks of, if it has it.
    pub(super) fn of_owner(
        &self,
        executor: &ExecutorId,
        name: &proto::SourcePartition,
    ) -> Option<&Partition> {
        let mut owned = self.all.iter();
        owned.find(|p| is_named(p, name) && p.hold.executor() == Some(executor))
    }

    /// A report came in; answers with the partition if the report is of its current assignment.
    pub(super) fn reported(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        mut report: PartitionReport,
        out: &mut Vec<Effect>,
    ) -> Option<&Partition> {
        let epoch = report.assignment_epoch;
        let partition = find(&mut self.all, executor, report.partition.as_ref(), epoch)?;
        if matches!(partition.hold, Hold::Awaited { .. }) {
            return None;
        }
        if partition.learn(&report) {
            out.push(Effect::Persist);
        }
        let probed = now.since(Millis(report.end_age_ms));
        if self.goals_from.is_some_and(|from| probed >= from) {
            partition.goal = partition.goal.or(report.end_offset);
        }
        if let Some(paused) = partition.pauses.reported(now, &report) {
            out.push(Effect::Resumed(partition.resumed(paused)));
        }
        if let Some(before) = partition.report.take() {
            if report.sample.is_empty() {
                report.sample = before.sample;
            }
            if report.spellings.is_empty() {
                report.spellings = before.spellings;
            }
            // What it takes does not change because another owner has not measured it yet.
            report.rates = report.rates.or(before.rates);
        }
        partition.report = Some(report);
        partition.received = now;
        partition.failure = None;
        Some(partition)
    }

    /// What an executor has and reported is as it reported it, with ends of logs that are that old at most; answers with the
    /// ordinals.
    pub(super) fn unchanged(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        end_age_ms: u64,
    ) -> impl Iterator<Item = u32> {
        let all = self.all.iter_mut();
        all.filter_map(move |partition| {
            let is_of = partition.hold.executor() == Some(executor);
            let answers = is_of && !matches!(partition.hold, Hold::Awaited { .. });
            partition.current_report().filter(|_| answers)?;
            let report = partition.report.as_mut()?;
            report.end_age_ms = end_age_ms;
            partition.received = now;
            Some(partition.record.ordinal)
        })
    }

    /// Takes or refuses what an executor says that it runs, by rule 4.
    pub(super) fn connected(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        running: &[RunningPartition],
        generation: u64,
        out: &mut Vec<Effect>,
    ) {
        self.forget_standbys(executor);
        let mut confirmed = Vec::new();
        for claim in running.iter().filter(|claim| claim.partition.is_some()) {
            let name = claim.partition.as_ref();
            let ours = find(&mut self.all, executor, name, claim.assignment_epoch);
            let Some(partition) = ours.filter(|_| claim.generation == generation) else {
                out.push(Effect::Send(executor.clone(), revoke_claim(claim)));
                continue;
            };
            confirmed.push(partition.record.ordinal);
            match &partition.hold {
                Hold::Awaited { .. } => {
                    partition.hold = Hold::Held {
                        executor: executor.clone(),
                    };
                }
                // The first request may have been lost with the stream.
                Hold::Releasing { mode, .. } => {
                    let message = revoke(&self.job, partition, *mode);
                    out.push(Effect::Send(executor.clone(), message));
                }
                Hold::Free { .. } | Hold::Held { .. } => {}
            }
        }
        for partition in &mut self.all {
            let gone = partition.hold.executor() == Some(executor)
                && !confirmed.contains(&partition.record.ordinal);
            if gone {
                self.undrained += 1;
                partition.fence(now);
                out.push(Effect::Persist);
            }
        }
    }

    /// An executor released a partition.
    pub(super) fn released(&mut self, now: Millis, executor: &ExecutorId, released: &Released) {
        let (name, epoch) = (released.partition.as_ref(), released.assignment_epoch);
        let Some(partition) = find(&mut self.all, executor, name, epoch) else {
            return;
        };
        if !released.drained {
            self.undrained += 1;
        }
        if let Some(report) = partition.current_report() {
            let stopped = released.stopped_ms.unwrap_or_default();
            let read_to = released.position.max(report.position);
            let since = Millis(now.0.saturating_sub(stopped));
            partition.pauses.begin(since, read_to);
        }
        // No need to persist: the assignment epoch is raised when it is assigned again, and after a restart
        // its last owner will say that it does not run it.
        partition.record.owner = None;
        partition.hold = Hold::Free { after: now };
    }

    /// The job has another generation: all partitions are assigned under it. What still runs under the one before
    /// is refused by Redis.
    pub(super) fn assign_again(&mut self, now: Millis) {
        for partition in &mut self.all {
            partition.fence(now);
        }
    }
}

pub(super) fn revoke(job: &JobId, partition: &Partition, mode: RevokeMode) -> ToExecutor {
    ToExecutor::Revoke(Revoke {
        job_id: job.to_string(),
        partition: Some((&partition.record.partition).into()),
        assignment_epoch: partition.record.assignment_epoch,
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

pub(super) fn is_named(partition: &Partition, name: &proto::SourcePartition) -> bool {
    let own = &partition.record.partition;
    // Numbers differ much more often than topics do.
    own.partition == name.partition && own.topic == name.topic
}

/// The partition an executor speaks of, if it has it under that assignment epoch.
pub(super) fn find<'a>(
    partitions: &'a mut [Partition],
    executor: &ExecutorId,
    name: Option<&proto::SourcePartition>,
    assignment_epoch: u64,
) -> Option<&'a mut Partition> {
    let name = name?;
    let mut all = partitions.iter_mut();
    all.find(|p| is_held(p, executor, name, assignment_epoch))
}

/// Whether an executor has a partition of this name under that assignment epoch.
pub(super) fn is_held(
    partition: &Partition,
    executor: &ExecutorId,
    name: &proto::SourcePartition,
    assignment_epoch: u64,
) -> bool {
    is_named(partition, name)
        && partition.record.assignment_epoch == assignment_epoch
        && partition.hold.executor() == Some(executor)
}
