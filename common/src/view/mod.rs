//! What people and scripts read: the wire types as JSON, with the same names in the HTTP API and in
//! `kol-client -o json`.

mod clocks;
mod explanation;
mod missing;

use serde_json::{Map, Value, json};

pub use clocks::{Reading, disagreement};
pub use explanation::{Score, explanation_json};
pub use missing::{heard, missing};

use crate::event::Reject;
use crate::proto::{
    AheadEvent, ErrorInfo, ExecutorState, ExecutorStatus, JobState, JobStatus, Manifest,
    PartitionCheckpoint, PartitionReport, PartitionState, PartitionStatus, Placement,
    PlatformMarket, Savepoint, ScalingAdvice,
};

/// A job with its totals, problems and warnings.
pub fn job_json(job: &JobStatus) -> Value {
    let totals = job.totals.clone().unwrap_or_default();
    json!({
        "job_id": job.job_id,
        "name": job.name,
        "state": job_state(job.state()),
        "reason": job.reason,
        "generation": job.generation,
        "submitted_ms": job.submitted_ms,
        "origin": job.origin,
        "partitions": job.partition_count,
        "executors": job.executors,
        "lag_records": job.lag_records,
        "staleness_ms": job.staleness_ms,
        "events_total": totals.events,
        "late_total": totals.late,
        "dead_letter_total": totals.dead_letter,
        "dead_letters_written_total": totals.dead_letters_written,
        "rejected": totals.rejected,
        "lost_total": totals.lost,
        "truncated_total": totals.truncated,
        "merges_total": totals.merges,
        "repaired_total": totals.repaired,
        "caught_up": job.caught_up,
        "live": job.live,
        "clock_ms": job.clock_ms,
        "newest_event_ms": job.newest_event_ms,
        "window_end_ms": job.window_end_ms,
        "market": market(&job.market),
        "kols": job.kols,
        "state_bytes": job.state_bytes,
        "warnings": job.warnings,
        "problems": job.problems.iter().map(problem_json).collect::<Vec<_>>(),
        "checkpoint": job.checkpoint.as_ref().map(|c| json!({
            "epoch": c.epoch,
            "committed_ms": c.committed_ms,
            "took_ms": c.took_ms,
            "written_bytes": c.written_bytes,
            "committed_total": c.committed_count,
            "aborted_total": c.aborted_count,
            "failures": c.failures,
        })),
        "ends_probed_ms": job.ends_probed_ms,
        "now_ms": job.now_ms,
        "wall_ms": job.wall_ms,
        "ahead_total": totals.rejected.get(Reject::Ahead.as_str()).copied().unwrap_or_default(),
        "rekeying": job.rekeying.as_ref().map(|r| json!({
            "topic": r.topic,
            "topic_id": r.topic_id,
            "lag_records": r.lag_records,
        })),
        "scaling": job.scaling.as_ref().map(scaling_json),
        "last_ahead": totals.last_ahead.as_ref().map(ahead_json),
    })
}

/// A partition of a job. What only its owner knows is null while no owner has reported.
pub fn partition_json(partition: &PartitionStatus) -> Value {
    let unreported = || {
        let mut view = report_json(&PartitionReport::default());
        let values = view.as_object_mut().into_iter().flat_map(Map::values_mut);
        values.for_each(|value| *value = Value::Null);
        view
    };
    let mut view = partition
        .report
        .as_ref()
        .map_or_else(unreported, report_json);
    view["state"] = json!(partition_state(partition.state()));
    view["end_offset"] = json!(partition.end_offset);
    view["lag_records"] = json!(partition.lag_records);
    view["executor_id"] = json!(partition.executor_id);
    view["last_executor_id"] = json!(partition.last_executor_id);
    view["last_host"] = json!(partition.last_host);
    view["host"] = json!(partition.host);
    view["moving_to"] = json!(partition.moving_to);
    view["start_offset"] = json!(partition.start_offset);
    view["paused_ms"] = json!(partition.paused_ms);
    view["first_stage"] = json!(partition.first_stage);
    view["placement"] = json!(partition.placement.as_ref().map(placement_json));
    if let Some(p) = &partition.partition {
        view["topic"] = json!(p.topic);
        view["partition"] = json!(p.partition);
    }
    view
}

/// Why a partition is where it is.
fn placement_json(placement: &Placement) -> Value {
    json!({
        "since_ms": placement.since_ms,
        "cause": placement.cause,
        "why": placement.why,
        "load_ppm": placement.load_ppm,
        "executor_load_ppm": placement.executor_load_ppm,
        "alternative": placement.alternative,
        "alternative_load_ppm": placement.alternative_load_ppm,
        "moves_at_ppm": placement.moves_at_ppm,
        "moves_when": placement.moves_when,
        "events_per_second": placement.rates.map(|r| r.events),
        "bytes_per_second": placement.rates.map(|r| r.bytes),
    })
}

