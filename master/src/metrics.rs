//! The master's metrics, for Prometheus: `kol_master_*`.

use std::collections::BTreeSet;

use kol_common::proto::{ExecutorState, ExecutorStatus, JobState, JobStatus};
use kol_common::view::{executor_state, is_over, job_state};
use metrics::{counter, gauge, histogram};

use crate::job::Resumed;

/// Publishes for one controller. Dropped with it, when a master leads no longer, it wants no executors any more: an autoscaler
/// takes the highest of all jobs, and what was wanted then would hide what the next leader wants.
#[derive(Debug, Default)]
pub struct Publisher {
    /// Jobs of which it was published how many executors they want.
    wanting: BTreeSet<String>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        for job in &self.wanting {
            want(job, 0);
        }
    }
}

impl Publisher {
    /// Publishes what there is now. Series of jobs that are over stay at their last value, and want no
    /// executors.
    pub fn publish(&mut self, jobs: &[JobStatus], executors: &[ExecutorStatus]) {
        counts(jobs, executors);
        // Newest first: an older job of the same name must not overwrite it.
        let mut seen = BTreeSet::new();
        for status in jobs {
            if seen.insert(&status.name) {
                job(status);
                self.publish_wanted(status);
            }
        }
    }

    /// Not before that is known: a job that has just begun does not want none.
    fn publish_wanted(&mut self, status: &JobStatus) {
        let wanted = status.scaling.as_ref().map(|scaling| scaling.wanted);
        let none = is_over(status.state()).then_some(0);
        if let Some(wanted) = wanted.or(none) {
            want(&status.name, wanted);
            self.wanting.insert(status.name.clone());
        }
    }
}

fn want(job: &str, executors: u32) {
    gauge!("kol_executors_wanted", "job" => job.to_owned()).set(f64::from(executors));
}

fn counts(jobs: &[JobStatus], executors: &[ExecutorStatus]) {
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
}

/// Publishes how long a partition paused that changed hands.
pub fn resumed(job: &str, resumed: &Resumed) {
    let labels = [("job", job.to_owned()), ("cause", resumed.cause.to_owned())];
    let seconds = resumed.paused.duration().as_secs_f64();
    histogram!("kol_master_move_pause_seconds", &labels).record(seconds);
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

#[cfg(test)]
mod tests {
    use kol_common::proto::ScalingAdvice;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn status(name: &str, state: JobState, wanted: Option<u32>) -> JobStatus {
        let advice = |wanted| ScalingAdvice {
            wanted,
            ..ScalingAdvice::default()
        };
        JobStatus {
            name: name.into(),
            state: state as i32,
            scaling: wanted.map(advice),
            ..JobStatus::default()
        }
    }

    #[test]
    fn rejected_records_of_a_job_are_counted_by_their_reason() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = recorder.handle();
        let rejected = [("ahead".to_owned(), 3), ("not_json".to_owned(), 2)];
        let mut running = status("kol", JobState::Running, None);
        running.totals = Some(kol_common::proto::PartitionCounters {
            rejected: rejected.into(),
            ..kol_common::proto::PartitionCounters::default()
        });
        metrics::with_local_recorder(&recorder, || {
            Publisher::default().publish(&[running], &[]);
        });
        let text = page.render();
        for (reason, count) in [("ahead", 3), ("not_json", 2)] {
            let labels = format!("{{job=\"kol\",reason=\"{reason}\"}}");
            let line = format!("kol_master_job_rejected_total{labels} {count}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }

    #[test]
    fn the_metrics_page_says_how_many_executors_each_job_wants_while_this_master_leads() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = recorder.handle();
        let lines = || {
            let text = page.render();
            let lines = text
                .lines()
                .filter(|l| l.starts_with("kol_executors_wanted"));
            let mut lines: Vec<String> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let wanted =
            |job: &str, count: u32| format!("kol_executors_wanted{{job=\"{job}\"}} {count}");
        metrics::with_local_recorder(&recorder, || {
            let mut publisher = Publisher::default();
            publisher.publish(&[status("new", JobState::Running, None)], &[]);
            assert_eq!(lines(), [""; 0], "not known yet");
            let (running, over) = (JobState::Running, JobState::Stopped);
            let jobs = [
                status("a", running, Some(3)),
                status("a", over, None),
                status("b", running, Some(2)),
            ];
            publisher.publish(&jobs, &[]);
            assert_eq!(lines(), [wanted("a", 3), wanted("b", 2)]);
            publisher.publish(
                &[status("a", over, None), status("b", running, Some(2))],
                &[],
            );
            assert_eq!(lines(), [wanted("a", 0), wanted("b", 2)], "one is over");
            drop(publisher);
            assert_eq!(
                lines(),
                [wanted("a", 0), wanted("b", 0)],
                "another one leads"
            );
        });
    }
}
