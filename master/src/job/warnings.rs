//! What a person should know about a job's input although the job runs as specified.

use kol_common::event::{Lack, Reject};
use kol_common::job::{Counters, JobSpec, ScoringSpec};
use kol_common::proto::{PartitionCounters, PartitionReport};
use kol_common::{Millis, SourcePartition};

use super::cuts::Cut;
use super::overlap::Overlap;
use super::record::PartitionRecord;

/// How much two looks at clocks may differ that do not happen at one moment.
const SLACK: Millis = Millis(60_000);

/// Warnings from the reports of all partitions, their summed counters, and their samples.
pub fn warnings<'a>(
    spec: &JobSpec,
    totals: &PartitionCounters,
    overlap: &Overlap,
    reports: impl Iterator<Item = &'a PartitionReport>,
) -> Vec<String> {
    let mut all = vec![lost(totals), new_logs(totals), ahead(spec, totals)];
    if spec.scoring.counters == Counters::Cumulative {
        let gaps = reports.filter_map(|r| r.median_gap_ms).collect();
        all.extend([keys(overlap), spacing(gaps, &spec.scoring)]);
    }
    all.into_iter().flatten().chain(lacking(totals)).collect()
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
    let range = |cut: &Cut| {
        let range = format!("{} to {}", cut.from, cut.to.saturating_sub(1));
        let differs = |at| format!("{range} (not all of them; {at} is another record now)");
        cut.differs.map_or(range.clone(), differs)
    };
    let ranges: Vec<_> = newest.iter().map(range).collect();
    let became = if newest.last()?.repaired {
        "the job went back before that, and its rankings are those of the log as it is now"
    } else {
        "no checkpoint is kept that is known to be from before that, so their effect stays in the rankings; `rewind` reads \
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

/// Events that were rejected because they are ahead of the present, with the last one.
fn ahead(spec: &JobSpec, totals: &PartitionCounters) -> Option<String> {
    let count = *totals.rejected.get(Reject::Ahead.as_str())?;
    let last = totals.last_ahead.as_ref().map(|last| {
        let place = last.partition.clone().map(SourcePartition::from);
        let place = place.map_or_else(|| "an unknown partition".to_owned(), |p| p.to_string());
        // Quoted with escapes: others wrote these.
        let key = match &last.key {
            Some(key) => format!("record key {key:?}"),
            None => "no record key".to_owned(),
        };
        format!(
            "; the last one, of creator {:?} on {:?} with {key}, is at offset {} of {place} and says {} when it \
             was {}",
            last.kol,
            last.platform,
            last.offset,
            Millis(last.event_ms).iso(),
            Millis(last.present_ms).iso(),
        )
    });
    Some(format!(
        "{count} events were rejected as `ahead`: they lie more than source.max_ahead ({}) ahead of the \
         present{}; set the clock of their producer",
        spec.source.max_ahead(),
        last.unwrap_or_default(),
    ))
}

/// A job clock that lies ahead of the newest wall clock comes from a state of before such events were
/// rejected, or from a host whose clock was wrong: every other event is late by it.
pub(crate) fn clock_ahead(
    spec: &JobSpec,
    clock: Option<Millis>,
    present: Millis,
) -> Option<String> {
    let bound = Millis(present.0.saturating_add(spec.source.max_ahead().0) + SLACK.0);
    let clock = clock.filter(|clock| *clock > bound)?;
    Some(format!(
        "the job clock is at {}, {} ahead of the present: events that lie so far ahead were believed, and \
         creators without such events have left the rankings; once all clocks are right, `kol-client rewind {} \
         --to-earliest` repairs it",
        clock.iso(),
        Millis(clock.since(present).0 / 1_000 * 1_000),
        spec.name,
    ))
}

fn keys(overlap: &Overlap) -> Option<String> {
    let (video, one, other) = overlap.example.as_ref().filter(|_| overlap.is_much())?;
    let Overlap {
        compared, split, ..
    } = overlap;
    Some(format!(
        "gains are wrong: readings of one video come through several partitions and are counted more than \
         once ({split} of {compared} videos that were compared, e.g. {video} through {one} and {other}): \
         key the producers by username or video_id, or have the job do it: rekey = true in [source], submitted \
         with --replace --discard-state"
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
fn spacing(mut gaps: Vec<u64>, scoring: &ScoringSpec) -> Option<String> {
    let (window, slide) = (scoring.window, scoring.slide);
    gaps.sort_unstable();
    let median = Millis(*gaps.get(gaps.len() / 2)?);
    (median > window).then(|| {
        // A whole number of slides makes a window.
        let fits = Millis(median.0.next_multiple_of(slide.0.max(1)));
        format!(
            "half of the readings of a video are further apart (about {fits}) than the window \
             ({window}): gains are spread thin; set [scoring] window to {fits} or more"
        )
    })
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{self, AheadEvent};

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
    fn events_ahead_of_the_present_are_called_out_with_the_last_one() {
        let last = AheadEvent {
            partition: Some((&SourcePartition::new("t", 3)).into()),
            offset: 55,
            platform: "tiktok".into(),
            kol: "a\u{1b}[2J".into(),
            key: Some("k".into()),
            event_ms: 4_102_444_800_000,
            present_ms: 1_795_669_200_000,
        };
        let totals = PartitionCounters {
            rejected: [("ahead".to_owned(), 12)].into(),
            last_ahead: Some(last),
            ..PartitionCounters::default()
        };
        let warned = warnings(&spec("a"), &totals, &Overlap::default(), [].into_iter());
        let text = &warned[0];
        for part in [
            "12 events were rejected as `ahead`",
            "source.max_ahead (10m)",
            "creator \"a\\u{1b}[2J\" on \"tiktok\" with record key \"k\"",
            "offset 55 of t/3",
            "2100-01-01T00:00:00.000Z",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_job_clock_ahead_of_all_wall_clocks_is_called_out_with_the_repair() {
        let present = Millis(1_795_669_200_000);
        let of = |clock| clock_ahead(&spec("a"), clock, present);
        assert_eq!(of(None), None);
        assert_eq!(of(Some(Millis(present.0 + 660_000))), None);
        let text = of(Some(Millis(4_102_444_800_000))).unwrap();
        assert!(text.contains("kol-client rewind a --to-earliest"), "{text}");
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
        let odd = [gap(100_663_296)];
        let warned = warnings(&spec("a"), &nothing, &Overlap::default(), odd.iter());
        let whole = "(about 1day 4h) than the window (1day): gains are spread thin; set [scoring] window to 1day 4h or more";
        assert!(warned[0].contains(whole), "{warned:?}");
        let fine = [gap(day)];
        assert!(warnings(&spec("a"), &nothing, &Overlap::default(), fine.iter()).is_empty());
    }
}
