use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    ExecutorState, PartitionReport, PartitionState, Prepared, Reports, RevokeMode, UnseenRoot,
};
use kol_common::{ExecutorId, KolError, Millis, SourcePartition};

use crate::job::effect::Event;
use crate::job::record::End;
use crate::job::testing::{Out, Rig, assigned, barriers, executor, fleet, revoked, set};

/// (executor, partition, epoch) of every state that is to be read ahead.
fn preparations(out: &Out) -> Vec<(ExecutorId, u32, u64)> {
    let mut all = Vec::new();
    for (to, message) in &out.sends {
        if let ToExecutor::Prepare(prepare) = message {
            for p in &prepare.partitions {
                assert!(p.state.is_some() && !prepare.spec_json.is_empty());
                let number = p.partition.as_ref().unwrap().partition;
                all.push((to.clone(), number, p.epoch));
            }
        }
    }
    all
}

/// (executor, partition) of every state that is not wanted any more.
fn discards(out: &Out) -> Vec<(ExecutorId, u32)> {
    let discard = |(to, message): &(ExecutorId, ToExecutor)| match message {
        ToExecutor::Discard(discard) => {
            let number = discard.partition.as_ref().unwrap().partition;
            Some((to.clone(), number))
        }
        _ => None,
    };
    out.sends.iter().filter_map(discard).collect()
}

/// A job with two partitions on executor 1, and its first committed epoch.
fn with_an_epoch() -> (Rig, u64) {
    let (mut rig, out) = Rig::running(&[1], 2);
    rig.report_all(&out);
    let (epoch, out) = next_epoch(&mut rig);
    assert!(preparations(&out).is_empty());
    (rig, epoch)
}

fn begin_epoch(rig: &mut Rig) -> u64 {
    barriers(&rig.after(1_000))[0].epoch
}

fn commit(rig: &mut Rig, epoch: u64) -> Out {
    rig.ack(epoch, 0);
    let out = rig.ack(epoch, 1);
    assert!(out.commit.is_some());
    out
}

/// One more epoch is committed.
fn next_epoch(rig: &mut Rig) -> (u64, Out) {
    let epoch = begin_epoch(rig);
    (epoch, commit(rig, epoch))
}

fn answer(rig: &mut Rig, by: u8, number: u32, epoch: u64, error: Option<KolError>) -> Out {
    let prepared = Prepared {
        job_id: "job_1".into(),
        partition: Some((&SourcePartition::new("t", number)).into()),
        epoch,
        error: error.map(|error| error.to_info()),
    };
    rig.event(Event::Received(
        executor(by),
        FromExecutor::Prepared(prepared),
    ))
}

fn ready(rig: &mut Rig, by: u8, number: u32, epoch: u64) -> Out {
    answer(rig, by, number, epoch, None)
}

fn unable() -> Option<KolError> {
    Some(KolError::external(
        "CHECKPOINT_DAMAGED",
        "a file is missing",
    ))
}

#[test]
fn the_owner_keeps_it_until_the_next_one_has_read_the_newest_state() {
    let (mut rig, first) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    let out = rig.tick();
    assert!(revoked(&out).is_empty());
    assert_eq!(preparations(&out), [(executor(2), 0, first)]);
    assert!(preparations(&rig.after(100)).is_empty(), "once");
    let (second, out) = next_epoch(&mut rig);
    assert_eq!(preparations(&out), [(executor(2), 0, second)]);
    assert!(revoked(&ready(&mut rig, 2, 0, first)).is_empty(), "older");
    assert!(revoked(&ready(&mut rig, 3, 0, second)).is_empty(), "who?");
    let requested = revoked(&ready(&mut rig, 2, 0, second));
    let (to, revoke) = &requested[0];
    assert_eq!((to, revoke.mode()), (&executor(1), RevokeMode::Now));
    assert_eq!(requested.len(), 1, "the other partition stays");
    let out = rig.release(1, revoke, false);
    assert_eq!(
        assigned(&out),
        [(executor(2), 0, revoke.assignment_epoch + 1)]
    );
    assert!(
        out.persist && discards(&out).is_empty(),
        "it has that state"
    );
}

