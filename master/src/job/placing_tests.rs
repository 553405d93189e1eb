//! Where the partitions of a job are, and what is said of that.

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::{
    ErrorDomain, ExecutorState, PartitionReport, PartitionState, PartitionStatus, Placement, Rates,
    Reports, RunningPartition,
};
use kol_common::{Millis, SourcePartition};

use super::effect::Event;
use super::load::Load;
use super::machine::Job;
use super::testing::{DRAIN, Out, Rig, assigned, executor, fleet, revoked, set};

/// An executor reports one of its partitions, with so many events a second.
fn report(rig: &mut Rig, by: u8, number: u32, assignment_epoch: u64, events: u64) -> Out {
    let report = PartitionReport {
        partition: Some((&SourcePartition::new("t", number)).into()),
        assignment_epoch,
        state: PartitionState::Running as i32,
        rates: (events > 0).then_some(Rates { events, bytes: 0 }),
        ..PartitionReport::default()
    };
    let reports = vec![report];
    rig.event(Event::Received(
        executor(by),
        FromExecutor::Reports(Reports {
            reports,
            unchanged: None,
        }),
    ))
}

fn entry(rig: &Rig, number: usize) -> PartitionStatus {
    let status = rig.job.status(Millis(rig.now), &rig.fleet);
    status.partitions[number].clone()
}

fn placement(rig: &Rig, number: usize) -> Placement {
    entry(rig, number).placement.unwrap()
}

#[test]
fn a_placement_says_since_when_and_why_also_after_a_restart_of_the_master() {
    let (mut rig, _) = Rig::running(&[1, 2], 2);
    let first = placement(&rig, 0);
    assert_eq!((first.since_ms, first.cause.as_str()), (Some(0), "new"));
    rig.now = 7_000;
    rig.fleet.remove(&executor(1));
    let moved = assigned(&rig.tick());
    assert_eq!(moved.len(), 1);
    let number = moved[0].1 as usize;
    let after = placement(&rig, number);
    assert_eq!(
        (after.since_ms, after.cause.as_str()),
        (Some(7_000), "lost")
    );
    assert!(after.why.starts_with("exe_1 was lost"), "{}", after.why);
    assert_eq!(
        after.moves_when,
        "there is no other executor that may have it"
    );
    let restarted = Rig {
        job: Job::new(rig.job.record(), vec![], Millis(9_000), DRAIN),
        now: 9_000,
        fleet: fleet(&[2]),
    };
    assert_eq!(placement(&restarted, number).why, after.why);
    rig.fleet = fleet(&[2, 3]);
    let other = placement(&rig, number);
    assert_eq!(other.moves_when, "it is moving to exe_3");
    assert_eq!(other.executor_load_ppm, 10_000);
}

#[test]
fn a_partition_moves_for_balance_and_says_how_full_both_were() {
    let (mut rig, first) = Rig::running(&[1, 2], 4);
    for (owner, number, epoch) in assigned(&first) {
        let by = if owner == executor(1) { 1 } else { 2 };
        let events = if by == 1 { 200_000 } else { 10_000 };
        let out = report(&mut rig, by, number, epoch, events);
        assert!(revoked(&out).len() <= 1);
    }
    let requested = revoked(&rig.tick());
    assert!(requested.is_empty(), "it was requested with the report");
    let moving = rig.job.record().partitions.into_iter().find(|p| {
        let shown = placement(&rig, p.ordinal as usize);
        shown.moves_when == "it is moving to exe_2"
    });
    let moving = moving.unwrap();
    let shown = (0..4).map(|number| entry(&rig, number));
    let shown = shown.map(|p| (p.executor_id, p.moving_to));
    let moves: Vec<_> = shown.filter(|(_, next)| next.is_some()).collect();
    assert_eq!(moves, [("exe_1".into(), Some("exe_2".into()))]);
    let released = kol_common::proto::Revoke {
        job_id: "job_1".into(),
        partition: Some((&moving.partition).into()),
        assignment_epoch: moving.assignment_epoch,
        mode: 1,
    };
    assert_eq!(assigned(&rig.release(1, &released, true)).len(), 1);
    let shown = placement(&rig, moving.ordinal as usize);
    assert_eq!(shown.cause, "balance");
    assert!(shown.why.starts_with("exe_1 was "), "{}", shown.why);
    assert!(shown.moves_at_ppm.unwrap() > shown.executor_load_ppm);
    let arrived = entry(&rig, moving.ordinal as usize);
    assert_eq!((&*arrived.executor_id, arrived.moving_to), ("exe_2", None));
    // What it takes is known although its new owner has not measured it.
    let epoch = rig.job.record().partitions[moving.ordinal as usize].assignment_epoch;
    let out = report(&mut rig, 2, moving.ordinal, epoch, 0);
    assert!(revoked(&out).is_empty());
    assert_eq!(
        placement(&rig, moving.ordinal as usize)
            .rates
            .unwrap()
            .events,
        200_000
    );
}

