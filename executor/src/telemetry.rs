//! The executor's metrics, for Prometheus: `kol_executor_*` and `kol_partition_*`. docs/operations/metrics.md lists them.

use std::borrow::Borrow;

use kol_common::metrics::{Family, Page};
use kol_common::proto::PartitionReport;

use crate::alerts;
use crate::memory::Memory;
use crate::partition::EVENT_TO_REDIS;
use crate::sink::REDIS_ERRORS;

kol_common::families! {
    RESIDENT gauge "kol_executor_resident_bytes" "Memory that the process has.";
    LIMIT gauge "kol_executor_memory_limit_bytes" "Memory that the process may have.";
    PARTITIONS gauge "kol_executor_partitions" "Partitions that the executor has.";
    CPU counter "kol_executor_cpu_seconds_total" "Processor time that the process has used.";
    EVENTS counter "kol_partition_events_total" "Events that were read.";
    BYTES counter "kol_partition_bytes_total" "Bytes of the values of records that were read.";
    LATE counter "kol_partition_late_total" "Events that came after their window was over.";
    UNUSABLE counter "kol_partition_unusable_total" "Records and events that could not be used.";
    LETTERS counter "kol_partition_dead_letters_total" "Dead letters that Kafka has confirmed.";
    LOST counter "kol_partition_lost_total" "Records that were deleted before they could be read.";
    MERGES counter "kol_partition_merges_total" "Merges of creators that Redis has confirmed.";
    REJECTED counter "kol_rejected_total" "Records and events that could not be used or were late, by their reason.";
    LAG gauge "kol_partition_lag_records" "Records that are not read yet; no series while that is not known.";
    STALENESS gauge "kol_partition_staleness_seconds" "Age of the oldest change that was read and that Redis does not have.";
    KOLS gauge "kol_partition_kols" "Creators in the state.";
    ENTITIES gauge "kol_partition_entities" "Videos and profiles in the state.";
    STATE gauge "kol_partition_state_bytes" "Memory that the state takes.";
    CLOCK gauge "kol_partition_last_event_timestamp_seconds" "Event time of the newest event.";
}

/// What this process measures.
pub const MEASURED: [Family; 7] = [
    EVENT_TO_REDIS,
    REDIS_ERRORS,
    alerts::COUNTED[0],
    alerts::COUNTED[1],
    alerts::COUNTED[2],
    alerts::COUNTED[3],
    alerts::COUNTED[4],
];

/// The page of an executor with these partitions, and the processor time that it has used so far.
pub fn page(reports: &[impl Borrow<PartitionReport>], memory: &Memory, cpu_ms: u64) -> String {
    let reports: Vec<&PartitionReport> = reports.iter().map(Borrow::borrow).collect();
    let mut page = Page::new(env!("CARGO_PKG_VERSION"));
    for (family, value) in [
        (&RESIDENT, memory.resident() as f64),
        (&LIMIT, memory.limit() as f64),
        (&PARTITIONS, reports.len() as f64),
        (&CPU, seconds(cpu_ms)),
    ] {
        page.add(family, &[], value);
    }
    for (at, report) in reports.iter().enumerate() {
        // A job that takes the place of another of its name, and has the partition already, comes later.
        let same = |other: &PartitionReport| {
            (&other.job_name, &other.partition) == (&report.job_name, &report.partition)
        };
        if !reports[at + 1..].iter().any(|other| same(other)) {
            partition(&mut page, report);
        }
    }
    page.render()
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn partition(page: &mut Page, report: &PartitionReport) {
    let Some(p) = &report.partition else {
        return;
    };
    let number = p.partition.to_string();
    let labels = [
        ("job_name", report.job_name.as_str()),
        ("topic", p.topic.as_str()),
        ("partition", number.as_str()),
    ];
    let counted = report.counters.clone().unwrap_or_default();
    for (family, value) in [
        (&EVENTS, counted.events),
        (&BYTES, counted.bytes),
        (&LATE, counted.late),
        (&UNUSABLE, counted.dead_letter),
        (&LETTERS, counted.dead_letters_written),
        (&LOST, counted.lost),
        (&MERGES, counted.merges),
        (&KOLS, report.kols),
        (&ENTITIES, report.entities),
        (&STATE, report.state_bytes),
    ] {
        page.add(family, &labels, value as f64);
    }
    for (reason, count) in &counted.rejected {
        let [job, topic, partition] = labels;
        let labels = [job, topic, partition, ("reason", reason)];
        page.add(&REJECTED, &labels, *count as f64);
    }
    let lag = report
        .end_offset
        .map(|end| end.saturating_sub(report.position));
    for (family, value) in [
        (&LAG, lag.map(|records| records as f64)),
        (&STALENESS, Some(seconds(report.staleness_ms))),
        (&CLOCK, report.clock_ms.map(seconds)),
    ] {
        if let Some(value) = value {
            page.add(family, &labels, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use kol_common::SourcePartition;
    use kol_common::proto::PartitionCounters;

    use super::*;

    fn report(job: &str, name: &str, number: u32, position: u64) -> PartitionReport {
        PartitionReport {
            job_id: job.into(),
            job_name: name.into(),
            partition: Some((&SourcePartition::new("t", number)).into()),
            position,
            end_offset: Some(100),
            ..PartitionReport::default()
        }
    }

    fn lags(reports: &[PartitionReport]) -> Vec<String> {
        let text = page(reports, &Memory::new(1 << 30), 1_500);
        assert!(text.contains("kol_executor_cpu_seconds_total 1.5\n"));
        let lines = text.lines();
        let lines = lines.filter(|line| line.starts_with("kol_partition_lag_records"));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn a_partition_that_is_given_back_has_no_series_any_more() {
        let lag = |number: u32, lag: u64| {
            let name = "kol_partition_lag_records";
            format!("{name}{{job_name=\"a\",topic=\"t\",partition=\"{number}\"}} {lag}")
        };
        let all = [report("job_1", "a", 0, 30), report("job_1", "a", 1, 40)];
        let mut shown = lags(&all);
        shown.sort();
        assert_eq!(shown, [lag(0, 70), lag(1, 60)]);
        assert_eq!(lags(&all[1..]), [lag(1, 60)]);
        assert_eq!(lags(&[]), [""; 0]);
    }

    #[test]
    fn of_two_jobs_of_one_name_the_newer_one_is_shown() {
        let both = [report("job_1", "a", 0, 30), report("job_2", "a", 0, 90)];
        let shown = lags(&both);
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].ends_with(" 10"), "{shown:?}");
    }

    #[test]
    fn a_lag_that_is_not_known_is_no_series() {
        let unknown = PartitionReport {
            end_offset: None,
            ..report("job_1", "a", 0, 30)
        };
        assert_eq!(lags(&[unknown]), [""; 0]);
    }

    #[test]
    fn rejected_records_are_counted_by_their_reason() {
        let mut counted = report("job_1", "kol", 7, 0);
        counted.counters = Some(PartitionCounters {
            dead_letter: 5,
            rejected: [("ahead".to_owned(), 3), ("not_json".to_owned(), 2)].into(),
            ..PartitionCounters::default()
        });
        let text = page(&[counted], &Memory::new(1 << 30), 0);
        for (reason, count) in [("ahead", 3), ("not_json", 2)] {
            let labels =
                format!("job_name=\"kol\",topic=\"t\",partition=\"7\",reason=\"{reason}\"");
            let line = format!("kol_rejected_total{{{labels}}} {count}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
