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
        let acknowledged = self.acknowledged.values();
        let acknowledged = acknowledged.map(|c| (c.ordinal, c.assignment_epoch));
        let waiting = self.waiting.iter().map(|(o, s)| (*o, s.assignment_epoch));
        let same = waiting.chain(acknowledged).all(|(ordinal, assignment)| {
            let owner = owners.iter().find(|o| o.ordinal == ordinal);
            owner.is_some_and(|o| o.assignment_epoch == assignment && o.ready)
        });
        same && owners.len() == self.waiting.len() + self.acknowledged.len()
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
