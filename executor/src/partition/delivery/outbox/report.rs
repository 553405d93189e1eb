//! What is reported of it.

use std::time::Duration;

use kol_common::KolError;
use kol_common::proto::PartitionCounters;

use super::Outbox;

impl Outbox {
    /// Counters with the merges that Redis confirmed.
    pub fn counted(&self, counters: PartitionCounters) -> PartitionCounters {
        PartitionCounters {
            merges: self.merges,
            repaired: self.upkeep.repaired(),
            ..counters
        }
    }

    /// Why Redis does not take what it is sent, if so.
    pub fn problem(&self) -> Option<KolError> {
        let worst = self.problems.worst().cloned();
        let others = self.rankings.hindered_by().into_iter();
        let others = others.chain(self.history.refused());
        let worst = worst.or_else(|| self.upkeep.problem(others));
        let worst = worst.or_else(|| self.staleness.problem(self.turn.load()));
        worst.or_else(|| self.upkeep.limit().cloned())
    }

    /// How old the oldest change is that Redis does not have.
    pub fn staleness(&self) -> Duration {
        self.staleness.age()
    }

    /// Creators that are left out because a key of theirs is of a wrong type.
    pub fn left_out(&self) -> usize {
        self.upkeep.left_out()
    }
}
