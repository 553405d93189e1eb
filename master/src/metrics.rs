//! The master's metrics, for Prometheus: `kol_master_*`.

use kol_common::proto::{ExecutorState, ExecutorStatus, JobState, JobStatus};
use kol_common::view::{executor_state, is_over, job_state};
use metrics::{counter, gauge};

/// Publishes what there is now. Series of jobs that are over stay at their last value, and want no
/// executors.
pub fn publish(jobs: &[JobStatus], executors: &[ExecutorStatus]) {
    for state in [
        ExecutorState::Alive,
        ExecutorState::Suspect,
        ExecutorState::Leaving,
        ExecutorState::Lost,
        ExecutorState::Left,
    ] {
        let count = executors.iter().filter(|e| e.state() == state).count();
        gauge!("kol_master_executors", "state" => executor_state(state)).set(count as f64);
    }
    for state in [
        JobState::Starting,
        JobState::Running,
        JobState::Degraded,
        JobState::Stopping,
        JobState::Stopped,
        JobState::Cancelled,
        JobState::Failed,
    ] {
        let count = jobs.iter().filter(|j| j.state() == state).count();
        gauge!("kol_master_jobs", "state" => job_state(state)).set(count as f64);
    }
    // Newest first: an older job of the same name must not overwrite it.
    let mut seen = std::collections::BTreeSet::new();
    for status in jobs {
        if seen.insert(&status.name) {
            job(status);
        }
    }
}

fn job(status: &JobStatus) {
    let labels = [("job", status.name.clone())];
    let unassigned = status
        .partitions
        .iter()
        .filter(|p| p.executor_id.is_empty())
        .count();
    for (name, value) in [
        ("kol_master_job_partitions", status.partition_count),
        ("kol_master_job_partitions_unassigned", unassigned as u64),
        ("kol_master_job_executors", status.executors),
        ("kol_master_job_lag_records", status.lag_records),
        ("kol_master_job_staleness_milliseconds", status.staleness_ms),
        ("kol_master_job_kols", status.kols),
        ("kol_master_job_state_bytes", status.state_bytes),
        ("kol_master_job_generation", status.generation),
        ("kol_master_job_problems", status.problems.len() as u64),
        ("kol_master_job_caught_up", u64::from(status.caught_up)),
        ("kol_master_job_videos_compared", status.videos_compared),
        ("kol_master_job_videos_split", status.videos_split),
    ] {
        gauge!(name, &labels).set(value as f64);
    }
    if let Some(clock) = status.clock_ms {
        gauge!("kol_master_job_clock_milliseconds", &labels).set(clock as f64);
    }
    if let Some(scaling) = &status.scaling {
        gauge!("kol_executors_wanted", &labels).set(f64::from(scaling.wanted));
    } else if is_over(status.state()) {
        // An autoscaler takes the highest of all jobs.
        gauge!("kol_executors_wanted", &labels).set(0.0);
    }
    let checkpoint = status.checkpoint.unwrap_or_default();
    for (name, value) in [
        ("kol_master_job_checkpoint_epoch", checkpoint.epoch),
        (
            "kol_master_job_checkpoint_age_milliseconds",
            status.wall_ms.saturating_sub(checkpoint.committed_ms),
        ),
        (
            "kol_master_job_checkpoint_took_milliseconds",
            checkpoint.took_ms,
        ),
        (
            "kol_master_job_checkpoint_written_bytes",
            checkpoint.written_bytes,
        ),
        ("kol_master_job_checkpoint_failures", checkpoint.failures),
    ] {
        if checkpoint.epoch > 0 {
            gauge!(name, &labels).set(value as f64);
        }
    }
    counter!("kol_master_job_checkpoints_committed_total", &labels)
        .absolute(checkpoint.committed_count);
    counter!("kol_master_job_checkpoints_aborted_total", &labels)
        .absolute(checkpoint.aborted_count);
    let totals = status.totals.clone().unwrap_or_default();
    for (name, value) in [
        ("kol_master_job_events_total", totals.events),
        ("kol_master_job_late_total", totals.late),
        ("kol_master_job_unusable_total", totals.dead_letter),
        (
            "kol_master_job_dead_letters_total",
            totals.dead_letters_written,
        ),
        ("kol_master_job_lost_total", totals.lost),
        ("kol_master_job_truncated_total", totals.truncated),
        ("kol_master_job_merges_total", totals.merges),
        ("kol_master_job_repaired_total", totals.repaired),
        ("kol_master_job_new_logs_total", totals.new_logs),
    ] {
        counter!(name, &labels).absolute(value);
    }
    for (reason, count) in totals.rejected {
        let labels = [("job", status.name.clone()), ("reason", reason)];
        counter!("kol_master_job_rejected_total", &labels).absolute(count);
    }
}
