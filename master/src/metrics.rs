//! The master's metrics, for Prometheus: `kol_master_*`. docs/operations/metrics.md lists them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use kol_common::metrics::{Family, Page};
use kol_common::proto::{
    ExecutorState, ExecutorStatus, JobState, JobStatus, Manifest, PartitionState,
};
use kol_common::view::{executor_state, is_over, job_state};
use prometheus::HistogramVec;

use crate::job::{CAUSES, Resumed};

/// The label of everything that is of a job.
const JOB: &str = "job_name";
/// The label that says why a partition changed hands.
const CAUSE: &str = "cause";

kol_common::families! {
    LEADS gauge "kol_master_leads" "1 on the master that leads, 0 on others; only the one that leads has metrics of jobs and executors.";
    EXECUTORS gauge "kol_master_executors" "Executors by their state.";
    JOBS gauge "kol_master_jobs" "Jobs by their state, those that are over included.";
    WANTED gauge "kol_executors_wanted" "How many executors a job wants, from its lag and the load.";
    PARTITIONS gauge "kol_master_job_partitions" "Partitions of a job.";
    WAITING gauge "kol_master_job_partitions_waiting" "Partitions that no executor that answers has.";
    JOB_EXECUTORS gauge "kol_master_job_executors" "Executors that have partitions of a job.";
    LAG gauge "kol_master_job_lag_records" "Records that are not read yet; no series while that is not known.";
    LIVE gauge "kol_master_job_live" "1 while a job keeps up with its input, else 0.";
    CAUGHT_UP gauge "kol_master_job_caught_up" "1 when Redis has everything up to the ends of all logs, else 0.";
    STALENESS gauge "kol_master_job_staleness_seconds" "Age of the oldest change that was read and that Redis does not have.";
    KOLS gauge "kol_master_job_kols" "Creators in the state of a job.";
    STATE gauge "kol_master_job_state_bytes" "Memory that the state of a job takes.";
    GENERATION gauge "kol_master_job_generation" "Generation of the state of a job.";
    PROBLEMS gauge "kol_master_job_problems" "Problems that a job has now; kol-client status JOB names them.";
    COMPARED gauge "kol_master_job_videos_compared" "Videos that were compared between partitions.";
    SPLIT gauge "kol_master_job_videos_split" "Videos of these that have readings in several partitions.";
    CLOCK gauge "kol_master_job_clock_timestamp_seconds" "The job clock, which windows follow.";
    LAST_EVENT gauge "kol_master_job_last_event_timestamp_seconds" "Event time of the newest event.";
    EPOCH gauge "kol_master_job_checkpoint_epoch" "The last committed epoch.";
    LAST_COMMIT gauge "kol_master_job_checkpoint_last_commit_timestamp_seconds" "When the last epoch was committed.";
    WRITTEN gauge "kol_master_job_checkpoint_written_bytes" "What the last epoch wrote.";
    FAILURES gauge "kol_master_job_checkpoint_failures" "Epochs that were aborted since the last one was committed.";
    COMMITTED counter "kol_master_job_checkpoints_committed_total" "Epochs that were committed since this master leads.";
    ABORTED counter "kol_master_job_checkpoints_aborted_total" "Epochs that were aborted since this master leads.";
    EVENTS counter "kol_master_job_events_total" "Events that were read.";
    LATE counter "kol_master_job_late_total" "Events that came after their window was over.";
    UNUSABLE counter "kol_master_job_unusable_total" "Records and events that could not be used.";
    REJECTED counter "kol_master_job_rejected_total" "Records and events that could not be used or were late, by their reason.";
    LETTERS counter "kol_master_job_dead_letters_total" "Dead letters that Kafka has confirmed.";
    LOST counter "kol_master_job_lost_total" "Records that were deleted before they could be read.";
    TRUNCATED counter "kol_master_job_truncated_total" "Records that Kafka lost after they had been read.";
    MERGES counter "kol_master_job_merges_total" "Merges of creators that Redis has confirmed.";
    REPAIRED counter "kol_master_job_repaired_total" "Creators that Redis had otherwise than they were sent, or that nobody had sent, and that were put right.";
    NEW_LOGS counter "kol_master_job_new_logs_total" "How often a topic was recreated.";
}

/// What this process measures.
pub const MEASURED: [Family; 2] = [
    Family::histogram(
        "kol_master_checkpoint_duration_seconds",
        "From the barrier of an epoch until it is committed.",
    ),
    Family::histogram(
        "kol_master_move_pause_seconds",
        "How long a partition paused that changed hands.",
    ),
];

