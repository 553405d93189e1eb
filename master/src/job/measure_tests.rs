use std::collections::BTreeMap;

use kol_common::Millis;
use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::proto::{Confirmed, Manifest, MarketPartial, PartitionReport, PartitionState};
use proptest::prelude::*;

use super::measure::{Measure, window_end};

const HOUR: u64 = 3_600_000;

fn scoring() -> ScoringSpec {
    ScoringSpec::defaults(Profile::Default, Counters::Cumulative)
}

/// A report of one partition with one platform.
fn report(position: u64, clock: u64, end: u64, sum: u64, slots: u64) -> PartitionReport {
    PartitionReport {
        state: PartitionState::Running as i32,
        position,
        clock_ms: Some(clock),
        window_end_ms: Some(end),
        market: vec![MarketPartial {
            platform: "tiktok".into(),
            velocity_sum_e4: sum,
            slots,
            ..MarketPartial::default()
        }],
        ..PartitionReport::default()
    }
}

/// All partitions report, then the round is looked at.
fn round(measure: &mut Measure, now: u64, reports: &[PartitionReport]) {
    for (ordinal, report) in reports.iter().enumerate() {
        measure.reported(Millis(now), ordinal as u32, report, &scoring());
    }
    look(measure, now, &scoring(), reports);
}

fn look(measure: &mut Measure, now: u64, scoring: &ScoringSpec, reports: &[PartitionReport]) {
    let round = reports
        .iter()
        .enumerate()
        .map(|(i, r)| (i as u32, Some(r)))
        .collect();
    measure.advance(Millis(now), scoring, &round);
}

fn tiktok(measure: &Measure) -> Option<f64> {
    measure.market().get("tiktok").copied()
}

#[test]
fn the_market_is_the_mean_over_all_partitions_with_three_digits() {
    let mut measure = Measure::new(Millis(0), None);
    let reports = [
        report(1, 1, HOUR, 123_456, 10),
        report(1, 2, HOUR, 0, 0),
        report(1, 3, HOUR, 876_544, 30),
    ];
    round(&mut measure, 0, &reports);
    assert_eq!(tiktok(&measure), Some(2.5));
    assert_eq!(measure.version(), 1);
}

#[test]
fn the_market_in_use_stays_within_one_percent_until_nothing_arrives() {
    let mut measure = Measure::new(Millis(0), None);
    let mean_of = |position, e4| [report(position, 1, HOUR, e4, 100)];
    round(&mut measure, 0, &mean_of(1, 5_000_000));
    assert_eq!(tiktok(&measure), Some(5.0));
    round(&mut measure, 1, &mean_of(2, 5_040_000));
    assert_eq!((tiktok(&measure), measure.version()), (Some(5.0), 1));
    round(&mut measure, 2, &mean_of(3, 5_100_000));
    assert_eq!((tiktok(&measure), measure.version()), (Some(5.1), 2));
    round(&mut measure, 3, &mean_of(4, 5_130_000));
    assert_eq!((tiktok(&measure), measure.version()), (Some(5.1), 2));
    round(&mut measure, 4, &mean_of(4, 5_130_000));
    assert_eq!((tiktok(&measure), measure.version()), (Some(5.13), 3));
}

#[test]
fn the_market_waits_until_all_partitions_have_the_new_window_end() {
    let mut measure = Measure::new(Millis(0), None);
    let old = |position| report(position, 1, HOUR, 1_000_000, 100);
    let new = report(2, HOUR, 2 * HOUR, 5_000_000, 100);
    round(&mut measure, 0, &[old(1), old(1)]);
    round(&mut measure, 1, &[new.clone(), old(1)]);
    assert_eq!(tiktok(&measure), Some(1.0));
    round(
        &mut measure,
        2,
        &[new.clone(), report(1, 1, 2 * HOUR, 5_040_000, 100)],
    );
    assert_eq!(tiktok(&measure), Some(5.02));
}

#[test]
fn a_partition_that_reads_again_does_not_move_the_market() {
    let mut measure = Measure::new(Millis(0), None);
    let other = report(1, 1, HOUR, 1_000_000, 100);
    round(&mut measure, 0, &[other.clone(), other.clone()]);
    let mut behind = report(0, 1, HOUR, 0, 0);
    for state in [PartitionState::Claiming, PartitionState::Holding] {
        behind.state = state as i32;
        round(&mut measure, 1, &[other.clone(), behind.clone()]);
        round(&mut measure, 2, &[other.clone(), behind.clone()]);
        assert_eq!((tiktok(&measure), measure.version()), (Some(1.0), 1));
    }
}

#[test]
fn an_incomplete_round_is_not_looked_at() {
    let mut measure = Measure::new(Millis(0), None);
    let reports = [report(1, 1, HOUR, 1, 1), report(1, 1, HOUR, 1, 1)];
    measure.reported(Millis(0), 0, &reports[0], &scoring());
    look(&mut measure, 0, &scoring(), &reports);
    assert_eq!(measure.version(), 0);
}

#[test]
fn spark_compat_has_no_market() {
    let mut measure = Measure::new(Millis(0), None);
    let compat = ScoringSpec::defaults(Profile::SparkCompat, Counters::Delta);
    let reports = [report(1, 1, HOUR, 1_000_000, 100)];
    measure.reported(Millis(0), 0, &reports[0], &compat);
    look(&mut measure, 0, &compat, &reports);
    assert!(measure.market().is_empty());
    assert_eq!(measure.version(), 0);
}

