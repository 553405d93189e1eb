//! The panes of a slot: a ring of the newest ones and, for everything older, a decayed sum (the baseline).
//!
//! The state is linear in what is added, and the decayed sum over a run of equal panes has a closed
//! form, so it does not matter whether a gain reaches an old pane before or after that pane was
//! folded into the baseline.

use std::ops::Range;
use std::sync::Arc;

use kol_common::checkpoint::{KolRecord, Pane};
use kol_common::scoring::{Scoring, spread};

pub use super::ring::RangeSum;
use super::ring::Ring;
use super::rises::Spread;

/// Decays that are computed once.
const DECAYS: u64 = 1_024;

/// What the panes of all slots have in common.
#[derive(Debug)]
pub(super) struct PaneRules {
    scoring: Arc<Scoring>,
    /// So many panes of each slot stay separate.
    kept: u64,
    /// What is left of a baseline after so many panes.
    decays: Box<[f64]>,
}

/// The panes of one slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Panes {
    /// First pane of the ring; everything older is in the baseline, as of this pane.
    base: u64,
    baseline_e6: f64,
    baseline_events: f64,
    ring: Ring,
}

impl PaneRules {
    /// Those of a job.
    pub(super) fn new(scoring: Arc<Scoring>) -> Self {
        let kept = scoring.kept;
        let decays = 0..=kept.min(DECAYS);
        Self {
            decays: decays.map(|panes| scoring.decay(panes as f64)).collect(),
            kept,
            scoring,
        }
    }

    /// Length of a pane, ms.
    pub(super) fn slide(&self) -> u64 {
        self.scoring.spec.slide.0
    }

    /// The same number as [`Scoring::decay`].
    fn decay(&self, panes: u64) -> f64 {
        let known = usize::try_from(panes).ok().and_then(|p| self.decays.get(p));
        known.map_or_else(|| self.scoring.decay(panes as f64), |decay| *decay)
    }
}

impl Panes {
    /// Moves the ring up to window end `window_end`: panes that leave it join the baseline.
    #[inline]
    pub(super) fn advance(&mut self, rules: &PaneRules, window_end: u64) {
        let base = window_end.saturating_sub(rules.kept);
        if base > self.base {
            self.advance_to(rules, base);
        }
    }

    fn advance_to(&mut self, rules: &PaneRules, base: u64) {
        (self.baseline_e6, self.baseline_events) = self.baseline(rules, base);
        self.ring.drop_first(base - self.base);
        self.base = base;
    }

    /// Adds to each pane of a range; the slot was advanced to the present window end.
    #[inline]
    pub(super) fn add(
        &mut self,
        rules: &PaneRules,
        panes: Range<u64>,
        engagement_e6: u64,
        events: u32,
    ) {
        if panes.start < self.base {
            self.add_to_baseline(rules, &panes, engagement_e6, events);
        }
        let ring = self.of_ring(&panes, rules.kept);
        self.ring
            .add(ring, engagement_e6, events, rules.kept as usize);
    }

    /// Adds a gain to the panes of the time in which it arose.
    #[inline(always)]
    pub(super) fn spread(&mut self, rules: &PaneRules, gained: Spread) {
        let Spread { gain, since, time } = gained;
        for share in spread(gain, since, time, rules.slide()) {
            if share.each_e6 > 0 {
                self.add(rules, share.from..share.to, share.each_e6, 0);
            }
        }
    }

    /// Adds to those panes of a range that are older than the ring.
    #[cold]
    fn add_to_baseline(
        &mut self,
        rules: &PaneRules,
        panes: &Range<u64>,
        engagement_e6: u64,
        events: u32,
    ) {
        let (base, end) = (self.base, panes.end.min(self.base));
        // Σ over the run of α·(1−α)^(base−1−j).
        let weight = rules.decay(base - end) - rules.decay(base - panes.start);
        self.baseline_e6 += weight * engagement_e6 as f64;
        self.baseline_events += weight * f64::from(events);
    }

    /// Sums the panes of `[from, to)`. Panes older than the ring count as empty: callers request only
    /// windows that the ring holds or that are known to be empty.
    pub(super) fn sum(&self, rules: &PaneRules, panes: Range<u64>) -> RangeSum {
        self.ring.sum(self.of_ring(&panes, rules.kept))
    }

    /// The baseline sums (engagement in millionths, events) as of pane `at`, over all panes before
    /// it. `at` may lie before the ring if the panes between are empty.
    pub(super) fn baseline(&self, rules: &PaneRules, at: u64) -> (f64, f64) {
        let decay = match at.checked_sub(self.base) {
            Some(0) => return (self.baseline_e6, self.baseline_events),
            Some(panes) => rules.decay(panes),
            None => rules.scoring.decay(at as f64 - self.base as f64),
        };
        let mut engagement = self.baseline_e6 * decay;
        let mut events = self.baseline_events * decay;
        let panes = self.of_ring(&(self.base..at), rules.kept);
        self.ring.each(panes, |pane, e, n| {
            let weight = rules.scoring.alpha * rules.decay(at - 1 - self.base - pane as u64);
            engagement += weight * e as f64;
            events += weight * f64::from(n);
        });
        (engagement, events)
    }

    /// The panes of the ring that are not empty, for a record; the rest of it is answered.
    pub(super) fn copy(&self, panes: &mut Vec<Pane>) -> (u64, f64, f64) {
        panes.clear();
        self.ring
            .each(0..usize::MAX, |pane, engagement_e6, events| {
                panes.push(Pane {
                    after_base: pane as u32,
                    engagement_e6,
                    events,
                });
            });
        (self.base, self.baseline_e6, self.baseline_events)
    }

    /// The panes of a record; `None`: it is of a longer ring than these rules have.
    pub(super) fn restored(rules: &PaneRules, record: &KolRecord<'_>) -> Option<Self> {
        let mut ring = Ring::default();
        let fits = |pane: &&Pane| u64::from(pane.after_base) < rules.kept;
        if !record.panes.iter().all(|pane| fits(&pane)) {
            return None;
        }
        for pane in record.panes.iter() {
            let at = pane.after_base as usize;
            ring.add(
                at..at + 1,
                pane.engagement_e6,
                pane.events,
                rules.kept as usize,
            );
        }
        Some(Self {
            base: record.base,
            baseline_e6: record.baseline_e6,
            baseline_events: record.baseline_events,
            ring,
        })
    }

    /// Bytes of the heap that they take, about.
    pub(super) fn heap(&self) -> usize {
        self.ring.heap()
    }

    /// See [`Ring::prefetch`].
    #[inline]
    pub(super) fn prefetch(&self) {
        self.ring.prefetch();
    }

    /// Which panes of the ring a range has.
    fn of_ring(&self, panes: &Range<u64>, kept: u64) -> Range<usize> {
        let place = |pane: u64| pane.saturating_sub(self.base).min(kept) as usize;
        place(panes.start)..place(panes.end)
    }
}

#[cfg(test)]
#[path = "panes_tests.rs"]
mod tests;
