use std::sync::Arc;

use kol_common::Millis;
use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::scoring::Scoring;

use super::*;
use crate::partition::testing::event;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A partition of which so many KOLs have changed, one after the other, and wait in line since `start`.
struct Rig {
    state: State,
    ledger: Ledger,
    line: Line,
    early: Early,
    start: Instant,
}

impl Rig {
    fn new(kols: usize) -> Self {
        let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
        let start = Instant::now();
        let mut rig = Self {
            state: State::new(Arc::new(Scoring::new(&spec))),
            ledger: Ledger::default(),
            line: Line::default(),
            early: Early::new(start),
            start,
        };
        for kol in 0..kols {
            let name = format!("kol_{kol}");
            rig.state.apply(&event(&name), Millis(485_000 * 3_600_000));
        }
        rig.line.look(start, kols);
        rig
    }

    /// Chooses, after so long; `score` is what would be computed of a KOL. Those chosen, sorted.
    fn chosen(
        &mut self,
        after: Duration,
        score: impl Fn(KolIndex) -> Option<f64>,
    ) -> Vec<KolIndex> {
        let both = (&self.line, &self.ledger);
        self.early
            .choose(self.start + after, &self.state, both, score);
        let mut chosen: Vec<_> = std::iter::from_fn(|| self.early.take()).collect();
        chosen.sort_unstable();
        chosen
    }
}

fn nothing(_: KolIndex) -> Option<f64> {
    None
}

#[test]
fn who_was_sent_with_a_visible_score_goes_first_once_a_second_after_a_second() {
    let mut rig = Rig::new(5);
    for (kol, score) in [(1, 91.0), (3, 90.0), (4, 89.9)] {
        rig.ledger.scored(kol, score);
    }
    assert!(
        !rig.early
            .begin_sample(rig.start + ms(900), &rig.line, false)
    );
    assert!(
        rig.early
            .begin_sample(rig.start + ms(1_000), &rig.line, false)
    );
    assert!(
        !rig.early
            .begin_sample(rig.start + ms(1_900), &rig.line, false)
    );
    assert!(
        rig.chosen(ms(1_000), nothing).is_empty(),
        "nothing is known"
    );
    rig.early.sampled(0, Some(90.0));
    assert!(
        rig.chosen(ms(900), nothing).is_empty(),
        "nobody waits for long"
    );
    assert_eq!(rig.chosen(ms(1_000), nothing), [1, 3]);
    assert!(rig.chosen(ms(1_900), nothing).is_empty());
    assert_eq!(rig.chosen(ms(2_000), nothing), [1, 3]);
}

#[test]
fn who_comes_to_a_visible_score_goes_first_and_is_computed_once() {
    let mut rig = Rig::new(5);
    rig.early.sampled(0, Some(90.0));
    let computed = std::cell::Cell::new(0);
    let score = |kol: KolIndex| {
        computed.set(computed.get() + 1);
        Some(if kol == 2 { 95.0 } else { 10.0 })
    };
    assert_eq!(rig.chosen(ms(1_000), score), [2]);
    assert_eq!(computed.get(), 5);
    rig.chosen(ms(2_000), score);
    assert_eq!(computed.get(), 5);
}

#[test]
fn where_all_of_a_ranking_is_visible_all_go_first_as_far_as_that_is_bounded() {
    let mut rig = Rig::new(3 * MOST_SCORED);
    rig.early.sampled(0, None);
    let score = |_| Some(1.0);
    assert_eq!(rig.chosen(ms(1_000), score).len(), MOST);
    rig.early.sampled(0, Some(2.0));
    let computed = std::cell::Cell::new(0);
    let score = |_| {
        computed.set(computed.get() + 1);
        Some(1.0)
    };
    assert!(rig.chosen(ms(2_000), score).is_empty());
    assert_eq!(computed.get(), MOST_SCORED);
}

#[test]
fn who_is_in_flight_is_not_chosen() {
    let mut rig = Rig::new(2);
    rig.early.sampled(0, None);
    let outgoing = rig.ledger.outgoing(&rig.state, 0).unwrap();
    rig.ledger.sending(0, &outgoing, 1);
    assert_eq!(rig.chosen(ms(1_000), |_| Some(1.0)), [1]);
}

#[test]
fn a_sample_that_failed_is_taken_again_although_nobody_waits() {
    let mut rig = Rig::new(0);
    assert!(
        !rig.early
            .begin_sample(rig.start + ms(60_000), &rig.line, false)
    );
    let mut taken = Vec::new();
    for after in (0..=12_000).step_by(200) {
        if rig
            .early
            .begin_sample(rig.start + ms(after), &rig.line, true)
        {
            taken.push(after);
        }
    }
    assert_eq!(taken, [4_000, 9_000]);
}
