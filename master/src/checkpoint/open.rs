//! The epoch that is open: who has acknowledged it, and who has not.

use std::collections::BTreeMap;

use kol_common::proto::{Manifest, PartitionCheckpoint};
use kol_common::{Millis, SourcePartition};

use super::effect::{Facts, Owner};
use super::savepoint::Kind;

/// Stragglers that a message names.
const NAMED: usize = 5;

/// See the module.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) epoch: u64,
    pub(super) kind: Kind,
    pub(super) begun: Millis,
    /// Those that have not acknowledged yet, by ordinal.
    waiting: BTreeMap<u32, Straggler>,
    acknowledged: BTreeMap<u32, PartitionCheckpoint>,
}

/// A partition that has not acknowledged yet.
#[derive(Debug)]
struct Straggler {
    assignment_epoch: u64,
    /// The partition, as messages name it.
    name: SourcePartition,
}

impl Open {
    /// Nobody has acknowledged it.
    pub(super) fn new(epoch: u64, kind: Kind, begun: Millis, owners: &[Owner<'_>]) -> Self {
        let straggler = |o: &Owner<'_>| {
            let straggler = Straggler {
                assignment_epoch: o.assignment_epoch,
                name: o.partition.clone(),
            };
            (o.ordinal, straggler)
        };
        Self {
            epoch,
            kind,
            begun,
            waiting: owners.iter().map(straggler).collect(),
            acknowledged: BTreeMap::new(),
        }
    }

    /// Whether all partitions are owned under the assignments that they had when it began, and can still
    /// take part.
    pub(super) fn is_unmoved(&self, owners: &[Owner<'_>]) -> bool {
        // Each owner has a place of its own here, so as many as there are places are all of them.
        let same =
            |o: &Owner<'_>| o.ready && self.assignment(o.ordinal) == Some(o.assignment_epoch);
        owners.len() == self.waiting.len() + self.acknowledged.len() && owners.iter().all(same)
    }

    /// The assignment under which a partition was owned when it began.
    fn assignment(&self, ordinal: u32) -> Option<u64> {
        let waiting = self.waiting.get(&ordinal).map(|s| s.assignment_epoch);
        let acknowledged = || self.acknowledged.get(&ordinal).map(|c| c.assignment_epoch);
        waiting.or_else(acknowledged)
    }

    /// Whether it waits for a partition under that assignment.
    pub(super) fn waits_for(&self, ordinal: u32, assignment_epoch: u64) -> bool {
        let straggler = self.waiting.get(&ordinal);
        straggler.is_some_and(|s| s.assignment_epoch == assignment_epoch)
    }

    /// A partition that it waits for has acknowledged it.
    pub(super) fn acknowledge(&mut self, checkpoint: PartitionCheckpoint) {
        self.waiting.remove(&checkpoint.ordinal);
        self.acknowledged.insert(checkpoint.ordinal, checkpoint);
    }

    /// Whether all have acknowledged it.
    pub(super) fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The names of those that have not acknowledged it, for people.
    pub(super) fn stragglers(&self) -> String {
        let named = self.waiting.values().take(NAMED);
        let named: Vec<_> = named.map(|s| s.name.to_string()).collect();
        let mut text = named.join(", ");
        let more = self.waiting.len().saturating_sub(NAMED);
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
    }

    /// What is durable of it.
    pub(super) fn into_parts(self) -> Vec<PartitionCheckpoint> {
        self.acknowledged.into_values().collect()
    }

    /// What it says once it is complete.
    pub(super) fn into_manifest(self, now: Millis, parent: u64, facts: Facts) -> Manifest {
        let took = now.since(self.begun);
        Manifest {
            job_id: facts.job.0,
            job_name: facts.job.1,
            generation: facts.generation,
            epoch: self.epoch,
            parent,
            begun_ms: facts.wall.since(took).0,
            took_ms: took.0,
            clock_ms: facts.clock.map(|c| c.0),
            market_version: facts.market.0,
            market: facts.market.1,
            partitions: self.into_parts(),
            origin: String::new(),
            older_chain: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(partition: &SourcePartition, ordinal: u32, assignment_epoch: u64) -> Owner<'_> {
        Owner {
            partition,
            ordinal,
            assignment_epoch,
            ready: true,
            moves: false,
            unchanged: false,
        }
    }

    /// Of these owners; the partitions with even numbers have acknowledged it.
    fn half_acknowledged(owners: &[Owner<'_>]) -> Open {
        let mut open = Open::new(1, Kind::Checkpoint, Millis(0), owners);
        for owner in owners.iter().filter(|o| o.ordinal % 2 == 0) {
            open.acknowledge(PartitionCheckpoint {
                ordinal: owner.ordinal,
                assignment_epoch: owner.assignment_epoch,
                ..PartitionCheckpoint::default()
            });
        }
        open
    }

    #[test]
    fn an_epoch_ends_when_one_partition_changes_hands_whether_it_has_acknowledged_or_not() {
        let name = SourcePartition::new("t", 0);
        let owners: Vec<_> = (0..4).map(|i| owner(&name, i, 7)).collect();
        let open = half_acknowledged(&owners);
        assert!(open.is_unmoved(&owners));
        let reversed: Vec<_> = owners.iter().rev().copied().collect();
        assert!(open.is_unmoved(&reversed), "in any order");
        for at in [0, 1] {
            let mut moved = owners.clone();
            moved[at].assignment_epoch = 8;
            assert!(!open.is_unmoved(&moved), "{at} has another owner");
            let mut suspect = owners.clone();
            suspect[at].ready = false;
            assert!(!open.is_unmoved(&suspect), "{at} does not answer");
            let mut other = owners.clone();
            other[at].ordinal = 9;
            assert!(!open.is_unmoved(&other), "{at} is another partition");
            let mut fewer = owners.clone();
            fewer.remove(at);
            assert!(!open.is_unmoved(&fewer), "{at} is gone");
        }
        let mut more = owners.clone();
        more.push(owner(&name, 4, 7));
        assert!(!open.is_unmoved(&more), "one came");
    }

    /// One look takes milliseconds; compared each with each it would take longer than that by thousands of times.
    #[test]
    fn an_epoch_of_very_many_partitions_is_compared_in_one_pass() {
        let name = SourcePartition::new("t", 0);
        let owners: Vec<_> = (0..200_000).map(|i| owner(&name, i, 7)).collect();
        let open = half_acknowledged(&owners);
        let begun = tokio::time::Instant::now();
        assert!(open.is_unmoved(&owners));
        let took = begun.elapsed();
        assert!(took < std::time::Duration::from_secs(3), "{took:?}");
    }
}