#[test]
fn a_move_waits_for_an_open_epoch_but_not_for_long() {
    let (mut rig, first) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    rig.tick();
    let epoch = begin_epoch(&mut rig);
    assert!(revoked(&ready(&mut rig, 2, 0, first)).is_empty());
    commit(&mut rig, epoch);
    assert_eq!(revoked(&ready(&mut rig, 2, 0, epoch)).len(), 1);

    let (mut rig, first) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    rig.tick();
    begin_epoch(&mut rig);
    ready(&mut rig, 2, 0, first);
    assert!(revoked(&rig.after(2_900)).is_empty());
    assert_eq!(revoked(&rig.after(100)).len(), 1);
}

/// Partition 0 of executor 1 reads on: its next owner would read more again than takes no time.
fn read_much(rig: &mut Rig) {
    let report = PartitionReport {
        partition: Some((&SourcePartition::new("t", 0)).into()),
        assignment_epoch: 1,
        state: PartitionState::Running as i32,
        position: 20_001,
        ..PartitionReport::default()
    };
    let reports = FromExecutor::Reports(Reports {
        reports: vec![report],
        unchanged: None,
    });
    rig.event(Event::Received(executor(1), reports));
}

/// The next owner of partition 0 has read the newest state, but much came since.
fn with_much_to_read_again() -> (Rig, u64) {
    let (mut rig, first) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    rig.tick();
    read_much(&mut rig);
    (rig, first)
}

#[test]
fn where_much_would_be_read_again_a_move_waits_for_one_newer_epoch_whether_it_is_open_or_not() {
    let (mut rig, first) = with_much_to_read_again();
    assert!(revoked(&ready(&mut rig, 2, 0, first)).is_empty());
    let second = begin_epoch(&mut rig);
    assert!(
        revoked(&commit(&mut rig, second)).is_empty(),
        "not read yet"
    );
    assert_eq!(revoked(&ready(&mut rig, 2, 0, second)).len(), 1);
}

#[test]
fn a_move_waits_for_a_newer_epoch_a_minute_at_most() {
    let (mut rig, first) = with_much_to_read_again();
    ready(&mut rig, 2, 0, first);
    assert!(revoked(&rig.after(59_900)).is_empty());
    assert_eq!(revoked(&rig.after(100)).len(), 1);
}

#[test]
fn a_move_waits_for_no_epoch_where_its_owner_cannot_take_part_in_one() {
    let (mut rig, first) = with_much_to_read_again();
    let root = UnseenRoot {
        location: rig.job.header().spec.checkpoint.location.clone(),
        ..UnseenRoot::default()
    };
    rig.fleet.get_mut(&executor(1)).unwrap().unseen.push(root);
    // Others may not see it either: that takes a moment.
    rig.after(5_000);
    assert_eq!(revoked(&ready(&mut rig, 2, 0, first)).len(), 1);
}

#[test]
fn a_move_waits_for_no_epoch_once_its_owner_ends_soon() {
    let (mut rig, first) = with_much_to_read_again();
    set(&mut rig.fleet, 1, ExecutorState::Leaving);
    rig.fleet.get_mut(&executor(1)).unwrap().drains_at = Some(Millis(rig.now + 7_000));
    assert!(revoked(&ready(&mut rig, 2, 0, first)).is_empty());
    rig.after(6_900);
    let requested = revoked(&rig.after(100));
    let revoke = requested
        .iter()
        .find(|(_, r)| r.partition.as_ref().unwrap().partition == 0);
    assert_eq!(revoke.unwrap().1.mode(), RevokeMode::Now);
}

#[test]
fn an_epoch_that_a_move_waits_for_begins_soon_however_long_the_one_before_took() {
    let (mut rig, _) = with_an_epoch();
    let epoch = begin_epoch(&mut rig);
    rig.after(4_000);
    commit(&mut rig, epoch);
    rig.fleet = fleet(&[1, 2]);
    rig.tick();
    read_much(&mut rig);
    assert!(barriers(&rig.after(4_000)).is_empty(), "it reads the state");
    assert_eq!(barriers(&ready(&mut rig, 2, 0, epoch)).len(), 1);
}

