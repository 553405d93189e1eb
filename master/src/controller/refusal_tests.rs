//! What is refused changes nothing: each command that checks and acts, refused, with all jobs and savepoints
//! as they were.

use std::time::Duration;

use kol_common::actor::Group;
use kol_common::proto::rewind_request::To;
use kol_common::proto::{JobState, JobStatus, RewindRequest, Savepoint};
use kol_common::redis::UNREACHABLE_CODE;
use kol_common::{JobId, KolError, Millis};

use super::actor::start;
use super::handle::Handle;
use super::submission::Begin;
use super::testing::{ending, options_with, read, record, store_with, submission};
use crate::election::LeaderStore;
use crate::job::{End, JobRecord, Origin, Phase, Predecessor};
use crate::meta::EmbeddedStore;

const FOLDER: &str = "file:///savepoints/sav_1";

/// A master with these jobs and one savepoint, of the job `a`.
async fn master(records: &[JobRecord], tasks: &Group) -> Handle {
    master_with(records, Some(away()), tasks).await
}

fn away() -> KolError {
    KolError::external("SOURCE_UNREACHABLE", "away")
}

/// The same with brokers that fail like this, or answer.
async fn master_with(
    records: &[JobRecord],
    brokers_fail: Option<KolError>,
    tasks: &Group,
) -> Handle {
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let mut store = store_with(records, meta.clone()).await;
    let savepoint = Savepoint {
        id: "sav_1".into(),
        location: FOLDER.into(),
        job_name: "a".into(),
        ..Savepoint::default()
    };
    store.keep_savepoint(&savepoint).await.unwrap();
    drop(store);
    let (handle, _ends_with_the_test) = start(meta, options_with(brokers_fail), tasks)
        .await
        .unwrap();
    handle
}

/// What there is: jobs with their states, and the savepoints of `a`.
async fn there(handle: &Handle) -> (Vec<(String, JobState)>, Vec<Savepoint>) {
    let of = |job: JobStatus| match job.state() {
        // It becomes that by itself: its brokers are away.
        JobState::Degraded => (job.job_id, JobState::Running),
        state => (job.job_id, state),
    };
    let jobs = handle.jobs().await.unwrap().into_iter().map(of).collect();
    let kept = handle.checkpoints("a".into()).await.unwrap();
    (jobs, kept.savepoints)
}

/// Requests something that must be refused with this code, and looks whether anything changed.
async fn refused<T: std::fmt::Debug>(
    records: &[JobRecord],
    code: &str,
    request: impl AsyncFnOnce(&Handle) -> Result<T, KolError>,
) {
    refused_with(records, Some(away()), code, request).await;
}

/// The same with brokers that fail like this, or answer.
async fn refused_with<T: std::fmt::Debug>(
    records: &[JobRecord],
    brokers_fail: Option<KolError>,
    code: &str,
    request: impl AsyncFnOnce(&Handle) -> Result<T, KolError>,
) {
    let tasks = Group::new("test");
    let handle = master_with(records, brokers_fail, &tasks).await;
    let before = there(&handle).await;
    let error = request(&handle).await.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(!error.help.is_empty(), "{error}");
    // What was begun by mistake would show soon.
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(there(&handle).await, before, "{code}");
    tasks.drain(Duration::from_secs(5)).await;
}

fn rewind(job: &str, to: To) -> RewindRequest {
    RewindRequest {
        job: job.into(),
        to: Some(to),
        at_once: false,
    }
}

const RUNNING: Phase = Phase::Running;
const OVER: Phase = Phase::Over(End::Stopped);

#[tokio::test]
async fn a_stop_or_a_savepoint_that_is_refused_changes_nothing() {
    let one = [record("job_1", "a", RUNNING, false)];
    for place in ["/backup", "ftp://backup", "file://"] {
        let stop = async |h: &Handle| h.end("a".into(), End::Stopped, Some(place.into())).await;
        refused(&one, "CHECKPOINT_LOCATION", stop).await;
        let save = async |h: &Handle| h.savepoint("a".into(), place.into()).await;
        refused(&one, "CHECKPOINT_LOCATION", save).await;
    }
    let starting = [record("job_1", "a", Phase::Starting, false)];
    let stop = async |h: &Handle| h.end("a".into(), End::Stopped, Some(String::new())).await;
    refused(&starting, "SAVEPOINT_FAILED", stop).await;
    let over = [record("job_1", "a", OVER, false)];
    for end in [End::Stopped, End::Cancelled] {
        let stop = async |h: &Handle| h.end("a".into(), end, None).await;
        refused(&over, "JOB_OVER", stop).await;
    }
}

