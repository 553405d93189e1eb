use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{Confirmed, PartitionStatus, Released, Reports, Revoke};
use kol_common::{ExecutorId, SourcePartition};

use super::*;
use crate::job::effect::{Event, Resumed};
use crate::job::testing::{Out, Rig, assigned, executor, fleet, revoked};

fn confirmed(position: u64) -> PartitionReport {
    PartitionReport {
        position: position + 7,
        confirmed: Some(Confirmed {
            position,
            ..Confirmed::default()
        }),
        ..PartitionReport::default()
    }
}

#[test]
fn a_pause_ends_when_redis_has_what_the_owner_before_had_read() {
    let mut pauses = Pauses::default();
    assert_eq!(pauses.reported(Millis(5), &confirmed(50)), None);
    pauses.begin(Millis(100), 50);
    assert_eq!(pauses.read_before(), Some(50));
    let reads = PartitionReport {
        position: 60,
        ..PartitionReport::default()
    };
    assert_eq!(pauses.reported(Millis(150), &reads), None, "nothing sent");
    assert_eq!(pauses.reported(Millis(200), &confirmed(49)), None);
    assert_eq!(pauses.last(), None, "it still pauses");
    let paused = Some(Millis(160));
    assert_eq!(pauses.reported(Millis(260), &confirmed(50)), paused);
    assert_eq!(pauses.last(), paused);
    assert_eq!(pauses.read_before(), None);
    assert_eq!(pauses.reported(Millis(300), &confirmed(80)), None, "once");
}

#[test]
fn an_owner_that_never_got_that_far_does_not_end_a_pause() {
    let mut pauses = Pauses::default();
    pauses.begin(Millis(100), 50);
    pauses.begin(Millis(900), 30);
    assert_eq!(pauses.read_before(), Some(50));
    let paused = Some(Millis(1_900));
    assert_eq!(pauses.reported(Millis(2_000), &confirmed(50)), paused);
}

#[test]
fn a_flush_that_did_not_take_everything_ends_a_pause_too() {
    let mut pauses = Pauses::default();
    pauses.begin(Millis(100), 50);
    let report = PartitionReport {
        arrived: Some(49),
        ..confirmed(60)
    };
    assert_eq!(pauses.reported(Millis(200), &report), None, "another log's");
    let report = PartitionReport {
        arrived: Some(50),
        ..confirmed(20)
    };
    assert_eq!(pauses.reported(Millis(300), &report), Some(Millis(200)));
}

#[test]
fn a_log_that_was_cut_off_or_is_another_one_is_not_waited_for() {
    let mut pauses = Pauses::default();
    pauses.begin(Millis(100), 50);
    pauses.cut(20);
    assert_eq!(
        pauses.reported(Millis(200), &confirmed(20)),
        Some(Millis(100))
    );
    pauses.begin(Millis(300), 50);
    pauses.forget();
    assert_eq!(pauses.read_before(), None);
    assert_eq!(pauses.reported(Millis(900), &confirmed(90)), None);
    assert_eq!(pauses.last(), None);
}

/// What the owner of partition 0 reports under this assignment epoch.
fn report(rig: &mut Rig, by: u8, assignment_epoch: u64, report: PartitionReport) -> Out {
    let report = PartitionReport {
        partition: Some((&SourcePartition::new("t", 0)).into()),
        assignment_epoch,
        ..report
    };
    let reports = Reports {
        reports: vec![report],
        unchanged: None,
    };
    rig.event(Event::Received(
        executor(by),
        FromExecutor::Reports(reports),
    ))
}

fn release(rig: &mut Rig, revoke: Revoke, position: u64, stopped_ms: Option<u64>) -> Out {
    let released = Released {
        job_id: revoke.job_id,
        partition: revoke.partition,
        assignment_epoch: revoke.assignment_epoch,
        position,
        drained: true,
        stopped_ms,
    };
    rig.event(Event::Received(
        executor(1),
        FromExecutor::Released(released),
    ))
}

/// Where the owner before had read to, for each assignment.
fn read_before(out: &Out) -> Vec<(ExecutorId, Option<u64>)> {
    let mut all = Vec::new();
    for (to, message) in &out.sends {
        if let ToExecutor::Assign(assign) = message {
            let of = |p: &_| kol_common::proto::PartitionAssignment::clone(p).read_before;
            all.extend(assign.partitions.iter().map(|p| (to.clone(), of(p))));
        }
    }
    all
}

fn status(rig: &Rig) -> PartitionStatus {
    let status = rig.job.status(Millis(rig.now), &rig.fleet);
    status.partitions.into_iter().next().unwrap()
}

/// A job with a partition on executor 1, which has read to 40 and is to be moved to executor 2.
fn moving() -> (Rig, Revoke) {
    let (mut rig, out) = Rig::running(&[1], 2);
    assert_eq!(
        read_before(&out),
        [(executor(1), None), (executor(1), None)]
    );
    rig.report_all(&out);
    report(&mut rig, 1, 1, confirmed(33));
    rig.fleet = fleet(&[1, 2]);
    rig.fleet.get_mut(&executor(2)).unwrap().prepares = false;
    let mut requested = revoked(&rig.tick());
    let (_, revoke) = requested.remove(0);
    (rig, revoke)
}

#[test]
fn a_move_is_timed_from_when_its_owner_stopped_until_redis_has_all_that_one_had_read() {
    let (mut rig, revoke) = moving();
    assert_eq!(status(&rig).paused_ms, None);
    rig.now += 1_000;
    let out = release(&mut rig, revoke, 42, Some(300));
    assert_eq!(read_before(&out), [(executor(2), Some(42))]);
    let (_, _, epoch) = assigned(&out)[0];
    rig.now += 100;
    assert_eq!(report(&mut rig, 2, epoch, confirmed(41)).resumed, []);
    rig.now += 100;
    let out = report(&mut rig, 2, epoch, confirmed(42));
    let resumed = Resumed {
        partition: SourcePartition::new("t", 0),
        paused: Millis(500),
        steps: Steps {
            assigned: Millis(300),
            again: 0,
        },
        cause: "balance",
    };
    assert_eq!(out.resumed, [resumed]);
    assert_eq!(status(&rig).paused_ms, Some(500));
}

#[test]
fn the_pause_of_a_partition_whose_owner_is_lost_begins_with_its_last_report() {
    let (mut rig, _) = moving();
    rig.now += 5_000;
    rig.fleet = fleet(&[2]);
    let out = rig.tick();
    let to = (executor(2), Some(40));
    assert!(read_before(&out).contains(&to), "{:?}", read_before(&out));
    let of = |(_, number, epoch): (_, u32, u64)| (number == 0).then_some(epoch);
    let epoch = assigned(&out).into_iter().find_map(of).unwrap();
    rig.now += 70;
    let out = report(&mut rig, 2, epoch, confirmed(40));
    assert_eq!(out.resumed[0].paused, Millis(5_070));
    assert_eq!(out.resumed[0].cause, "lost");
}