/// How far a partition has read; none while its state is being restored.
pub fn position(report: &PartitionReport) -> Option<u64> {
    let is_known = report.state() != PartitionState::Restoring;
    is_known.then_some(report.position)
}

/// A partition as its owner reports it.
pub fn report_json(report: &PartitionReport) -> Value {
    let partition = report.partition.clone().unwrap_or_default();
    let counters = report.counters.clone().unwrap_or_default();
    let position = position(report);
    json!({
        "job_id": report.job_id,
        "job_name": report.job_name,
        "topic": partition.topic,
        "partition": partition.partition,
        "assignment_epoch": report.assignment_epoch,
        "state": partition_state(report.state()),
        "position": position,
        "end_offset": report.end_offset,
        "lag_records": report.end_offset.zip(position).map(|(end, position)| end.saturating_sub(position)),
        "clock_ms": report.clock_ms,
        "window_end_ms": report.window_end_ms,
        "confirmed_position": report.confirmed.map(|c| c.position),
        "events_total": counters.events,
        "late_total": counters.late,
        "dead_letter_total": counters.dead_letter,
        "dead_letters_written_total": counters.dead_letters_written,
        "rejected": counters.rejected,
        "lost_total": counters.lost,
        "merges_total": counters.merges,
        "repaired_total": counters.repaired,
        "kols": report.kols,
        "entities": report.entities,
        "state_bytes": report.state_bytes,
        "median_gap_ms": report.median_gap_ms,
        "stall_ms": report.stall_ms,
        "staleness_ms": report.staleness_ms,
        "hottest": report.hottest.iter().map(|hot| json!({
            "platform": hot.platform,
            "kol": hot.kol,
            "permille": hot.permille,
        })).collect::<Vec<_>>(),
        "problem": report.problem.as_ref().map(problem_json),
    })
}

/// How many executors a job wants.
pub fn scaling_json(advice: &ScalingAdvice) -> Value {
    json!({
        "wanted": advice.wanted,
        "executors": advice.executors,
        "reason": advice.reason,
        "lag_records": advice.lag_records,
        "lag_per_second": advice.lag_per_second,
        "read_per_second": advice.read_per_second,
        "cores_permille": advice.cores_permille,
        "memory_permille": advice.memory_permille,
    })
}

/// A committed epoch.
pub fn checkpoint_json(manifest: &Manifest) -> Value {
    json!({
        "epoch": manifest.epoch,
        "parent": manifest.parent,
        "generation": manifest.generation,
        "begun_ms": manifest.begun_ms,
        "took_ms": manifest.took_ms,
        "clock_ms": manifest.clock_ms,
        "market": market(&manifest.market),
        "origin": manifest.origin,
        "partitions": manifest.partitions.iter().map(partition_checkpoint_json).collect::<Vec<_>>(),
    })
}

/// A savepoint, its files only by their number.
pub fn savepoint_json(savepoint: &Savepoint) -> Value {
    json!({
        "id": savepoint.id,
        "location": savepoint.location,
        "job_id": savepoint.job_id,
        "job_name": savepoint.job_name,
        "epoch": savepoint.epoch,
        "made_ms": savepoint.made_ms,
        "took_ms": savepoint.took_ms,
        "bytes": savepoint.bytes,
        "kols": savepoint.kols,
        "files": savepoint.files.len(),
    })
}

fn partition_checkpoint_json(checkpoint: &PartitionCheckpoint) -> Value {
    let partition = checkpoint.partition.clone().unwrap_or_default();
    json!({
        "topic": partition.topic,
        "partition": partition.partition,
        "topic_id": uuid::Uuid::from_slice(&checkpoint.topic_id).ok().map(|id| id.to_string()),
        "offset": checkpoint.offset,
        "clock_ms": checkpoint.clock_ms,
        "kols": checkpoint.kols,
        "entities": checkpoint.entities,
        "location": checkpoint.location,
        "files": checkpoint.files.iter().map(|f| json!({"path": f.path, "bytes": f.bytes})).collect::<Vec<_>>(),
        "written_bytes": checkpoint.written_bytes,
        "pause_us": checkpoint.pause_us,
        "copied_ms": checkpoint.copied_ms,
        "durable_ms": checkpoint.durable_ms,
        "confirmed_ms": checkpoint.confirmed_ms,
    })
}

