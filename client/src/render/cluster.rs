//! Executors, and the partitions of a job with their owners.

use kol_common::proto::{ExecutorStatus, PartitionStatus};
use kol_common::view::{executor_word, partition_state};

use super::{Table, age, bytes, grouped};

/// One line an executor, in the given order.
pub fn executors(executors: &[ExecutorStatus]) -> String {
    if executors.is_empty() {
        return "No executors: start one with kol-executor --master URL.\n".into();
    }
    let mut table = Table::new(&[
        "EXECUTOR",
        "HOST",
        "STATE",
        "PARTITIONS",
        "CORES",
        "MEMORY",
        "HEARTBEAT",
        "HTTP",
    ]);
    for e in executors {
        table.row([
            e.executor_id.clone(),
            e.host.clone(),
            executor_word(e).to_owned(),
            e.partitions.to_string(),
            e.cores.to_string(),
            format!("{} of {}", bytes(e.rss_bytes), bytes(e.memory_bytes)),
            format!("{} ago", age(e.heartbeat_age_ms)),
            format!("http://{}", e.http),
        ]);
    }
    table.render()
}

/// One line a partition, as its owner reports it.
pub fn partitions(partitions: &[PartitionStatus]) -> String {
    let mut table = Table::new(&[
        "TOPIC",
        "PARTITION",
        "STATE",
        "POSITION",
        "LAG",
        "EVENTS",
        "KOLS",
        "EXECUTOR",
    ]);
    for p in partitions {
        let place = p.partition.clone().unwrap_or_default();
        let report = p.report.clone().unwrap_or_default();
        let lag = report.end_offset.map_or_else(
            || "unknown".to_owned(),
            |end| grouped(end.saturating_sub(report.position)),
        );
        table.row([
            place.topic,
            place.partition.to_string(),
            partition_state(report.state()).to_owned(),
            grouped(report.position),
            lag,
            grouped(report.counters.as_ref().map_or(0, |c| c.events)),
            grouped(report.kols),
            if p.executor_id.is_empty() {
                "none".to_owned()
            } else {
                p.executor_id.clone()
            },
        ]);
    }
    table.render()
}
