//! What a person should know about a job's input although the job runs as specified.

use kol_common::event::{Lack, Reject};
use kol_common::job::{Counters, JobSpec};
use kol_common::proto::{PartitionCounters, PartitionReport};
use kol_common::{Millis, SourcePartition};

use super::overlap::Overlap;

/// Warnings from the reports of all partitions, their summed counters, and their samples.
pub fn warnings<'a>(
    spec: &JobSpec,
    totals: &PartitionCounters,
    overlap: &Overlap,
    reports: impl Iterator<Item = &'a PartitionReport>,
) -> Vec<String> {
    let mut all = vec![lost(totals), new_logs(totals)];
    if spec.scoring.counters == Counters::Cumulative {
        let gaps = reports.filter_map(|r| r.median_gap_ms).collect();
        all.extend([keys(overlap), spacing(gaps, spec.scoring.window)]);
    }
    all.into_iter().flatten().chain(lacking(totals)).collect()
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

fn keys(overlap: &Overlap) -> Option<String> {
    let (video, one, other) = overlap.example.as_ref().filter(|_| overlap.is_much())?;
    let Overlap {
        compared, split, ..
    } = overlap;
    Some(format!(
        "gains are wrong: readings of one video come through several partitions and are counted more than \
         once ({split} of {compared} videos that were compared, e.g. {video} through {one} and {other}): \
         key the producers by username or video_id"
    ))
}

/// From one in a hundred of the newest events on.
fn lacking(totals: &PartitionCounters) -> impl Iterator<Item = String> {
    let many = totals.lacks.iter();
    let many = many.filter(|(_, lack)| lack.count > 0 && lack.count * 100 >= totals.recent);
    many.map(|(reason, lack)| {
        let percent = 100.0 * lack.count as f64 / totals.recent.max(1) as f64;
        let of = format!("{percent:.1} % of the newest records");
        let partition = lack.partition.as_ref();
        let partition = partition.map(|p| SourcePartition::new(&p.topic, p.partition).to_string());
        let example = format!("{} offset {}", partition.unwrap_or_default(), lack.offset);
        let known = Lack::ALL.into_iter().find(|lack| lack.as_str() == reason);
        if let Some(lack) = known {
            return format!("{of} {}, e.g. {example}; {}", lack.what(), lack.help());
        }
        let help = Reject::help_of(reason);
        let help = if help.is_empty() {
            "see kol-client peek"
        } else {
            help
        };
        format!("{of} cannot be used ({reason}), e.g. {example}; {help}")
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
    use kol_common::proto;

    use super::*;
    use crate::testing::spec;

    fn of(spec: &JobSpec, totals: &PartitionCounters, overlap: &Overlap) -> Vec<String> {
        warnings(spec, totals, overlap, [].into_iter())
    }

    #[test]
    fn videos_in_several_partitions_are_called_out_with_an_example_from_one_in_a_hundred_on() {
        let partitions = [0, 3].map(|number| SourcePartition::new("t", number));
        let [one, other] = partitions;
        let overlap = |split| Overlap {
            compared: 200,
            split,
            example: Some(("video 7 of tiktok/mia".into(), one.clone(), other.clone())),
        };
        let nothing = PartitionCounters::default();
        assert!(of(&spec("a"), &nothing, &overlap(1)).is_empty());
        let loud = of(&spec("a"), &nothing, &overlap(2)).join("\n");
        assert!(loud.contains("gains are wrong"), "{loud}");
        assert!(
            loud.contains("video 7 of tiktok/mia through t/0 and t/3"),
            "{loud}"
        );
        let mut delta = spec("a");
        delta.scoring.counters = Counters::Delta;
        assert!(of(&delta, &nothing, &overlap(200)).is_empty());
    }

    #[test]
    fn what_records_lack_is_called_out_with_example_and_remedy_from_one_in_a_hundred_on() {
        let lack = |count| proto::Lack {
            count,
            offset: 17,
            partition: Some((&SourcePartition::new("t", 3)).into()),
        };
        let totals = PartitionCounters {
            recent: 1_000,
            lacks: [
                ("no_username".to_owned(), lack(10)),
                ("event_time_unreadable".to_owned(), lack(1_000)),
                ("no_counters".to_owned(), lack(9)),
                ("tombstone".to_owned(), lack(500)),
            ]
            .into(),
            ..PartitionCounters::default()
        };
        let warned = of(&spec("a"), &totals, &Overlap::default()).join("\n");
        assert!(warned.contains("1.0 % of the newest records cannot be used (no_username), e.g. t/3 offset 17; name the field of the creator: [source.fields] username"), "{warned}");
        assert!(
            warned.contains("100.0 % of the newest records have an event_time that cannot be read"),
            "{warned}"
        );
        assert!(
            warned.contains("50.0 % of the newest records cannot be used (tombstone)"),
            "{warned}"
        );
        assert!(!warned.contains("no counter"), "{warned}");
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
        let warned = of(&delta, &totals, &Overlap::default());
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
        let nothing = PartitionCounters::default();
        let reports = [gap(day + 1), gap(day * 2), gap(1)];
        let warned = warnings(&spec("a"), &nothing, &Overlap::default(), reports.iter());
        assert!(warned[0].contains("further apart"), "{warned:?}");
        let fine = [gap(day)];
        assert!(warnings(&spec("a"), &nothing, &Overlap::default(), fine.iter()).is_empty());
    }
}
