//! The executor's metrics: counted locally by each partition, published here in batches.

use kol_common::proto::PartitionReport;
use metrics::{counter, gauge};

use crate::memory::Memory;

/// Publishes the newest reports, and the processor time used so far.
pub fn publish(reports: &[PartitionReport], memory: &Memory, cpu_ms: u64) {
    gauge!("kol_executor_resident_bytes").set(memory.resident() as f64);
    gauge!("kol_executor_memory_limit_bytes").set(memory.limit() as f64);
    gauge!("kol_executor_partitions").set(reports.len() as f64);
    counter!("kol_executor_cpu_milliseconds_total").absolute(cpu_ms);
    for report in reports {
        partition(report);
    }
}

fn partition(report: &PartitionReport) {
    let Some(p) = &report.partition else {
        return;
    };
    let labels = [
        ("job", report.job_id.clone()),
        ("topic", p.topic.clone()),
        ("partition", p.partition.to_string()),
    ];
    let counted = report.counters.clone().unwrap_or_default();
    for (name, value) in [
        ("kol_partition_events_total", counted.events),
        ("kol_partition_bytes_total", counted.bytes),
        ("kol_partition_late_total", counted.late),
        ("kol_partition_unusable_total", counted.dead_letter),
        (
            "kol_partition_dead_letters_total",
            counted.dead_letters_written,
        ),
        ("kol_partition_lost_total", counted.lost),
        ("kol_partition_merges_total", counted.merges),
    ] {
        counter!(name, &labels).absolute(value);
    }
    for (reason, count) in counted.rejected {
        let [job, topic, partition] = labels.clone();
        let labels = [job, topic, partition, ("reason", reason)];
        counter!("kol_rejected_total", &labels).absolute(count);
    }
    let lag = report
        .end_offset
        .map(|end| end.saturating_sub(report.position));
    for (name, value) in [
        ("kol_partition_lag_records", lag),
        (
            "kol_partition_staleness_milliseconds",
            Some(report.staleness_ms),
        ),
        ("kol_partition_kols", Some(report.kols)),
        ("kol_partition_entities", Some(report.entities)),
        ("kol_partition_state_bytes", Some(report.state_bytes)),
        ("kol_partition_clock_milliseconds", report.clock_ms),
    ] {
        if let Some(value) = value {
            gauge!(name, &labels).set(value as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use kol_common::SourcePartition;
    use kol_common::proto::PartitionCounters;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn rejected_records_are_counted_by_their_reason() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = recorder.handle();
        let counted = PartitionCounters {
            dead_letter: 5,
            rejected: [("ahead".to_owned(), 3), ("not_json".to_owned(), 2)].into(),
            ..PartitionCounters::default()
        };
        let report = PartitionReport {
            job_id: "job_1".into(),
            partition: Some((&SourcePartition::new("t", 7)).into()),
            counters: Some(counted),
            ..PartitionReport::default()
        };
        metrics::with_local_recorder(&recorder, || partition(&report));
        let text = page.render();
        for (reason, count) in [("ahead", 3), ("not_json", 2)] {
            let labels = format!("job=\"job_1\",topic=\"t\",partition=\"7\",reason=\"{reason}\"");
            let line = format!("kol_rejected_total{{{labels}}} {count}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
