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
        let rules = PaneRules::new(Arc::new(scoring()));
        let scoring = &*rules.scoring;
        let mut panes = Panes::default();
        let mut window_end = 200;
        let mut adds_left = adds.iter();
        for step in steps {
            panes.advance(&rules, window_end);
            for (pane, e) in adds_left.by_ref().take(8) {
                panes.add(&rules, *pane..*pane + 1, *e, 1);
            }
            window_end += step;
        }
        panes.advance(&rules, window_end);
        for (pane, e) in adds_left {
            panes.add(&rules, *pane..*pane + 1, *e, 1);
        }
        let h = window_end - 2 * scoring.panes;
        let (baseline, _) = panes.baseline(&rules, h);
        let expected = by_definition(scoring, &adds, h);
        prop_assert!((baseline - expected).abs() <= 1e-9 * expected.max(1.0));
        let window: u64 = adds.iter().filter(|(p, _)| *p >= h).map(|(_, e)| e).sum();
        prop_assert_eq!(panes.sum(&rules, h..window_end).engagement_e6, window);
    }
}

#[test]
fn a_run_of_equal_panes_folds_like_its_single_panes() {
    let rules = PaneRules::new(Arc::new(scoring()));
    let mut at_once = Panes::default();
    let mut one_by_one = Panes::default();
    for panes in [&mut at_once, &mut one_by_one] {
        panes.advance(&rules, 5_000);
    }
    at_once.add(&rules, 100..4_995, 7, 0);
    for pane in 100..4_995 {
        one_by_one.add(&rules, pane..pane + 1, 7, 0);
    }
    let h = 5_000 - 2 * rules.scoring.panes;
    let a = at_once.baseline(&rules, h).0;
    let b = one_by_one.baseline(&rules, h).0;
    assert!((a - b).abs() < 1e-9 * a, "{a} {b}");
    assert_eq!(
        at_once.sum(&rules, h..5_000),
        one_by_one.sum(&rules, h..5_000)
    );
}

/// The panes of a slot in the plainest way: one number for each that is kept, by its number modulo how many those are.
#[derive(Clone)]
struct Plain {
    base: u64,
    baseline: (f64, f64),
    ring: Vec<(u64, u32)>,
}

impl Plain {
    fn new(rules: &PaneRules) -> Self {
        Self {
            base: 0,
            baseline: (0.0, 0.0),
            ring: vec![(0, 0); rules.kept as usize],
        }
    }

    fn at(&mut self, pane: u64) -> &mut (u64, u32) {
        let kept = self.ring.len() as u64;
        &mut self.ring[(pane % kept) as usize]
    }

    fn advance(&mut self, scoring: &Scoring, window_end: u64) {
        let kept = self.ring.len() as u64;
        let base = window_end.saturating_sub(kept);
        if base <= self.base {
            return;
        }
        self.baseline = self.baseline(scoring, base);
        for pane in self.base..base.min(self.base + kept) {
            *self.at(pane) = (0, 0);
        }
        self.base = base;
    }

    fn add(&mut self, scoring: &Scoring, panes: Range<u64>, engagement_e6: u64, events: u32) {
        if panes.start < self.base {
            let old_end = panes.end.min(self.base);
            let weight = scoring.decay((self.base - old_end) as f64)
                - scoring.decay((self.base - panes.start) as f64);
            self.baseline.0 += weight * engagement_e6 as f64;
            self.baseline.1 += weight * f64::from(events);
        }
        for pane in panes.start.max(self.base)..panes.end {
            let (e, n) = self.at(pane);
            *e = e.saturating_add(engagement_e6);
            *n = n.saturating_add(events);
        }
    }

    fn sum(&mut self, from: u64, to: u64) -> RangeSum {
        let mut sum = RangeSum::default();
        for pane in from.max(self.base)..to.min(self.base + self.ring.len() as u64) {
            let (e, n) = *self.at(pane);
            sum.engagement_e6 = sum.engagement_e6.saturating_add(e);
            sum.events = sum.events.saturating_add(n);
        }
        sum
    }

    fn baseline(&mut self, scoring: &Scoring, at: u64) -> (f64, f64) {
        let decay = scoring.decay(at as f64 - self.base as f64);
        let (mut engagement, mut events) = (self.baseline.0 * decay, self.baseline.1 * decay);
        for pane in self.base..at.min(self.base + self.ring.len() as u64) {
            let (e, n) = *self.at(pane);
            if e != 0 || n != 0 {
                let weight = scoring.alpha * scoring.decay((at - 1 - pane) as f64);
                engagement += weight * e as f64;
                events += weight * f64::from(n);
            }
        }
        (engagement, events)
    }