#[test]
fn what_an_owner_before_had_read_is_read_again_by_who_takes_over_from_one_that_did_not_get_so_far()
{
    let (mut rig, epoch) = with_much_to_read_again();
    ready(&mut rig, 2, 0, epoch);
    let requested = revoked(&rig.after(60_000));
    let out = rig.release(1, &requested[0].1, false);
    assert_eq!(assigned(&out)[0].0, executor(2));
    // It has reported nothing yet when a person drains it.
    rig.fleet = fleet(&[1, 2, 3]);
    rig.fleet.get_mut(&executor(2)).unwrap().draining = true;
    let prepared = preparations(&rig.tick());
    let to = prepared.iter().find(|(_, number, _)| *number == 0);
    let (to, _, epoch) = to.cloned().unwrap();
    let by = if to == executor(1) { 1 } else { 3 };
    assert!(revoked(&ready(&mut rig, by, 0, epoch)).is_empty());
}

#[test]
fn an_executor_that_reads_nothing_ahead_gets_partitions_that_were_drained() {
    let (mut rig, _) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    rig.fleet.get_mut(&executor(2)).unwrap().prepares = false;
    let out = rig.tick();
    assert!(preparations(&out).is_empty());
    assert_eq!(revoked(&out)[0].1.mode(), RevokeMode::Drain);
}

#[test]
fn a_state_that_cannot_be_read_stays_with_its_owner_and_is_tried_again_later() {
    let (mut rig, epoch) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    rig.tick();
    let out = answer(&mut rig, 2, 0, epoch, unable());
    assert!(revoked(&out).is_empty());
    assert_eq!(discards(&out), [(executor(2), 0)]);
    assert!(preparations(&rig.after(9_900)).is_empty());
    assert_eq!(preparations(&rig.after(100)), [(executor(2), 0, epoch)]);
}

#[test]
fn a_state_that_takes_too_long_stays_with_its_owner_and_is_tried_again_later() {
    let (mut rig, epoch) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    rig.tick();
    assert!(discards(&rig.after(119_900)).is_empty());
    rig.after(100);
    assert_eq!(discards(&rig.tick()), [(executor(2), 0)]);
    assert_eq!(preparations(&rig.after(10_000)), [(executor(2), 0, epoch)]);
}

#[test]
fn an_owner_that_leaves_drains_what_cannot_be_read_ahead() {
    let (mut rig, epoch) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    set(&mut rig.fleet, 1, ExecutorState::Leaving);
    let out = rig.tick();
    assert_eq!(preparations(&out).len(), 2);
    assert!(revoked(&out).is_empty(), "it continues meanwhile");
    let out = ready(&mut rig, 2, 1, epoch);
    assert_eq!(revoked(&out)[0].1.mode(), RevokeMode::Now);
    let out = answer(&mut rig, 2, 0, epoch, unable());
    assert_eq!(revoked(&out)[0].1.mode(), RevokeMode::Drain);
}

#[test]
fn an_owner_that_leaves_drains_before_it_ends_what_is_not_read_by_then() {
    let (mut rig, epoch) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    set(&mut rig.fleet, 1, ExecutorState::Leaving);
    rig.fleet.get_mut(&executor(1)).unwrap().drains_at = Some(Millis(rig.now + 7_000));
    rig.tick();
    let out = ready(&mut rig, 2, 1, epoch);
    rig.release(1, &revoked(&out)[0].1, false);
    assert!(revoked(&rig.after(6_900)).is_empty());
    let out = rig.after(100);
    assert_eq!(revoked(&out)[0].1.mode(), RevokeMode::Drain);
    let out = rig.release(1, &revoked(&out)[0].1, true);
    assert_eq!(assigned(&out)[0].0, executor(2), "with what it has read");
    assert!(discards(&out).is_empty());
}