#[tokio::test]
async fn a_stop_with_a_savepoint_that_nobody_waits_for_changes_nothing() {
    let tasks = Group::new("test");
    let handle = master(&[record("job_1", "a", RUNNING, false)], &tasks).await;
    let before = there(&handle).await;
    let folder = tempfile::tempdir().unwrap();
    let below = format!("file://{}", folder.path().display());
    let mut stop = Box::pin(handle.end("a".into(), End::Stopped, Some(below)));
    assert!(futures::poll!(&mut stop).is_pending());
    drop(stop);
    // What its folder is for would show soon.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(there(&handle).await, before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    tasks.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_stop_whose_savepoint_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let below = format!("file://{}", folder.path().display());
    let mut alone = record("job_1", "a", RUNNING, false);
    // No executor ever takes part.
    alone.spec.checkpoint.timeout = Millis(300);
    let stop = async |h: &Handle| h.end("a".into(), End::Stopped, Some(below)).await;
    refused(&[alone], "SAVEPOINT_TIMEOUT", stop).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_submission_that_is_refused_changes_nothing() {
    let two = [
        record("job_1", "a", RUNNING, true),
        record("job_2", "b", RUNNING, false),
    ];
    for (name, replace, begin, code) in [
        ("a", false, Begin::Resume, "JOB_EXISTS"),
        ("a", true, Begin::Resume, "SINK_KEYS_TAKEN"),
        ("c", true, Begin::WithoutState, "SINK_KEYS_TAKEN"),
        ("b", true, Begin::From("a".into()), "JOB_RUNNING"),
        (
            "b",
            true,
            Begin::From("sav_9".into()),
            "SAVEPOINT_NOT_FOUND",
        ),
    ] {
        let submit = async |h: &Handle| h.submit(submission(name, replace, begin)).await;
        refused(&two, code, submit).await;
    }
    let ending = [ending("job_1")];
    let submit = async |h: &Handle| h.submit(submission("a", true, Begin::Resume)).await;
    refused(&ending, "JOB_ENDING", submit).await;
}

#[tokio::test]
async fn a_replacement_whose_topics_or_redis_cannot_be_used_does_not_end_the_job_that_runs() {
    let running = [read("job_1", RUNNING)];
    let missing = KolError::external("TOPIC_NOT_FOUND", "topic `t` does not exist");
    for (brokers_fail, code) in [
        (Some(missing), "TOPIC_NOT_FOUND"),
        (Some(away()), "SOURCE_UNREACHABLE"),
        // Nothing listens where its Redis should be.
        (None, UNREACHABLE_CODE),
    ] {
        for begin in [Begin::Resume, Begin::WithoutState] {
            let mut next = submission("a", true, begin);
            next.spec.sink.url = "redis://127.0.0.1:1/0".into();
            let submit = async |h: &Handle| {
                let error = h.submit(next).await.unwrap_err();
                assert!(error.message.contains("runs as before"), "{error}");
                Err::<(), _>(error)
            };
            refused_with(&running, brokers_fail.clone(), code, submit).await;
        }
    }
}

#[tokio::test]
async fn a_rewind_that_is_refused_changes_nothing() {
    let running = [record("job_1", "a", RUNNING, false)];
    let epoch = async |h: &Handle| h.rewind(rewind("a", To::Epoch(7))).await;
    refused(&running, "EPOCH_NOT_FOUND", epoch).await;
    // Its keys are another job's by now.
    let taken = [
        record("job_1", "a", OVER, false),
        record("job_2", "b", RUNNING, false),
    ];
    let earliest = async |h: &Handle| h.rewind(rewind("a", To::Earliest(true))).await;
    refused(&taken, "SINK_KEYS_TAKEN", earliest).await;
    // A newer job of its name runs.
    let newer = [
        record("job_1", "a", OVER, false),
        record("job_2", "a", RUNNING, false),
    ];
    let earliest = async |h: &Handle| h.rewind(rewind("job_1", To::Earliest(true))).await;
    refused(&newer, "JOB_EXISTS", earliest).await;
}

#[tokio::test]
async fn a_rollback_that_is_refused_changes_nothing() {
    let alone = [record("job_1", "a", RUNNING, false)];
    let back = async |h: &Handle| h.roll_back("a".into()).await;
    refused(&alone, "JOB_NOT_FOUND", back).await;
    // What the job before wrote is another job's by now.
    let taken = [
        record("job_1", "a", OVER, false),
        record("job_2", "a", RUNNING, true),
        record("job_3", "b", RUNNING, false),
    ];
    refused(&taken, "SINK_KEYS_TAKEN", back).await;
    // A newer job of its name runs.
    let newer = [
        record("job_1", "a", OVER, false),
        record("job_2", "a", OVER, false),
        record("job_3", "a", RUNNING, false),
    ];
    let back = async |h: &Handle| h.roll_back("job_2".into()).await;
    refused(&newer, "JOB_EXISTS", back).await;
}

#[tokio::test]
async fn a_savepoint_that_a_job_begins_with_is_not_deleted() {
    let mut begins = record("job_1", "a", Phase::Starting, false);
    begins.origin = Origin::Savepoint {
        location: FOLDER.into(),
    };
    begins.follows = Some(Predecessor {
        id: JobId::from_wire("job_0"),
        end: End::Stopped,
    });
    let delete = async |h: &Handle| h.delete_savepoint("sav_1".into()).await;
    refused(&[ending("job_0"), begins], "SAVEPOINT_IN_USE", delete).await;
    let other = [record("job_1", "a", RUNNING, false)];
    let unknown = async |h: &Handle| h.delete_savepoint("sav_2".into()).await;
    refused(&other, "SAVEPOINT_NOT_FOUND", unknown).await;
    let tasks = Group::new("test");
    let handle = master(&other, &tasks).await;
    handle.delete_savepoint("sav_1".into()).await.unwrap();
    assert!(there(&handle).await.1.is_empty());
    tasks.drain(Duration::from_secs(5)).await;
}