#[test]
fn an_idle_clock_advances_after_the_timeout_and_a_replay_never_does() {
    let delta = ScoringSpec::defaults(Profile::Default, Counters::Delta);
    let mut idle = Measure::new(Millis(0), None);
    let reports = [report(1, 1_000, 60_000, 1, 1)];
    idle.reported(Millis(500), 0, &reports[0], &delta);
    look(&mut idle, 60_500, &delta, &reports);
    assert_eq!(idle.clock(), Some(Millis(1_000)));
    look(&mut idle, 61_500, &delta, &reports);
    assert_eq!(idle.clock(), Some(Millis(2_000)));
    assert_eq!(idle.newest_event(), Some(Millis(1_000)));
    let mut replay = Measure::new(Millis(0), None);
    round(&mut replay, 500, &reports);
    look(&mut replay, 500 + 10 * HOUR, &scoring(), &reports);
    assert_eq!(replay.clock(), Some(Millis(1_000)));
}

#[test]
fn the_old_formula_needs_no_round_to_know_its_market() {
    let mut measure = Measure::new(Millis(0), Some(Millis(5)));
    let spark = ScoringSpec::defaults(Profile::SparkCompat, Counters::Delta);
    look(&mut measure, 0, &spark, &[]);
    assert!(measure.is_known());
}

#[test]
fn after_a_restart_versions_and_window_end_continue() {
    let mut measure = Measure::new(Millis(0), Some(Millis(5)));
    let mut known = report(9, 5, 7 * HOUR, 1_000_000, 100);
    known.confirmed = Some(Confirmed {
        position: 9,
        window_end_ms: 7 * HOUR,
        market_version: 41,
        sequence: 3,
    });
    measure.reported(Millis(0), 0, &known, &scoring());
    assert_eq!(measure.window_end(&scoring()), Some(Millis(7 * HOUR)));
    assert!(
        !measure.is_known(),
        "the version is known, its market is not"
    );
    look(&mut measure, 0, &scoring(), &[known]);
    assert!(measure.is_known());
    assert_eq!(measure.version(), 42);
}

#[test]
fn a_restarted_master_gives_out_no_version_twice_and_resumes_with_the_market_it_knows() {
    let mut before = Measure::new(Millis(10), None);
    let first = report(9, 5, 7 * HOUR, 1_000_000, 100);
    round(&mut before, 10, &[first]);
    let head = Manifest {
        market_version: before.version(),
        market: before.market_wire(),
        clock_ms: before.clock().map(|c| c.0),
        ..Manifest::default()
    };
    // Given out, and in no manifest.
    let second = report(10, 5, 7 * HOUR, 2_000_000, 100);
    round(&mut before, 11, &[second]);
    assert!(before.version() > head.market_version);
    let mut after = Measure::new(Millis(12), before.clock());
    assert!(!after.is_known(), "executors may know a market");
    after.resume(&head);
    assert!(after.is_known() && after.version() > before.version());
    assert_eq!(after.market_wire(), head.market);
    assert_eq!(after.clock(), before.clock());
}

proptest! {
    #[test]
    fn neither_clock_nor_version_ever_goes_back(
        steps in prop::collection::vec(
            (0u64..200_000, 0u32..3, 0u64..20, 0u64..10 * HOUR, 0u64..2_000_000), 1..60
        ),
        idle in any::<bool>(),
    ) {
        let counters = if idle { Counters::Delta } else { Counters::Cumulative };
        let scoring = ScoringSpec::defaults(Profile::Default, counters);
        let mut measure = Measure::new(Millis(0), None);
        let mut reports: BTreeMap<u32, PartitionReport> = BTreeMap::new();
        let (mut now, mut last) = (0, (None, 0, None));
        for (wait, ordinal, position, clock, sum) in steps {
            now += wait;
            let end = measure.window_end(&scoring).unwrap_or(window_end(Millis(clock), scoring.slide));
            let new = report(position, clock, end.0, sum, 100);
            measure.reported(Millis(now), ordinal, &new, &scoring);
            reports.insert(ordinal, new);
            let round = (0..3).map(|ordinal| (ordinal, reports.get(&ordinal))).collect();
            measure.advance(Millis(now), &scoring, &round);
            let state = (measure.clock(), measure.version(), measure.newest_event());
            prop_assert!(state.0 >= last.0 && state.1 >= last.1 && state.2 >= last.2);
            prop_assert!(measure.clock() >= measure.newest_event());
            last = state;
        }
    }
}

#[test]
fn a_round_is_complete_with_those_that_are_unchanged() {
    let mut measure = Measure::new(Millis(0), None);
    let mut reports = [report(1, 1, HOUR, 100_000, 10), report(1, 2, HOUR, 0, 10)];
    round(&mut measure, 0, &reports);
    let before = tiktok(&measure);
    reports[0] = report(2, 3, HOUR, 900_000, 10);
    measure.reported(Millis(1), 0, &reports[0], &scoring());
    look(&mut measure, 1, &scoring(), &reports);
    assert_eq!(tiktok(&measure), before, "the other one may be older");
    measure.unchanged(1);
    look(&mut measure, 1, &scoring(), &reports);
    assert_ne!(tiktok(&measure), before);
}