#[test]
fn a_partition_of_a_lost_owner_goes_to_who_has_read_its_state() {
    let (mut rig, epoch) = with_an_epoch();
    rig.fleet = fleet(&[1, 3]);
    let out = rig.tick();
    assert_eq!(preparations(&out), [(executor(3), 0, epoch)]);
    rig.fleet = fleet(&[2, 3]);
    let out = rig.after(100);
    let mut to: Vec<_> = assigned(&out)
        .into_iter()
        .map(|(to, n, _)| (n, to))
        .collect();
    to.sort();
    assert_eq!(to, [(0, executor(3)), (1, executor(2))]);
    assert!(discards(&out).is_empty());
}

#[test]
fn a_move_that_has_begun_is_not_planned_again() {
    let (mut rig, epoch) = with_an_epoch();
    rig.fleet = fleet(&[1, 3]);
    assert_eq!(preparations(&rig.tick()), [(executor(3), 0, epoch)]);
    rig.fleet = fleet(&[1, 2, 3]);
    let out = rig.tick();
    assert!(discards(&out).is_empty() && preparations(&out).is_empty());
    assert_eq!(revoked(&ready(&mut rig, 3, 0, epoch)).len(), 1);
}

#[test]
fn what_was_read_is_forgotten_with_its_executor_and_with_its_stream() {
    let (mut rig, epoch) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    rig.tick();
    rig.fleet = fleet(&[1]);
    assert!(discards(&rig.tick()).is_empty(), "it is not called");
    assert!(revoked(&ready(&mut rig, 2, 0, epoch)).is_empty());
    rig.fleet = fleet(&[1, 2]);
    assert_eq!(preparations(&rig.tick()).len(), 1);
    let out = rig.event(Event::Connected(executor(2), Vec::new()));
    assert_eq!(preparations(&out), [(executor(2), 0, epoch)]);
}

#[test]
fn an_executor_is_reminded_of_what_it_has_read() {
    let (mut rig, epoch) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    rig.tick();
    assert!(preparations(&rig.after(9_900)).is_empty());
    assert_eq!(preparations(&rig.after(100)), [(executor(2), 0, epoch)]);
}

#[test]
fn a_plan_that_changes_and_a_job_that_ends_leave_nothing_behind() {
    let (mut rig, _) = with_an_epoch();
    rig.fleet = fleet(&[1, 2]);
    rig.tick();
    set(&mut rig.fleet, 2, ExecutorState::Leaving);
    assert_eq!(discards(&rig.tick()), [(executor(2), 0)]);
    set(&mut rig.fleet, 2, ExecutorState::Alive);
    rig.tick();
    let out = rig.event(Event::End(End::Cancelled, String::new()));
    assert_eq!(discards(&out), [(executor(2), 0)]);
}

#[test]
fn an_executor_that_drains_keeps_what_no_one_else_can_have_and_gets_nothing() {
    let (mut rig, epoch) = with_an_epoch();
    rig.fleet.get_mut(&executor(1)).unwrap().draining = true;
    assert!(revoked(&rig.after(100)).is_empty());
    assert_eq!(rig.job.held_by(&executor(1)), 2);
    let alone = rig.fleet.remove(&executor(1)).unwrap();
    rig.fleet = fleet(&[2]);
    rig.fleet.insert(executor(1), alone);
    assert_eq!(preparations(&rig.tick()).len(), 2);
    for number in 0..2 {
        let out = ready(&mut rig, 2, number, epoch);
        let revoke = revoked(&out)[0].1.clone();
        let out = rig.release(1, &revoke, false);
        assert_eq!(assigned(&out)[0].0, executor(2));
    }
    // Lost, and back: nothing comes back to it while it drains.
    rig.fleet.remove(&executor(2));
    assert!(assigned(&rig.after(100)).is_empty());
    rig.fleet.get_mut(&executor(1)).unwrap().draining = false;
    assert_eq!(assigned(&rig.after(100)).len(), 2);
}
