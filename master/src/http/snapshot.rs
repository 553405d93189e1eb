//! What the page shows, as JSON: what `kol-client -o json` prints under the same names, how fast things go, and on top all
//! that is wrong, in the words of `kol-client status`. What is not known is null.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::job::JobSpec;
use kol_common::proto::{
    ErrorInfo, ExecutorStatus, JobState, JobStatus, LeadershipReply, ListCheckpointsReply,
    PartitionState, PartitionStatus,
};
use kol_common::view::{
    executor_json, heard, is_over, job_json, missing, partition_json, problem_json, savepoint_json,
};
use kol_common::{KolError, Millis};
use serde_json::{Value, json};

use super::epoch::epoch;
use super::pace::{Counter, Pace};
use crate::job::difference::differences;

/// Jobs that are over and shown: the newest.
const MOST_OVER: usize = 30;
/// What the page shows of a partition.
const OF_PARTITION: [&str; 17] = [
    "topic",
    "partition",
    "state",
    "executor_id",
    "host",
    "last_executor_id",
    "last_host",
    "moving_to",
    "position",
    "lag_records",
    "staleness_ms",
    "events_total",
    "kols",
    "state_bytes",
    "paused_ms",
    "hottest",
    "problem",
];

/// What a master knows at one moment.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By the wall clock.
    pub(super) wall: Millis,
    pub(super) leadership: LeadershipReply,
    /// All that are on record, the newest first.
    pub(super) jobs: Vec<JobStatus>,
    /// `None` on a master that follows: the leader alone knows them.
    pub(super) executors: Option<Vec<ExecutorStatus>>,
    /// What people must know of this process.
    pub(super) warnings: Vec<String>,
    /// Why something of this is missing.
    pub(super) failure: Option<KolError>,
}

/// A job with all that is shown of it, as the API answers it, too.
pub(super) fn job_with_parts(status: &JobStatus) -> Value {
    let mut shown = job_json(status);
    shown["partition_list"] = status.partitions.iter().map(partition_json).collect();
    shown["spec"] = serde_json::from_str(&status.spec_json).unwrap_or_default();
    shown
}

/// The counters of all partitions, for their pace.
pub(super) fn counters(seen: &Seen) -> BTreeMap<Counter, u64> {
    let live = seen.jobs.iter().filter(|job| !is_over(job.state()));
    let of_jobs = live.flat_map(|job| {
        let events = job.totals.as_ref().map(|totals| totals.events);
        let of_job = events.map(|events| (Counter::Events(job.job_id.clone()), events));
        let parts = job
            .partitions
            .iter()
            .flat_map(|part| of_partition(job, part));
        of_job.into_iter().chain(parts)
    });
    let executors = seen.executors.iter().flatten();
    let cpu = executors.map(|e| (Counter::Cpu(e.incarnation.clone()), e.cpu_ms));
    of_jobs.chain(cpu).collect()
}

fn of_partition(job: &JobStatus, part: &PartitionStatus) -> Vec<(Counter, u64)> {
    let report = part.report.as_ref();
    // One that restores does not know what was read before.
    let Some(report) = report.filter(|r| r.state() != PartitionState::Restoring) else {
        return Vec::new();
    };
    let events = report
        .counters
        .as_ref()
        .map_or(0, |counters| counters.events);
    let [of_events, of_records] = counters_of(job, part);
    vec![(of_events, events), (of_records, report.position)]
}

/// What counts its events and its records.
fn counters_of(job: &JobStatus, part: &PartitionStatus) -> [Counter; 2] {
    let name = part.partition.clone().unwrap_or_default();
    let (job, topic) = (job.job_id.clone(), name.topic);
    [
        Counter::EventsOf(job.clone(), topic.clone(), name.partition),
        Counter::Records(job, topic, name.partition),
    ]
}

/// What all clients get.
pub(super) fn overview(seen: &Seen, pace: &Pace) -> Value {
    let executors = seen.executors.as_ref().map(|executors| {
        let shown = executors.iter().map(|executor| {
            let busy_ms = pace.per_second(&Counter::Cpu(executor.incarnation.clone()));
            let mut shown = executor_json(executor);
            shown["cores_busy"] = json!(busy_ms.map(|ms| ms / 1e3));
            shown["heard_ms"] = json!(heard(seen.wall, executor).0);
            shown
        });
        shown.collect::<Vec<_>>()
    });
    json!({
        "wall_ms": seen.wall.0,
        "version": env!("CARGO_PKG_VERSION"),
        "leads": seen.leadership.leads,
        "leader": Some(&seen.leadership.leader).filter(|leader| !leader.is_empty()),
        "term": Some(seen.leadership.term).filter(|term| *term > 0),
        "jobs": shown_jobs(&seen.jobs).map(|job| with_pace(job, pace, job_json(job))).collect::<Vec<_>>(),
        "executors": executors,
        "problems": problems(seen),
        "warnings": warnings(seen),
    })
}

/// What clients get that look at one job, besides. `all` are the jobs on record, the newest first.
pub(super) fn detail(
    job: &JobStatus,
    all: &[JobStatus],
    kept: &ListCheckpointsReply,
    pace: &Pace,
) -> Value {
    let mut shown = with_pace(job, pace, job_with_parts(job));
    let partitions = job.partitions.iter().map(|part| partition(job, part, pace));
    shown["partition_list"] = partitions.collect();
    shown["checkpoints"] = kept.checkpoints.iter().map(epoch).collect();
    shown["savepoints"] = kept.savepoints.iter().map(savepoint_json).collect();
    shown["checkpoint_location"] = json!(kept.location);
    shown["before"] = before(job, all);
    shown
}