static DURATIONS: LazyLock<HistogramVec> = LazyLock::new(|| MEASURED[0].histograms(&[JOB]));
static PAUSES: LazyLock<HistogramVec> = LazyLock::new(|| MEASURED[1].histograms(&[JOB, CAUSE]));

/// What a leader knows.
#[derive(Debug)]
pub struct Cluster {
    /// All jobs, newest first.
    pub jobs: Vec<JobStatus>,
    /// All that are connected or were lost not long ago.
    pub executors: Vec<ExecutorStatus>,
}

/// The page of a master; `cluster` if it leads.
pub fn page(cluster: Option<&Cluster>) -> String {
    let mut page = Page::new(env!("CARGO_PKG_VERSION"));
    page.add(&LEADS, &[], f64::from(u8::from(cluster.is_some())));
    if let Some(Cluster { jobs, executors }) = cluster {
        counts(&mut page, jobs, executors);
        // Newest first: an older job of the same name is about to end.
        let mut seen = BTreeSet::new();
        for status in jobs.iter().filter(|job| !is_over(job.state())) {
            if seen.insert(&status.name) {
                job(&mut page, status);
            }
        }
    }
    page.render()
}

/// A partition that changed hands is processed again.
pub fn resumed(job: &str, resumed: &Resumed) {
    let seconds = resumed.paused.duration().as_secs_f64();
    let pauses = PAUSES.with_label_values(&[job, resumed.cause]);
    pauses.observe(seconds);
}

/// An epoch was committed.
pub fn committed(job: &str, epoch: &Manifest) {
    let seconds = seconds(epoch.took_ms);
    DURATIONS.with_label_values(&[job]).observe(seconds);
}

