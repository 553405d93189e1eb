//! Whether an epoch would say the same of a partition as the last committed one: by what its owner reports.

use kol_common::proto::{AsOf, PartitionCheckpoint, PartitionReport};

/// Whether what a partition reports is in this part of an epoch, all of it. What Redis confirmed tells of the window end and of
/// the market measure; counters tell of records, of dead letters and of what was sent again.
pub fn is_unchanged(report: &PartitionReport, part: &PartitionCheckpoint) -> bool {
    let confirmed = report.confirmed.map(|c| AsOf {
        window_end_ms: c.window_end_ms,
        market_version: c.market_version,
    });
    report.assignment_epoch == part.assignment_epoch
        && report.position == part.offset
        && report.topic_id == part.topic_id
        && report.clock_ms == part.clock_ms
        && report.counters == part.counters
        && confirmed.is_some()
        && confirmed == part.confirmed_as_of
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{Confirmed, PartitionCounters};

    use super::*;

    fn both() -> (PartitionReport, PartitionCheckpoint) {
        let counters = Some(PartitionCounters {
            events: 7,
            ..PartitionCounters::default()
        });
        let report = PartitionReport {
            assignment_epoch: 3,
            position: 100,
            topic_id: vec![1; 16],
            clock_ms: Some(50_000),
            counters: counters.clone(),
            confirmed: Some(Confirmed {
                position: 100,
                window_end_ms: 60_000,
                market_version: 4,
                sequence: 9,
            }),
            ..PartitionReport::default()
        };
        let part = PartitionCheckpoint {
            assignment_epoch: 3,
            offset: 100,
            topic_id: vec![1; 16],
            clock_ms: Some(50_000),
            counters,
            confirmed_as_of: Some(AsOf {
                window_end_ms: 60_000,
                market_version: 4,
            }),
            ..PartitionCheckpoint::default()
        };
        (report, part)
    }

    #[test]
    fn whatever_differs_from_the_committed_part_is_a_change() {
        type Change = fn(&mut PartitionReport);
        let (report, part) = both();
        assert!(is_unchanged(&report, &part));
        let changes: [(&str, Change); 8] = [
            ("owner", |r| r.assignment_epoch += 1),
            ("record", |r| r.position += 1),
            ("log", |r| r.topic_id = vec![2; 16]),
            ("clock", |r| r.clock_ms = Some(50_001)),
            ("counter", |r| {
                r.counters.as_mut().unwrap().dead_letters_written += 1;
            }),
            ("window", |r| {
                r.confirmed.as_mut().unwrap().window_end_ms += 1
            }),
            ("market", |r| {
                r.confirmed.as_mut().unwrap().market_version += 1;
            }),
            ("nothing confirmed", |r| r.confirmed = None),
        ];
        for (what, change) in changes {
            let mut changed = report.clone();
            change(&mut changed);
            assert!(!is_unchanged(&changed, &part), "{what}");
        }
    }

    #[test]
    fn what_an_epoch_does_not_know_of_redis_is_a_change_once_it_is_known() {
        let (report, mut part) = both();
        part.confirmed_as_of = None;
        assert!(!is_unchanged(&report, &part));
        let silent = PartitionReport {
            confirmed: None,
            ..report
        };
        assert!(!is_unchanged(&silent, &part), "Redis has not confirmed it");
    }
}
