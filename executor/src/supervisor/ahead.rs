//! States that are read ahead: of partitions that are to move here soon.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::proto::PartitionCheckpoint;
use tokio::time::Instant;

use super::machine::Key;
use crate::partition::{Of, Standby};

/// What was read ahead is dropped when the master has said nothing of it for so long: it may have forgotten it.
const LEASE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    standbys: BTreeMap<Key, Leased>,
}

#[derive(Debug)]
struct Leased {
    standby: Standby,
    /// When the master spoke of it last.
    renewed: Instant,
}

/// A state to read ahead.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Whose it is.
    pub(super) of: Of,
    /// The checkpoint epoch that it is of.
    pub(super) epoch: u64,
    /// The state, as an epoch has it.
    pub(super) state: PartitionCheckpoint,
}

impl Ahead {
    /// The master wants a state of a partition: who reads it, started if need be.
    pub(super) fn renew(
        &mut self,
        now: Instant,
        key: &Key,
        start: impl FnOnce() -> Standby,
    ) -> &Standby {
        let leased = self.standbys.entry(key.clone());
        let leased = leased.or_insert_with(|| Leased {
            standby: start(),
            renewed: now,
        });
        leased.renewed = now;
        &leased.standby
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.standbys.len()
    }

    /// Takes what was read of a partition.
    pub(super) fn take(&mut self, key: &Key) -> Option<Standby> {
        self.standbys.remove(key).map(|leased| leased.standby)
    }

    /// Those of which the master has said nothing for too long.
    pub(super) fn forgotten(&self, now: Instant) -> Vec<Key> {
        let all = self.standbys.iter();
        let forgotten = all.filter(|(_, leased)| now.duration_since(leased.renewed) > LEASE);
        forgotten.map(|(key, _)| key.clone()).collect()
    }
}
