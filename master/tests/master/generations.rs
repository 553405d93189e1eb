//! Which generation a job takes, by what Redis has on record.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::support::{FakeExecutor, Rig, is, people, submit, wait_for};
use kol_common::KolError;
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{Assign, JobState, PartitionFailed};

/// Redis refused the only partition of an assignment.
fn fenced(assign: &Assign) -> FromExecutor {
    let partition = &assign.partitions[0];
    FromExecutor::PartitionFailed(PartitionFailed {
        job_id: assign.job_id.clone(),
        partition: partition.partition.clone(),
        assignment_epoch: partition.assignment_epoch,
        lost_tail: None,
        error: Some(KolError::external("FENCED", "a newer owner writes").to_info()),
    })
}

/// The next assignment under a generation. Until it is known, the job may be tried again under the one before.
async fn assignment(executor: &mut FakeExecutor, generation: u64) -> Assign {
    let it = |message| match message {
        ToExecutor::Assign(next) => {
            assert!(next.generation <= generation, "{next:?}");
            Some(next).filter(|next| next.generation == generation)
        }
        _ => None,
    };
    executor.find("an assignment of that generation", it).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_takes_a_generation_above_the_rankings_of_all_platforms_and_rises_when_it_is_refused()
{
    let rig = Rig::new("events", 1).await;
    rig.known.fences.store(3, Ordering::Relaxed);
    rig.known.youtube.store(20, Ordering::Relaxed);
    let master = rig.master().await;
    let mut client = people(&master).await;
    let mut executor = FakeExecutor::connect(&master, "inc_1", vec![]).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let first = executor.assignment().await;
    assert_eq!(first.generation, 21);
    // Another cluster wrote while this job started.
    rig.known.youtube.store(50, Ordering::Relaxed);
    executor.send(fenced(&first)).await;
    let second = assignment(&mut executor, 51).await;
    assert_eq!(second.job_id, first.job_id);
    let [before, after] = [&first, &second].map(|assign| &assign.partitions[0]);
    assert_eq!(
        (&after.partition, after.offset),
        (&before.partition, before.offset)
    );
    assert!(after.assignment_epoch > before.assignment_epoch);
    // Nothing newer is on record: it is tried again as it is, and not for ever.
    let mut last = second;
    for _ in 0..4 {
        executor.send(fenced(&last)).await;
        last = executor.assignment().await;
        assert_eq!(last.generation, 51);
    }
    executor.send(fenced(&last)).await;
    let failed = wait_for(&mut client, "a", is(JobState::Failed)).await;
    assert!(failed.reason.contains("FENCED"), "{}", failed.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_outranked_does_not_rise_while_its_keys_may_be_anothers() {
    let rig = Rig::new("events", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    let mut executor = FakeExecutor::connect(&master, "inc_1", vec![]).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let first = executor.assignment().await;
    rig.known.youtube.store(50, Ordering::Relaxed);
    rig.known.hides_owners.store(true, Ordering::Relaxed);
    executor.send(fenced(&first)).await;
    let again = executor.assignment().await;
    assert_eq!(again.generation, first.generation);
    let quiet = tokio::time::timeout(Duration::from_secs(2), executor.assignment()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    rig.known.hides_owners.store(false, Ordering::Relaxed);
    assert_eq!(executor.assignment().await.generation, 51);
}
