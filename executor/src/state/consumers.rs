//! Which KOLs changed, for each consumer of the state on its own.
//!
//! A consumer keeps something in step with the state: the market sums, or what Redis has. Each has a
//! change-set: the KOLs that changed since the consumer took them, in the order in which they first
//! changed, each once. What a consumer does about a KOL is not known here. A consumer that could not do
//! it puts the KOL back to the end of its line.
//!
//! An index that waits in a change-set is not reused: the state does not forget its KOL.

use std::collections::VecDeque;

/// Index of a KOL within its partition's state. Reused after the KOL was forgotten.
pub type KolIndex = u32;

/// Who takes changes. Another one needs a variant here and a place in [`Consumer::OF_EVENTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// The state's own market sums.
    Market,
    /// What is sent to Redis.
    Delivery,
}

/// How many consumers there are: one bit of [`Waiting`] for each.
const CONSUMERS: usize = 1 + Consumer::OF_EVENTS.len();

/// The change-sets in which one KOL waits. It lies in the KOL's slot, because the per-event path has that
/// in the cache anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting(u8);

impl Waiting {
    pub(super) const NOWHERE: Self = Self(0);

    /// Whether the KOL waits in no change-set.
    pub(super) fn is_nowhere(self) -> bool {
        self.0 == 0
    }

    /// The consumer took the KOL.
    pub(super) fn leave(&mut self, consumer: Consumer) {
        self.0 &= !consumer.bit();
    }
}

impl Consumer {
    /// All that take each KOL with an event. The market sums take those alone that count in its window.
    pub(super) const OF_EVENTS: [Self; 1] = [Self::Delivery];

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The lines in which KOLs wait.
#[derive(Debug, Default)]
pub(super) struct ChangeSets([VecDeque<KolIndex>; CONSUMERS]);

impl ChangeSets {
    /// Puts a KOL that changed at the end of one line, unless it waits there already.
    #[inline]
    pub(super) fn note(&mut self, consumer: Consumer, kol: KolIndex, waiting: &mut Waiting) {
        if waiting.0 & consumer.bit() == 0 {
            waiting.0 |= consumer.bit();
            self.0[consumer as usize].push_back(kol);
        }
    }

    /// The KOL that has waited longest; the caller takes its mark off ([`Waiting::leave`]).
    pub(super) fn pop(&mut self, consumer: Consumer) -> Option<KolIndex> {
        self.0[consumer as usize].pop_front()
    }

    /// The KOL at this place of a line, from 0.
    pub(super) fn at(&self, consumer: Consumer, place: usize) -> Option<KolIndex> {
        self.0[consumer as usize].get(place).copied()
    }

    /// Empties a line; the caller takes off the marks of all KOLs.
    pub(super) fn clear(&mut self, consumer: Consumer) {
        self.0[consumer as usize].clear();
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let lines = self.0.iter().map(VecDeque::capacity);
        lines.sum::<usize>() * size_of::<KolIndex>()
    }

    /// How many KOLs wait.
    pub(super) fn len(&self, consumer: Consumer) -> usize {
        self.0[consumer as usize].len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_consumer_sees_every_change_once_in_the_order_of_the_changes() {
        let mut sets = ChangeSets::default();
        let mut waiting = [Waiting::NOWHERE; 3];
        let mut change = |sets: &mut ChangeSets, kol: usize| {
            for consumer in [Consumer::Market, Consumer::Delivery] {
                sets.note(consumer, kol as KolIndex, &mut waiting[kol]);
            }
        };
        for kol in [2, 0, 2, 1, 0] {
            change(&mut sets, kol);
        }
        assert_eq!(sets.len(Consumer::Market), 3);
        assert_eq!(sets.pop(Consumer::Delivery), Some(2));
        waiting[2].leave(Consumer::Delivery);
        for kol in [2, 0] {
            sets.note(Consumer::Delivery, kol as KolIndex, &mut waiting[kol]);
        }
        let rest: Vec<_> = std::iter::from_fn(|| sets.pop(Consumer::Delivery)).collect();
        assert_eq!(
            rest,
            [0, 1, 2],
            "the one that was taken is at the end again"
        );
        let rest: Vec<_> = std::iter::from_fn(|| sets.pop(Consumer::Market)).collect();
        assert_eq!(
            rest,
            [2, 0, 1],
            "the other consumer has taken nothing so far"
        );
    }

    #[test]
    fn a_kol_that_changed_for_one_consumer_waits_for_that_one_alone() {
        let mut sets = ChangeSets::default();
        let mut waiting = Waiting::NOWHERE;
        sets.note(Consumer::Delivery, 7, &mut waiting);
        sets.note(Consumer::Delivery, 7, &mut waiting);
        assert_eq!(sets.len(Consumer::Delivery), 1);
        assert_eq!(sets.len(Consumer::Market), 0);
        assert!(!waiting.is_nowhere());
        waiting.leave(Consumer::Delivery);
        assert!(waiting.is_nowhere());
    }
}