/// The job that had this name before, and in what its spec differed; null where none is on record.
fn before(job: &JobStatus, all: &[JobStatus]) -> Value {
    let mut older = all.iter().skip_while(|other| other.job_id != job.job_id);
    let older = older.find(|other| other.name == job.name && other.job_id != job.job_id);
    let Some(older) = older else {
        return Value::Null;
    };
    let spec = |job: &JobStatus| serde_json::from_str::<JobSpec>(&job.spec_json).ok();
    // An older version may have written it.
    let specs = spec(older).zip(spec(job));
    json!({
        "job_id": older.job_id,
        "submitted_ms": older.submitted_ms,
        "differences": specs.map(|(was, is)| differences(&was, &is)),
    })
}

/// Live ones, and the newest of the others.
fn shown_jobs(jobs: &[JobStatus]) -> impl Iterator<Item = &JobStatus> {
    let mut over = 0;
    jobs.iter().filter(move |job| {
        over += usize::from(is_over(job.state()));
        !is_over(job.state()) || over <= MOST_OVER
    })
}

fn with_pace(job: &JobStatus, pace: &Pace, mut shown: Value) -> Value {
    let (mut events, mut lag) = (None, None);
    if !is_over(job.state()) {
        events = pace.per_second(&Counter::Events(job.job_id.clone()));
        let lags = job.partitions.iter().map(|part| lag_ms(job, part, pace));
        let lags: Option<Vec<u64>> = lags.collect();
        lag = lags.and_then(|lags| lags.into_iter().max());
    }
    shown["events_per_second"] = json!(events);
    shown["lag_ms"] = json!(lag);
    shown
}

fn partition(job: &JobStatus, part: &PartitionStatus, pace: &Pace) -> Value {
    let all = partition_json(part);
    let mut shown = Value::default();
    for key in OF_PARTITION {
        shown[key] = all.get(key).cloned().unwrap_or_default();
    }
    let [events, _] = counters_of(job, part);
    shown["events_per_second"] = json!(pace.per_second(&events));
    shown["lag_ms"] = json!(lag_ms(job, part, pace));
    let why = part.placement.as_ref();
    shown["since_ms"] = json!(why.and_then(|why| why.since_ms));
    shown["why"] = json!(why.map(|why| &why.why));
    shown["moves_when"] = json!(why.map(|why| &why.moves_when));
    shown
}

/// How long ago the record came that is read now, if records come as fast as they are read: for a backlog, how long that
/// takes. Not known without an owner, or while nothing is read.
fn lag_ms(job: &JobStatus, part: &PartitionStatus, pace: &Pace) -> Option<u64> {
    if part.executor_id.is_empty() {
        return None;
    }
    let lag = partition_json(part)["lag_records"].as_u64()?;
    let [_, records] = counters_of(job, part);
    match (lag, pace.per_second(&records)) {
        (0, _) => Some(0),
        (lag, Some(read)) if read > 0.0 => Some((lag as f64 * 1e3 / read) as u64),
        _ => None,
    }
}

/// What is wrong now, what stops most first.
fn problems(seen: &Seen) -> Vec<Value> {
    let failure = seen
        .failure
        .iter()
        .map(|error| problem(&error.to_info(), None));
    let mut names = BTreeSet::new();
    let jobs = seen.jobs.iter().flat_map(|job| {
        // A newer job of the same name took its place.
        let failed = names.insert(&job.name) && job.state() == JobState::Failed;
        let failed = failed.then(|| {
            let error = ErrorInfo {
                code: "failed".into(),
                message: job.reason.clone(),
                ..ErrorInfo::default()
            };
            problem(&error, Some(&job.name))
        });
        let problems = job.problems.iter();
        let problems = problems.map(|error| problem(error, Some(&job.name)));
        failed.into_iter().chain(problems).collect::<Vec<_>>()
    });
    let executors = seen.executors.as_deref().unwrap_or_default();
    let missing = missing(seen.wall, executors).into_iter();
    let missing = missing.map(|(executor, error)| {
        let mut shown = problem(&error.to_info(), None);
        shown["since_ms"] = json!(heard(seen.wall, executor).0);
        shown
    });
    failure.chain(jobs).chain(missing).collect()
}

fn problem(error: &ErrorInfo, job: Option<&str>) -> Value {
    let mut shown = problem_json(error);
    shown["job"] = json!(job);
    shown["since_ms"] = Value::Null;
    shown
}

/// What should be looked at, each once, with the jobs that say so.
fn warnings(seen: &Seen) -> Vec<Value> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    let of_process = seen.warnings.iter().map(|text| (text, None));
    let of_jobs = seen.jobs.iter().filter(|job| !is_over(job.state()));
    let of_jobs = of_jobs.flat_map(|job| job.warnings.iter().map(|text| (text, Some(&*job.name))));
    for (text, job) in of_process.chain(of_jobs) {
        match all.iter_mut().find(|known| known.0 == text.as_str()) {
            Some((_, jobs)) => jobs.extend(job),
            None => all.push((text, job.into_iter().collect())),
        }
    }
    let all = all.into_iter();
    all.map(|(text, jobs)| json!({"message": text, "jobs": jobs}))
        .collect()
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
