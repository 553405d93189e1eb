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
