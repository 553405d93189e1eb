//! The slots' panes: for each KOL a ring of the newest panes and, for everything older, a decayed
//! sum (the baseline).
//!
//! The state is linear in what is added, and the decayed sum over a run of equal panes has a closed
//! form, so it does not matter whether a gain reaches an old pane before or after that pane was
//! folded into the baseline.

use kol_common::checkpoint::{KolRecord, Pane};
use kol_common::scoring::Scoring;

use super::kols::KolIndex;

/// The panes of all slots of a partition, in dense vectors.
#[derive(Debug)]
pub struct Panes {
    kept: u64,
    engagement_e6: Vec<u64>,
    events: Vec<u32>,
    heads: Vec<Head>,
}

/// What a slot has besides its ring.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// First pane in the ring; everything older is in the baseline, as of this pane.
    base: u64,
    baseline_e6: f64,
    baseline_events: f64,
}

/// Sums over a range of panes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeSum {
    /// Engagement, millionths.
    pub engagement_e6: u64,
    /// Events.
    pub events: u32,
}

impl RangeSum {
    /// No engagement and no event.
    pub fn is_empty(self) -> bool {
        self.engagement_e6 == 0 && self.events == 0
    }
}

impl Panes {
    /// None yet; `kept` panes of each slot stay separate.
    pub fn new(kept: u64) -> Self {
        Self {
            kept,
            engagement_e6: Vec::new(),
            events: Vec::new(),
            heads: Vec::new(),
        }
    }

    /// Makes an empty slot, also where another one was.
    pub fn reset(&mut self, kol: KolIndex) {
        let index = kol as usize;
        let kept = self.kept as usize;
        if index >= self.heads.len() {
            self.heads.resize(index + 1, Head::default());
            self.engagement_e6.resize((index + 1) * kept, 0);
            self.events.resize((index + 1) * kept, 0);
        }
        self.heads[index] = Head::default();
        self.engagement_e6[index * kept..][..kept].fill(0);
        self.events[index * kept..][..kept].fill(0);
    }

    /// Moves the ring of a slot up to window end `window_end`: panes that leave it join the baseline.
    pub fn advance(&mut self, scoring: &Scoring, kol: KolIndex, window_end: u64) {
        let base = window_end.saturating_sub(self.kept);
        let head = self.heads[kol as usize];
        if base <= head.base {
            return;
        }
        let (baseline_e6, baseline_events) = self.baseline(scoring, kol, base);
        for pane in head.base..base.min(head.base + self.kept) {
            let at = self.at(kol, pane);
            self.engagement_e6[at] = 0;
            self.events[at] = 0;
        }
        self.heads[kol as usize] = Head {
            base,
            baseline_e6,
            baseline_events,
        };
    }

    /// Adds to each pane of `[from, to)`; the slot was advanced to the present window end.
    pub fn add(
        &mut self,
        scoring: &Scoring,
        kol: KolIndex,
        panes: std::ops::Range<u64>,
        engagement_e6: u64,
        events: u32,
    ) {
        let base = self.heads[kol as usize].base;
        if panes.start < base {
            let old_end = panes.end.min(base);
            // Σ over the run of α·(1−α)^(base−1−j).
            let weight =
                scoring.decay((base - old_end) as f64) - scoring.decay((base - panes.start) as f64);
            let head = &mut self.heads[kol as usize];
            head.baseline_e6 += weight * engagement_e6 as f64;
            head.baseline_events += weight * f64::from(events);
        }
        for pane in panes.start.max(base)..panes.end {
            let at = self.at(kol, pane);
            self.engagement_e6[at] = self.engagement_e6[at].saturating_add(engagement_e6);
            self.events[at] = self.events[at].saturating_add(events);
        }
    }

    /// Sums the panes of `[from, to)`. Panes older than the ring count as empty: callers request only
    /// windows that the ring holds or that are known to be empty.
    pub fn sum(&self, kol: KolIndex, from: u64, to: u64) -> RangeSum {
        let base = self.heads[kol as usize].base;
        let mut sum = RangeSum::default();
        for pane in from.max(base)..to.min(base + self.kept) {
            let at = self.at(kol, pane);
            sum.engagement_e6 = sum.engagement_e6.saturating_add(self.engagement_e6[at]);
            sum.events = sum.events.saturating_add(self.events[at]);
        }
        sum
    }

    /// The baseline sums (engagement in millionths, events) as of pane `at`, over all panes before
    /// it. `at` may lie before the ring if the panes between are empty.
    pub fn baseline(&self, scoring: &Scoring, kol: KolIndex, at: u64) -> (f64, f64) {
        let head = self.heads[kol as usize];
        let decay = scoring.decay(at as f64 - head.base as f64);
        let mut engagement = head.baseline_e6 * decay;
        let mut events = head.baseline_events * decay;
        for pane in head.base..at.min(head.base + self.kept) {
            let place = self.at(kol, pane);
            let (e, n) = (self.engagement_e6[place], self.events[place]);
            if e != 0 || n != 0 {
                let weight = scoring.alpha * scoring.decay((at - 1 - pane) as f64);
                engagement += weight * e as f64;
                events += weight * f64::from(n);
            }
        }
        (engagement, events)
    }