/// No job of this name runs any more: what was measured of it is gone.
pub fn forget(job: &str) {
    // Most of these series were never there.
    let _never_there = DURATIONS.remove_label_values(&[job]);
    for cause in CAUSES {
        let _never_there = PAUSES.remove_label_values(&[job, cause]);
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn counts(page: &mut Page, jobs: &[JobStatus], executors: &[ExecutorStatus]) {
    for state in [
        ExecutorState::Alive,
        ExecutorState::Suspect,
        ExecutorState::Leaving,
        ExecutorState::Lost,
        ExecutorState::Left,
    ] {
        let count = executors.iter().filter(|e| e.state() == state).count();
        page.add(
            &EXECUTORS,
            &[("state", executor_state(state))],
            count as f64,
        );
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
        page.add(&JOBS, &[("state", job_state(state))], count as f64);
    }
}

fn job(page: &mut Page, status: &JobStatus) {
    let labels = [(JOB, status.name.as_str())];
    let waits = |p: &&kol_common::proto::PartitionStatus| p.state() == PartitionState::Waiting;
    let waiting = status.partitions.iter().filter(waits).count();
    let wanted = status.scaling.as_ref().map(|s| f64::from(s.wanted));
    let number = |value: u64| Some(value as f64);
    let flag = |is: bool| Some(f64::from(u8::from(is)));
    for (family, value) in [
        (&PARTITIONS, number(status.partition_count)),
        (&WAITING, number(waiting as u64)),
        (&JOB_EXECUTORS, number(status.executors)),
        (&WANTED, wanted),
        (&LAG, status.lag_records.and_then(number)),
        (&LIVE, flag(status.live)),
        (&CAUGHT_UP, flag(status.caught_up)),
        (&STALENESS, Some(seconds(status.staleness_ms))),
        (&KOLS, number(status.kols)),
        (&STATE, number(status.state_bytes)),
        (&GENERATION, number(status.generation)),
        (&PROBLEMS, number(status.problems.len() as u64)),
        (&COMPARED, number(status.videos_compared)),
        (&SPLIT, number(status.videos_split)),
        (&CLOCK, status.clock_ms.map(seconds)),
        (&LAST_EVENT, status.newest_event_ms.map(seconds)),
    ] {
        if let Some(value) = value {
            page.add(family, &labels, value);
        }
    }
    checkpoints(page, status);
    totals(page, status);
}

fn checkpoints(page: &mut Page, status: &JobStatus) {
    let labels = [(JOB, status.name.as_str())];
    let checkpoint = status.checkpoint.unwrap_or_default();
    let committed = seconds(checkpoint.committed_ms);
    let series = [
        (&EPOCH, checkpoint.epoch as f64),
        (&LAST_COMMIT, committed),
        (&WRITTEN, checkpoint.written_bytes as f64),
    ];
    for (family, value) in series.into_iter().filter(|_| checkpoint.epoch > 0) {
        page.add(family, &labels, value);
    }
    for (family, value) in [
        (&FAILURES, checkpoint.failures),
        (&COMMITTED, checkpoint.committed_count),
        (&ABORTED, checkpoint.aborted_count),
    ] {
        page.add(family, &labels, value as f64);
    }
}

fn totals(page: &mut Page, status: &JobStatus) {
    let labels = [(JOB, status.name.as_str())];
    let totals = status.totals.clone().unwrap_or_default();
    for (family, value) in [
        (&EVENTS, totals.events),
        (&LATE, totals.late),
        (&UNUSABLE, totals.dead_letter),
        (&LETTERS, totals.dead_letters_written),
        (&LOST, totals.lost),
        (&TRUNCATED, totals.truncated),
        (&MERGES, totals.merges),
        (&REPAIRED, totals.repaired),
        (&NEW_LOGS, totals.new_logs),
    ] {
        page.add(family, &labels, value as f64);
    }
    for (reason, count) in &totals.rejected {
        let [job] = labels;
        page.add(&REJECTED, &[job, ("reason", reason)], *count as f64);
    }
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{PartitionCounters, ScalingAdvice};

    use super::*;
    use crate::job::Steps;

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

    /// The lines of the page that begin so.
    fn lines(jobs: &[JobStatus], begin: &str) -> Vec<String> {
        let cluster = Cluster {
            jobs: jobs.to_vec(),
            executors: Vec::new(),
        };
        let text = page(Some(&cluster));
        let lines = text.lines().filter(|line| line.starts_with(begin));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn the_metrics_page_says_how_many_executors_each_running_job_wants() {
        let (running, over) = (JobState::Running, JobState::Stopped);
        let wanted = |jobs: &[JobStatus]| lines(jobs, "kol_executors_wanted");
        assert_eq!(wanted(&[status("new", running, None)]), [""; 0]);
        let jobs = [
            status("a", running, Some(3)),
            status("a", running, Some(7)),
            status("b", over, Some(2)),
        ];
        let text = "kol_executors_wanted{job_name=\"a\"} 3";
        assert_eq!(wanted(&jobs), [text], "the newest of a name");
    }

    #[test]
    fn rejected_records_of_a_job_are_counted_by_their_reason() {
        let rejected = [("ahead".to_owned(), 3), ("not_json".to_owned(), 2)];
        let mut running = status("kol", JobState::Running, None);
        running.totals = Some(PartitionCounters {
            rejected: rejected.into(),
            ..PartitionCounters::default()
        });
        let counted = lines(&[running], "kol_master_job_rejected_total");
        let line = |reason: &str, count: u64| {
            let labels = format!("job_name=\"kol\",reason=\"{reason}\"");
            format!("kol_master_job_rejected_total{{{labels}}} {count}")
        };
        assert_eq!(counted, [line("ahead", 3), line("not_json", 2)]);
    }

    #[test]
    fn a_lag_that_is_not_known_is_no_series() {
        let job = |lag_records| JobStatus {
            lag_records,
            ..status("a", JobState::Degraded, None)
        };
        let lag = |known| lines(&[job(known)], "kol_master_job_lag_records");
        assert_eq!(lag(None), [""; 0]);
        assert_eq!(
            lag(Some(0)),
            ["kol_master_job_lag_records{job_name=\"a\"} 0"]
        );
    }

    #[test]
    fn a_job_that_is_over_has_no_series_of_its_own() {
        for state in [JobState::Stopped, JobState::Cancelled, JobState::Failed] {
            assert_eq!(
                lines(&[status("a", state, Some(1))], "kol_master_job_"),
                [""; 0]
            );
        }
        committed("over", &Manifest::default());
        resumed(
            "over",
            &Resumed {
                partition: kol_common::SourcePartition::new("t", 0),
                paused: kol_common::Millis(5),
                steps: Steps::default(),
                cause: CAUSES[0],
            },
        );
        let measured = || page(None).matches("job_name=\"over\"").count();
        assert!(measured() > 2);
        forget("over");
        assert_eq!(measured(), 0);
    }

    #[test]
    fn a_master_that_does_not_lead_says_so_and_nothing_of_jobs() {
        let text = page(None);
        assert!(text.contains("kol_master_leads 0\n"), "{text}");
        assert!(!text.contains("kol_master_jobs"), "{text}");
    }
}
