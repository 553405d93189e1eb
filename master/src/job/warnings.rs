//! What a person should know about a job's input although the job runs as specified.

use kol_common::Millis;
use kol_common::job::{Counters, JobSpec};
use kol_common::proto::{PartitionCounters, PartitionReport};

use super::cuts::Cut;
use super::record::PartitionRecord;

/// Keys that must have been compared before their share says anything.
const ENOUGH_KEYS: u64 = 100;

/// Warnings from the reports of all partitions and their summed counters.
pub fn warnings<'a>(
    spec: &JobSpec,
    totals: &PartitionCounters,
    reports: impl Iterator<Item = &'a PartitionReport>,
) -> Vec<String> {
    let mut all = vec![lost(totals), new_logs(totals)];
    if spec.scoring.counters == Counters::Cumulative {
        let gaps = reports.filter_map(|r| r.median_gap_ms).collect();
        all.extend([keys(totals), spacing(gaps, spec.scoring.window)]);
    }
    all.into_iter().flatten().collect()
}

/// Newest lost tails of one partition that are named.
const MOST_TAILS: usize = 3;

/// What Kafka lost of the logs after it had been read.
pub fn lost_tails<'a>(partitions: impl Iterator<Item = &'a PartitionRecord>) -> Vec<String> {
    partitions.filter_map(lost_tail).collect()
}

fn lost_tail(partition: &PartitionRecord) -> Option<String> {
    let cuts = partition.cuts.newest();
    let newest = &cuts[cuts.len().saturating_sub(MOST_TAILS)..];
    let range = |cut: &Cut| format!("{} to {}", cut.from, cut.to.saturating_sub(1));
    let ranges: Vec<_> = newest.iter().map(range).collect();
    let became = if newest.last()?.repaired {
        "the job went back before that, and its rankings are those of the log as it is now"
    } else {
        "no checkpoint from before that is kept, so their effect stays in the rankings; `rewind` reads \
         the log again from an earlier point"
    };
    Some(format!(
        "DATA_LOSS in {}: Kafka lost {} records that had been read, newest at offsets {}: {became}. See \
         unclean.leader.election.enable, acks and min.insync.replicas, and the logs of the brokers",
        partition.partition,
        partition.cuts.records(),
        ranges.join(", "),
    ))
}

fn lost(totals: &PartitionCounters) -> Option<String> {
    let lost = totals.lost;
    (lost > 0).then(|| {
        format!(
            "{lost} records were deleted from the log before they could be read: raise the retention of \
             the topic"
        )
    })
}

fn new_logs(totals: &PartitionCounters) -> Option<String> {
    let count = totals.new_logs;
    (count > 0).then(|| {
        format!(
            "partitions started over {count} times because their topic was recreated: what was read \
             of the old one is forgotten"
        )
    })
}

fn keys(totals: &PartitionCounters) -> Option<String> {
    let (checked, unmatched) = (totals.keys_checked, totals.keys_unmatched);
    let percent = 100.0 * unmatched as f64 / checked.max(1) as f64;
    (checked >= ENOUGH_KEYS && percent > 1.0).then(|| {
        format!(
            "gains are wrong: key the producers by username or video_id ({percent:.1} % of \
             {checked} record keys match neither, so readings of one video come through several \
             partitions and are counted more than once)"
        )
    })
}

/// The middle one of the partitions' medians stands for the job.
fn spacing(mut gaps: Vec<u64>, window: Millis) -> Option<String> {
    gaps.sort_unstable();
    let median = Millis(*gaps.get(gaps.len() / 2)?);
    (median > window).then(|| {
        format!(
            "half of the readings of a video are further apart ({median}) than the window \
             ({window}): gains are spread thin; set [scoring] window to {median} or more"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spec;

    fn totals(checked: u64, unmatched: u64) -> PartitionCounters {
        PartitionCounters {
            keys_checked: checked,
            keys_unmatched: unmatched,
            ..PartitionCounters::default()
        }
    }

    #[test]
    fn keys_that_match_neither_creator_nor_video_are_called_out_above_one_percent() {
        let of =
            |checked, unmatched| warnings(&spec("a"), &totals(checked, unmatched), [].into_iter());
        assert!(of(99, 99).is_empty());
        assert!(of(1_000, 10).is_empty());
        let loud = of(1_000, 990);
        assert!(
            loud[0].starts_with("gains are wrong: key the producers by username or video_id"),
            "{loud:?}"
        );
        assert!(loud[0].contains("99.0 %"), "{loud:?}");
        let mut delta = spec("a");
        delta.scoring.counters = Counters::Delta;
        assert!(warnings(&delta, &totals(1_000, 990), [].into_iter()).is_empty());
    }

    #[test]
    fn records_that_were_deleted_and_topics_that_were_recreated_are_called_out() {
        let totals = PartitionCounters {
            lost: 300,
            new_logs: 2,
            ..PartitionCounters::default()
        };
        let mut delta = spec("a");
        delta.scoring.counters = Counters::Delta;
        let warned = warnings(&delta, &totals, [].into_iter());
        assert!(warned[0].contains("300 records were deleted"), "{warned:?}");
        assert!(warned[1].contains("started over 2 times"), "{warned:?}");
    }

    #[test]
    fn a_window_shorter_than_the_median_gap_is_called_out() {
        let gap = |ms| PartitionReport {
            median_gap_ms: Some(ms),
            ..PartitionReport::default()
        };
        let day = 86_400_000;
        let reports = [gap(day + 1), gap(day * 2), gap(1)];
        let warned = warnings(&spec("a"), &totals(0, 0), reports.iter());
        assert!(warned[0].contains("further apart"), "{warned:?}");
        let fine = [gap(day)];
        assert!(warnings(&spec("a"), &totals(0, 0), fine.iter()).is_empty());
    }
}
