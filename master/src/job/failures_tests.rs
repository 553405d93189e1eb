use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::{ErrorDomain, JobState, RevokeMode};

use super::discovery::Found;
use super::effect::Event;
use super::testing::{Out, Rig, assigned, executor, failure, revoked};

#[test]
fn a_failure_that_a_person_must_repair_ends_the_job_and_others_are_tried_again_within_a_budget() {
    let (mut rig, _) = Rig::running(&[1], 1);
    for attempt in 0..5 {
        let epoch = rig.job.record().partitions[0].assignment_epoch;
        rig.fail(1, 0, epoch, ErrorDomain::External);
        assert_eq!(rig.state(), (JobState::Degraded, "it broke".into()));
        assert!(assigned(&rig.after(100)).is_empty());
        assert_eq!(assigned(&rig.after(10_000)).len(), 1, "attempt {attempt}");
    }
    let epoch = rig.job.record().partitions[0].assignment_epoch;
    rig.fail(1, 0, epoch, ErrorDomain::External);
    let (state, reason) = rig.state();
    assert_eq!(state, JobState::Failed);
    assert!(reason.contains("failed 6 times"), "{reason}");

    let (mut rig, _) = Rig::running(&[1], 2);
    let out = rig.fail(1, 0, 1, ErrorDomain::User);
    assert_eq!(rig.state(), (JobState::Failed, "BROKE: it broke".into()));
    assert_eq!(revoked(&out)[0].1.mode(), RevokeMode::Now);
}

/// Redis refuses a partition.
fn fenced(rig: &mut Rig, number: u32, epoch: u64) -> Out {
    let mut failed = failure(number, epoch, ErrorDomain::External);
    failed.error.as_mut().unwrap().code = "FENCED".into();
    rig.event(Event::Received(
        executor(1),
        FromExecutor::PartitionFailed(failed),
    ))
}

fn looked(generation: Option<u64>) -> Event {
    let found = Found {
        partitions: vec![],
        generation,
        state: None,
        rekeying: None,
    };
    Event::Discovered(Ok(found), None)
}

#[test]
fn a_job_that_redis_refuses_takes_a_newer_generation_and_continues_with_what_it_has() {
    let (mut rig, out) = Rig::running(&[1], 2);
    let epochs: Vec<u64> = assigned(&out).iter().map(|(.., epoch)| *epoch).collect();
    assert_eq!(rig.job.outranked(), None);
    assert!(fenced(&mut rig, 0, epochs[0]).discover, "at once");
    assert_eq!(rig.job.outranked(), Some(4));
    // A look that began before does not answer.
    rig.after(10);
    assert!(rig.event(looked(None)).discover);
    let out = rig.event(looked(Some(9)));
    assert!(out.persist);
    assert_eq!(
        (rig.job.record().generation, rig.job.outranked()),
        (9, None)
    );
    let again = assigned(&out);
    assert_eq!(again.len(), 2, "the other one, too");
    assert!(again.iter().zip(&epochs).all(|((.., new), old)| new > old));
    let offsets = rig.job.record().partitions;
    assert!(offsets.iter().all(|p| p.start_offset == 100));
    // One that is no longer current says nothing, nor does a look that finds nothing newer.
    assert!(!fenced(&mut rig, 0, epochs[0]).discover);
    let (.., epoch) = again[0];
    assert!(fenced(&mut rig, 0, epoch).discover);
    rig.event(looked(Some(9)));
    assert_eq!(
        (rig.job.record().generation, rig.job.outranked()),
        (9, None)
    );
    assert_eq!(assigned(&rig.after(10_000)).len(), 1, "tried again");
}