    fn copy(&mut self) -> (u64, (f64, f64), Vec<Pane>) {
        let base = self.base;
        let panes = (0..self.ring.len() as u32).map(|after_base| {
            let (engagement_e6, events) = *self.at(base + u64::from(after_base));
            Pane {
                after_base,
                engagement_e6,
                events,
            }
        });
        let panes = panes.filter(|pane| pane.engagement_e6 != 0 || pane.events != 0);
        let panes = panes.collect();
        (self.base, self.baseline, panes)
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// The window moves by so many panes, and a gain ends so many before its end and began so many before that.
    Gain(u64, u64, u64, u64),
    /// Events in a pane so far before the end of the window.
    Events(u64, u32),
    /// The slot goes into a file and comes back from it.
    Restored,
}

fn step() -> impl Strategy<Value = Step> {
    let gain = prop_oneof![0..5_000_000_000_u64, Just(u64::MAX / 2), any::<u64>()];
    let moved = prop_oneof![8 => Just(0_u64), 4 => 1..5_u64, 1 => 0..300_u64, 1 => 0..9_000_u64];
    let length = prop_oneof![4 => 1..40_u64, 1 => 1..3_000_u64];
    prop_oneof![
        8 => (moved, 0..12_u64, length, gain).prop_map(|(m, e, l, g)| Step::Gain(m, e, l, g)),
        4 => (0..60_u64, 1..3_u32).prop_map(|(before, n)| Step::Events(before, n)),
        1 => (0..60_u64, any::<u32>()).prop_map(|(before, n)| Step::Events(before, n)),
        1 => Just(Step::Restored),
    ]
}

proptest! {
    #[test]
    fn panes_are_to_the_last_bit_what_the_plainest_way_makes_of_them(
        steps in prop::collection::vec(step(), 1..60),
        is_cumulative in any::<bool>(),
        first in prop_oneof![Just(3_u64), Just(485_000)],
    ) {
        let counters = if is_cumulative { Counters::Cumulative } else { Counters::Delta };
        let spec = ScoringSpec::defaults(Profile::Default, counters);
        let rules = PaneRules::new(Arc::new(Scoring::new(&spec)));
        let scoring = Arc::clone(&rules.scoring);
        let (mut panes, mut plain) = (Panes::default(), Plain::new(&rules));
        let mut end = first;
        for step in steps {
            let (moved, range, e, n) = match step {
                Step::Gain(moved, before, length, gain) => {
                    let to = (end + moved).saturating_sub(before).max(1);
                    (moved, to.saturating_sub(length)..to, gain, 0)
                }
                Step::Events(before, events) => {
                    let pane = (end - 1).saturating_sub(before);
                    (0, pane..pane + 1, 0, events)
                }
                Step::Restored => {
                    let mut all = Vec::new();
                    let (base, baseline_e6, baseline_events) = panes.copy(&mut all);
                    let record = KolRecord {
                        index: 0,
                        platform: 0,
                        name: "a".into(),
                        first: 0,
                        newest: 0,
                        base,
                        baseline_e6,
                        baseline_events,
                        panes: all.into(),
                    };
                    panes = Panes::restored(&rules, &record).unwrap();
                    continue;
                }
            };
            end += moved;
            panes.advance(&rules, end);
            plain.advance(&scoring, end);
            panes.add(&rules, range.clone(), e, n);
            plain.add(&scoring, range, e, n);
            let bits = |(e, n): (f64, f64)| (e.to_bits(), n.to_bits());
            for (from, to) in [(0, 2), (2, 26), (26, 50), (7, 8)] {
                let (from, to) = (end.saturating_sub(to), end.saturating_sub(from));
                prop_assert_eq!(panes.sum(&rules, from..to), plain.sum(from, to));
                for at in [from, to, end + 7] {
                    let (is, expected) = (panes.baseline(&rules, at), plain.baseline(&scoring, at));
                    prop_assert_eq!(bits(is), bits(expected), "{:?} {:?}", is, expected);
                }
            }
            let mut all = Vec::new();
            let (base, baseline_e6, baseline_events) = panes.copy(&mut all);
            let (expected_base, expected, expected_panes) = plain.copy();
            prop_assert_eq!(base, expected_base);
            prop_assert_eq!(bits((baseline_e6, baseline_events)), bits(expected));
            prop_assert_eq!(all, expected_panes);
        }
    }
}