/// An executor and the load of its process.
pub fn executor_json(executor: &ExecutorStatus) -> Value {
    json!({
        "executor_id": executor.executor_id,
        "incarnation": executor.incarnation,
        "host": executor.host,
        "http": executor.http,
        "cores": executor.cores,
        "memory_bytes": executor.memory_bytes,
        "version": executor.version,
        "state": executor_word(executor),
        "partitions": executor.partitions,
        "rss_bytes": executor.rss_bytes,
        "cpu_ms": executor.cpu_ms,
        "heartbeat_age_ms": executor.heartbeat_age_ms,
        "registered_ms": executor.registered_ms,
        "clock_ahead_ms": executor.clock_ahead_ms,
        "warnings": executor.warnings,
        "zone": executor.zone,
    })
}

/// An event that was rejected because it is ahead of the present.
fn ahead_json(event: &AheadEvent) -> Value {
    json!({
        "topic": event.partition.as_ref().map(|p| &p.topic),
        "partition": event.partition.as_ref().map(|p| p.partition),
        "offset": event.offset,
        "platform": event.platform,
        "kol": event.kol,
        "key": event.key,
        "event_ms": event.event_ms,
        "present_ms": event.present_ms,
    })
}

/// An error; its place in keys of their own.
pub fn problem_json(error: &ErrorInfo) -> Value {
    json!({
        "code": error.code,
        "message": error.message,
        "help": error.help,
        "retryable": error.retryable,
        "topic": error.partition.as_ref().map(|p| &p.topic),
        "partition": error.partition.as_ref().map(|p| p.partition),
        "offset": error.offset,
    })
}

fn market(market: &[PlatformMarket]) -> Map<String, Value> {
    market
        .iter()
        .map(|m| (m.platform.clone(), json!(m.mean)))
        .collect()
}

/// Whether a job in that state has ended.
pub fn is_over(state: JobState) -> bool {
    matches!(
        state,
        JobState::Stopped | JobState::Cancelled | JobState::Failed
    )
}

/// The word for a job's state.
pub fn job_state(state: JobState) -> &'static str {
    match state {
        JobState::Unspecified => "unknown",
        JobState::Starting => "starting",
        JobState::Running => "running",
        JobState::Degraded => "degraded",
        JobState::Stopping => "stopping",
        JobState::Stopped => "stopped",
        JobState::Cancelled => "cancelled",
        JobState::Failed => "failed",
    }
}

/// The word for an executor's state.
pub fn executor_state(state: ExecutorState) -> &'static str {
    match state {
        ExecutorState::Unspecified => "unknown",
        ExecutorState::Alive => "alive",
        ExecutorState::Suspect => "suspect",
        ExecutorState::Leaving => "leaving",
        ExecutorState::Lost => "lost",
        ExecutorState::Left => "left",
    }
}

/// The word for what an executor is: also whether its partitions are moved away.
pub fn executor_word(executor: &ExecutorStatus) -> &'static str {
    match executor.state() {
        ExecutorState::Alive if executor.draining && executor.partitions > 0 => "draining",
        ExecutorState::Alive if executor.draining => "drained",
        state => executor_state(state),
    }
}

/// The word for a partition's state.
pub fn partition_state(state: PartitionState) -> &'static str {
    match state {
        PartitionState::Unspecified => "unknown",
        PartitionState::Waiting => "waiting",
        PartitionState::Claiming => "claiming",
        PartitionState::Holding => "holding",
        PartitionState::Running => "running",
        PartitionState::Draining => "draining",
        PartitionState::Paused => "paused",
        PartitionState::Restoring => "restoring",
        PartitionState::Over => "over",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_nobody_has_reported_has_the_same_keys_and_claims_nothing() {
        let keys = |partition: &PartitionStatus| {
            let view = partition_json(partition);
            view.as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        let reported = PartitionStatus {
            report: Some(PartitionReport::default()),
            ..PartitionStatus::default()
        };
        let waiting = PartitionStatus::default();
        assert_eq!(keys(&waiting), keys(&reported));
        for name in ["position", "kols", "staleness_ms", "events_total"] {
            assert_eq!(partition_json(&waiting)[name], Value::Null, "{name}");
        }
    }

    #[test]
    fn a_partition_that_is_being_restored_has_no_position_and_no_lag_yet() {
        let of = |state: PartitionState| {
            let view = report_json(&PartitionReport {
                state: state.into(),
                position: 4,
                end_offset: Some(9),
                ..PartitionReport::default()
            });
            (view["position"].as_u64(), view["lag_records"].as_u64())
        };
        assert_eq!(of(PartitionState::Restoring), (None, None));
        // Without Redis it reads all the same.
        for state in [PartitionState::Running, PartitionState::Claiming] {
            assert_eq!(of(state), (Some(4), Some(5)), "{state:?}");
        }
    }
}