    /// The panes of a ring that are not empty, for its record; the rest of it is answered.
    pub fn copy(&self, kol: KolIndex, panes: &mut Vec<Pane>) -> (u64, f64, f64) {
        let head = self.heads[kol as usize];
        panes.clear();
        for pane in head.base..head.base + self.kept {
            let at = self.at(kol, pane);
            let (engagement_e6, events) = (self.engagement_e6[at], self.events[at]);
            if engagement_e6 != 0 || events != 0 {
                panes.push(Pane {
                    after_base: (pane - head.base) as u32,
                    engagement_e6,
                    events,
                });
            }
        }
        (head.base, head.baseline_e6, head.baseline_events)
    }

    /// Puts a slot back as its record has it. False: the record is of a longer ring than this one.
    #[must_use]
    pub fn restore(&mut self, record: &KolRecord<'_>) -> bool {
        self.reset(record.index);
        self.heads[record.index as usize] = Head {
            base: record.base,
            baseline_e6: record.baseline_e6,
            baseline_events: record.baseline_events,
        };
        for pane in record.panes.iter() {
            if u64::from(pane.after_base) >= self.kept {
                return false;
            }
            let Some(number) = record.base.checked_add(pane.after_base.into()) else {
                return false;
            };
            let at = self.at(record.index, number);
            self.engagement_e6[at] = pane.engagement_e6;
            self.events[at] = pane.events;
        }
        true
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.engagement_e6.capacity() * 8
            + self.events.capacity() * 4
            + self.heads.capacity() * size_of::<Head>()
    }

    fn at(&self, kol: KolIndex, pane: u64) -> usize {
        kol as usize * self.kept as usize + (pane % self.kept) as usize
    }
}

#[cfg(test)]
mod tests {
    use kol_common::job::{Counters, Profile, ScoringSpec};
    use proptest::prelude::*;

    use super::*;

    fn scoring() -> Scoring {
        Scoring::new(&ScoringSpec::defaults(Profile::Default, Counters::Delta))
    }

    /// What the baseline is by definition.
    fn by_definition(scoring: &Scoring, adds: &[(u64, u64)], at: u64) -> f64 {
        adds.iter()
            .filter(|(pane, _)| *pane < at)
            .map(|(pane, e)| {
                scoring.alpha * (1.0 - scoring.alpha).powf((at - 1 - pane) as f64) * *e as f64
            })
            .sum()
    }

    proptest! {
        #[test]
        fn the_baseline_does_not_depend_on_when_panes_are_folded(
            adds in prop::collection::vec((0u64..200, 1u64..1_000_000_000), 1..40),
            steps in prop::collection::vec(0u64..50, 1..6),
        ) {
            let scoring = scoring();
            let mut panes = Panes::new(scoring.kept);
            panes.reset(0);
            let mut window_end = 200;
            let mut adds_left = adds.iter();
            for step in steps {
                panes.advance(&scoring, 0, window_end);
                for (pane, e) in adds_left.by_ref().take(8) {
                    panes.add(&scoring, 0, *pane..*pane + 1, *e, 1);
                }
                window_end += step;
            }
            panes.advance(&scoring, 0, window_end);
            for (pane, e) in adds_left {
                panes.add(&scoring, 0, *pane..*pane + 1, *e, 1);
            }
            let h = window_end - 2 * scoring.panes;
            let (baseline, _) = panes.baseline(&scoring, 0, h);
            let expected = by_definition(&scoring, &adds, h);
            prop_assert!((baseline - expected).abs() <= 1e-9 * expected.max(1.0));
            let window: u64 = adds.iter().filter(|(p, _)| *p >= h).map(|(_, e)| e).sum();
            prop_assert_eq!(panes.sum(0, h, window_end).engagement_e6, window);
        }
    }

    #[test]
    fn a_run_of_equal_panes_folds_like_its_single_panes() {
        let scoring = scoring();
        let mut at_once = Panes::new(scoring.kept);
        let mut one_by_one = Panes::new(scoring.kept);
        for panes in [&mut at_once, &mut one_by_one] {
            panes.reset(0);
            panes.advance(&scoring, 0, 5_000);
        }
        at_once.add(&scoring, 0, 100..4_995, 7, 0);
        for pane in 100..4_995 {
            one_by_one.add(&scoring, 0, pane..pane + 1, 7, 0);
        }
        let h = 5_000 - 2 * scoring.panes;
        let a = at_once.baseline(&scoring, 0, h).0;
        let b = one_by_one.baseline(&scoring, 0, h).0;
        assert!((a - b).abs() < 1e-9 * a, "{a} {b}");
        assert_eq!(at_once.sum(0, h, 5_000), one_by_one.sum(0, h, 5_000));
    }
}
