//! What a job hands on to the one that takes its place, when it never read anything itself.

use std::time::Duration;

use kol_common::actor::Group;
use kol_common::job::StartingOffsets;
use kol_common::proto::{JobState, SubmitReply};
use kol_common::{JobId, KolError, Millis};

use super::actor::start;
use super::handle::Handle;
use super::submission::Begin;
use super::testing::{ending, options, record, store_with, submission};
use crate::election::LeaderStore;
use crate::job::{End, JobRecord, Origin, Phase, Predecessor};
use crate::meta::EmbeddedStore;

const OVER: Phase = Phase::Over(End::Stopped);
const FAILED: Phase = Phase::Over(End::Failed);

async fn master(records: &[JobRecord], tasks: &Group) -> Handle {
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    drop(store_with(records, meta.clone()).await);
    start(meta, options(), tasks).await.unwrap().0
}

fn job(id: &str, epoch: Option<u64>) -> Origin {
    Origin::Job {
        id: JobId::from_wire(id),
        epoch,
    }
}

/// Jobs `a`: one that has read, and then one that never did and was to begin like this.
fn jobs(phase: Phase, origin: Origin) -> [JobRecord; 2] {
    let mut first = ending("job_1");
    first.phase = OVER;
    first.partitions[0].owner = None;
    let mut second = record("job_2", "a", phase, false);
    second.origin = origin;
    [first, second]
}

/// Requests something of a master with these jobs.
async fn reply(
    jobs: &[JobRecord],
    request: impl AsyncFnOnce(&Handle) -> Result<SubmitReply, KolError>,
) -> Result<SubmitReply, KolError> {
    let tasks = Group::new("test");
    let handle = master(jobs, &tasks).await;
    let reply = request(&handle).await;
    tasks.drain(Duration::from_secs(5)).await;
    reply
}

#[tokio::test]
async fn a_job_that_never_read_hands_on_where_it_was_to_begin() {
    for phase in [Phase::Starting, FAILED] {
        for origin in [
            job("job_1", Some(3)),
            Origin::Offsets(StartingOffsets::Timestamp(Millis(1_700_000_000_000))),
            Origin::Savepoint {
                location: "file:///savepoints/sav_1".into(),
            },
        ] {
            let wanted = origin.to_string();
            let jobs = jobs(phase, origin);
            let again = async |h: &Handle| h.submit(submission("a", true, Begin::Resume)).await;
            assert_eq!(reply(&jobs, again).await.unwrap().origin, wanted);
            let begin = || Begin::From("job_2".into());
            let named = async |h: &Handle| h.submit(submission("a", true, begin())).await;
            assert_eq!(reply(&jobs, named).await.unwrap().origin, wanted);
        }
    }
    // One that has read hands on what it has.
    let [first, _] = jobs(OVER, Origin::Spec);
    let again = async |h: &Handle| h.submit(submission("a", true, Begin::Resume)).await;
    let origin = reply(&[first], again).await.unwrap().origin;
    assert_eq!(origin, "the last epoch of job_1");
}

#[tokio::test]
async fn state_that_a_job_was_to_begin_with_must_fit_the_next_one_too() {
    let jobs = jobs(FAILED, job("job_1", None));
    let mut other = submission("a", true, Begin::Resume);
    other.spec.scoring.window = Millis(1);
    let again = async |h: &Handle| h.submit(other).await;
    assert_eq!(
        reply(&jobs, again).await.unwrap_err().code,
        "STATE_DOES_NOT_FIT"
    );
}

#[tokio::test]
async fn a_rollback_of_a_job_that_never_read_has_the_state_that_it_was_to_begin_with() {
    let back = async |h: &Handle| h.roll_back("a".into()).await;
    let replaced = jobs(Phase::Starting, job("job_1", None));
    let origin = reply(&replaced, back).await.unwrap().origin;
    assert_eq!(origin, "the last epoch of job_1");
    // Neither of them has read.
    let [mut first, second] = jobs(Phase::Starting, Origin::Spec);
    first.partitions.clear();
    first.origin = job("job_0", None);
    let origin = reply(&[first, second], back).await.unwrap().origin;
    assert_eq!(origin, "the last epoch of job_0");
}

#[tokio::test]
async fn a_job_waits_for_the_one_that_a_job_which_never_began_waited_for() {
    let [_, mut second] = jobs(Phase::Starting, job("job_1", None));
    second.follows = Some(Predecessor {
        id: JobId::from_wire("job_1"),
        end: End::Stopped,
    });
    let tasks = Group::new("test");
    let handle = master(&[ending("job_1"), second], &tasks).await;
    let next = submission("a", true, Begin::Resume);
    let next = handle.submit(next).await.unwrap();
    assert_eq!(next.origin, "the last epoch of job_1");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = handle.job("job_2".into()).await.unwrap();
    assert_eq!(status.state(), JobState::Stopped, "it never began");
    let status = handle.job(next.job_id.clone()).await.unwrap();
    assert_eq!(status.state(), JobState::Starting);
    assert!(status.reason.contains("job_1 has ended"), "{status:?}");
    // The same without a job in between that is live.
    let cancelled = handle.end(next.job_id, End::Cancelled, None).await;
    assert_eq!(cancelled.unwrap().0.state(), JobState::Cancelled);
    let next = handle.submit(submission("a", true, Begin::Resume)).await;
    assert_eq!(next.unwrap_err().code, "JOB_ENDING");
    tasks.drain(Duration::from_secs(5)).await;
}
