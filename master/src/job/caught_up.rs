//! When a job has nothing left to do: a pure function of its clock, market and reports.

use kol_common::Millis;
use kol_common::job::{Profile, ScoringSpec};
use kol_common::proto::PartitionReport;

use super::measure::{Measure, Round, exact_market};

/// Whether everything up to the known end of every log is read, and Redis has confirmed all of it at
/// the final window end and market.
///
/// 1. Every partition has a report of its current assignment, and its log's end is known.
/// 2. Every position is at that end or past it.
/// 3. Every partition scores at the job's window end, and Redis confirmed its position at that
///    window end and with the market version in use.
/// 4. The market in use is the exact one of these reports.
///
/// A job that never saw an event has neither window end nor market: reading to the end is all.
pub fn caught_up(measure: &Measure, scoring: &ScoringSpec, round: &Round<'_>) -> bool {
    if round.is_empty() || !round.values().all(|r| r.is_some_and(read_to_the_end)) {
        return false;
    }
    let Some(t) = measure.window_end(scoring) else {
        return true;
    };
    let confirmed = |r: &PartitionReport| confirmed_at(r, t, measure.version());
    if !round.values().all(|r| r.is_some_and(confirmed)) {
        return false;
    }
    scoring.profile == Profile::SparkCompat
        || exact_market(Some(t), scoring.profile, round).as_ref() == Some(measure.market())
}

fn read_to_the_end(report: &PartitionReport) -> bool {
    report.end_offset.is_some_and(|end| report.position >= end)
}

fn confirmed_at(report: &PartitionReport, t: Millis, version: u64) -> bool {
    report.window_end_ms == Some(t.0)
        && report.confirmed.as_ref().is_some_and(|c| {
            c.position == report.position && c.window_end_ms == t.0 && c.market_version == version
        })
}

/// The master's time when the oldest of the known log ends was queried; `None` while one is not known.
/// `received` gives the time at which a partition's report came in, by ordinal.
pub fn ends_probed(round: &Round<'_>, received: impl Fn(u32) -> Option<Millis>) -> Option<Millis> {
    let probed = |(ordinal, report): (&u32, &Option<&PartitionReport>)| {
        let report = (*report)?;
        report.end_offset?;
        received(*ordinal).map(|at| at.since(Millis(report.end_age_ms)))
    };
    let all: Option<Vec<Millis>> = round.iter().map(probed).collect();
    all?.into_iter().min()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kol_common::job::Counters;
    use kol_common::proto::{Confirmed, MarketPartial, PartitionState};

    use super::*;

    const T: u64 = 10 * 3_600_000;

    fn scoring() -> ScoringSpec {
        ScoringSpec::defaults(Profile::Default, Counters::Cumulative)
    }

    fn done(version: u64) -> PartitionReport {
        PartitionReport {
            state: PartitionState::Running as i32,
            position: 7,
            end_offset: Some(7),
            end_age_ms: 100,
            clock_ms: Some(T - 1),
            window_end_ms: Some(T),
            market: vec![MarketPartial {
                platform: "tiktok".into(),
                velocity_sum_e4: 20_000,
                slots: 2,
                ..MarketPartial::default()
            }],
            confirmed: Some(Confirmed {
                position: 7,
                window_end_ms: T,
                market_version: version,
                sequence: 1,
            }),
            ..PartitionReport::default()
        }
    }

    /// A job of one partition that has settled on its market.
    fn settled() -> (Measure, PartitionReport) {
        let mut measure = Measure::new(Millis(0), None);
        let report = done(1);
        measure.reported(Millis(0), 0, &done(0), &scoring());
        measure.advance(Millis(0), &scoring(), &BTreeMap::from([(0, Some(&report))]));
        (measure, report)
    }

    #[test]
    fn a_job_is_caught_up_when_all_is_read_and_confirmed() {
        let (measure, report) = settled();
        assert_eq!(measure.version(), 1);
        assert!(caught_up(
            &measure,
            &scoring(),
            &BTreeMap::from([(0, Some(&report))])
        ));
    }

    #[test]
    fn each_missing_condition_alone_keeps_a_job_from_being_caught_up() {
        type Break = fn(&mut PartitionReport);
        let breaks: [Break; 7] = [
            |r| r.end_offset = None,
            |r| r.end_offset = Some(8),
            |r| r.window_end_ms = Some(T - 3_600_000),
            |r| r.confirmed = None,
            |r| r.confirmed.as_mut().unwrap().position = 6,
            |r| r.confirmed.as_mut().unwrap().market_version = 0,
            |r| r.market[0].velocity_sum_e4 = 20_300,
        ];
        let (measure, report) = settled();
        for (index, make) in breaks.iter().enumerate() {
            let mut broken = report.clone();
            make(&mut broken);
            let round = BTreeMap::from([(0, Some(&broken))]);
            assert!(
                !caught_up(&measure, &scoring(), &round),
                "condition {index}"
            );
        }
        let absent = BTreeMap::from([(0, Some(&report)), (1, None)]);
        assert!(!caught_up(&measure, &scoring(), &absent));
        assert!(!caught_up(&measure, &scoring(), &BTreeMap::new()));
    }

    #[test]
    fn a_job_over_empty_logs_is_caught_up_once_their_ends_are_known() {
        let measure = Measure::new(Millis(0), None);
        let empty = PartitionReport {
            end_offset: Some(0),
            ..PartitionReport::default()
        };
        assert!(caught_up(
            &measure,
            &scoring(),
            &BTreeMap::from([(0, Some(&empty))])
        ));
    }

    #[test]
    fn the_oldest_probe_counts_and_an_unknown_one_makes_it_unknown() {
        let report = done(1);
        let round = BTreeMap::from([(0, Some(&report)), (1, Some(&report))]);
        let at = |ordinal| Some(Millis(1_000 + u64::from(ordinal) * 500));
        assert_eq!(ends_probed(&round, at), Some(Millis(900)));
        let absent = BTreeMap::from([(0, Some(&report)), (1, None)]);
        assert_eq!(ends_probed(&absent, at), None);
    }
}