#[test]
fn after_a_restart_nothing_moves_for_balance_before_all_that_runs_was_reported() {
    let (rig, first) = Rig::running(&[1], 4);
    let mut restarted = Rig {
        job: Job::new(rig.job.record(), vec![], Millis(1_000), DRAIN),
        now: 1_000,
        fleet: fleet(&[1, 2]),
    };
    let claims = assigned(&first).into_iter();
    let claims: Vec<_> = claims
        .map(|(_, number, epoch)| RunningPartition {
            job_id: "job_1".into(),
            partition: Some((&SourcePartition::new("t", number)).into()),
            generation: 4,
            assignment_epoch: epoch,
        })
        .collect();
    let out = restarted.event(Event::Connected(executor(1), claims));
    assert!(revoked(&out).is_empty());
    let mut requested = 0;
    for (_, number, epoch) in assigned(&first) {
        assert_eq!(requested, 0);
        requested += revoked(&report(&mut restarted, 1, number, epoch, 0)).len();
    }
    assert_eq!(requested, 2);
}

#[test]
fn a_partition_that_failed_goes_to_another_zone_or_at_least_to_another_host() {
    for (zones, expected) in [(["a", "a", "b"], 3), (["", "", ""], 2)] {
        let (mut rig, first) = Rig::running(&[1], 1);
        rig.fleet = fleet(&[1, 2, 3, 4]);
        for (n, zone) in (1..).zip(zones) {
            let site = &mut rig.fleet.get_mut(&executor(n)).unwrap().site;
            site.zone = zone.into();
        }
        // Another process on the host where it fails.
        let own = rig.fleet[&executor(1)].site.clone();
        rig.fleet.get_mut(&executor(4)).unwrap().site = own;
        rig.fleet.remove(&executor(1)).unwrap();
        let mut there = fleet(&[1]);
        there.get_mut(&executor(1)).unwrap().site = rig.fleet[&executor(4)].site.clone();
        rig.fleet.extend(there);
        let (_, number, epoch) = assigned(&first)[0].clone();
        rig.fail(1, number, epoch, ErrorDomain::External);
        let again = assigned(&rig.after(10_000));
        assert_eq!(again[0].0, executor(expected), "{zones:?}");
        let shown = placement(&rig, 0);
        assert_eq!(shown.cause, "failed");
        assert!(shown.why.contains("exe_1 (BROKE)"), "{}", shown.why);
    }
}

#[test]
fn who_leaves_or_does_not_answer_is_named_as_the_reason() {
    let (mut rig, _) = Rig::running(&[1, 2], 2);
    let on_first = (0..2)
        .find(|n| entry(&rig, *n).executor_id == "exe_1")
        .unwrap();
    set(&mut rig.fleet, 1, ExecutorState::Suspect);
    rig.tick();
    let shown = placement(&rig, on_first);
    assert_eq!(
        shown.moves_when,
        "when exe_1 is lost: it does not answer now"
    );
    set(&mut rig.fleet, 1, ExecutorState::Leaving);
    let requested = revoked(&rig.tick());
    rig.release(1, &requested[0].1, true);
    let shown = placement(&rig, on_first);
    assert_eq!(shown.cause, "leaving");
    assert!(shown.why.starts_with("exe_1 leaves"), "{}", shown.why);
}

#[test]
fn a_person_who_drains_an_executor_is_named_as_the_reason() {
    let (mut rig, _) = Rig::running(&[1, 2], 2);
    let on_first = (0..2)
        .find(|n| entry(&rig, *n).executor_id == "exe_1")
        .unwrap();
    rig.fleet.get_mut(&executor(1)).unwrap().draining = true;
    let other = rig.fleet.remove(&executor(2)).unwrap();
    let shown = placement(&rig, on_first);
    assert_eq!(
        shown.moves_when,
        "there is no other executor that may have it"
    );
    rig.fleet.insert(executor(2), other);
    let requested = revoked(&rig.tick());
    rig.release(1, &requested[0].1, true);
    let shown = placement(&rig, on_first);
    assert_eq!(shown.cause, "drained");
    assert!(shown.why.starts_with("exe_1 is drained"), "{}", shown.why);
}

#[test]
fn other_jobs_see_what_a_job_takes_where_it_is_about_to_be() {
    let (mut rig, _) = Rig::running(&[1], 4);
    let one = Load::of(None);
    assert_eq!(rig.job.loads()[&executor(1)].cpu, 4 * one.cpu);
    rig.fleet = fleet(&[1, 2]);
    assert_eq!(revoked(&rig.tick()).len(), 2);
    let loads = rig.job.loads();
    assert_eq!(loads[&executor(2)].cpu, 2 * one.cpu, "{loads:?}");
    assert_eq!(loads[&executor(1)].cpu, 2 * one.cpu, "{loads:?}");
}
