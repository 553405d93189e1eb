//! Executors that do not see the checkpoint folder, and state that cannot be read.

use kol_common::checkpoint::{ABSENT, DAMAGED, NO_ROOM};
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{ErrorDomain, JobState, Manifest, PartitionCheckpoint, UnseenRoot};
use kol_common::{KolError, Millis, SourcePartition};
use uuid::Uuid;

use super::discovery::Found;
use super::effect::Event;
use super::origin::Origin;
use super::testing::{
    Out, Rig, TOPIC, assigned, barriers, executor, failure, found, revoked, started,
};

/// An executor says that it does not see the root of the job, or that it does again.
fn sees(rig: &mut Rig, n: u8, sees: bool) {
    sees_folder(rig, n, sees, "");
}

/// The same of the folder of one job in it.
fn sees_folder(rig: &mut Rig, n: u8, sees: bool, folder: &str) {
    let location = rig.job.header().spec.checkpoint.location.clone();
    let root = UnseenRoot {
        location,
        folder: folder.to_owned(),
        error: Some(KolError::external(ABSENT, format!("host{n} does not see it")).to_info()),
    };
    let unseen = if sees { Vec::new() } else { vec![root] };
    let now = Millis(rig.now);
    let executor = rig.fleet.get_mut(&executor(n)).unwrap();
    (executor.unseen, executor.unseen_since) = (unseen, now);
}

fn fail(rig: &mut Rig, by: u8, number: u32, epoch: u64, code: &str) -> Out {
    let mut failed = failure(number, epoch, ErrorDomain::External);
    failed.error.as_mut().unwrap().code = code.to_owned();
    rig.event(Event::Received(
        executor(by),
        FromExecutor::PartitionFailed(failed),
    ))
}

/// A job with one partition on executor 1, and one committed epoch of it.
fn with_an_epoch(origin: Origin) -> Rig {
    let mut record = Rig::record();
    record.origin = origin;
    let mut rig = Rig::with(record, &[1]);
    rig.tick();
    let out = rig.event(found(1));
    rig.report_all(&out);
    let epoch = barriers(&rig.after(1_000))[0].epoch;
    assert!(rig.ack(epoch, 0).commit.is_some());
    rig
}

#[test]
fn an_executor_without_the_folder_is_named_and_gets_nothing_until_it_sees_it() {
    let (mut rig, _) = Rig::running(&[1], 2);
    rig.fleet = super::testing::fleet(&[1, 2]);
    sees(&mut rig, 2, false);
    assert!(revoked(&rig.tick()).is_empty(), "nothing is moved there");
    let status = rig.job.status(Millis(rig.now), &rig.fleet);
    let problem = &status.problems[0];
    assert_eq!(problem.code, ABSENT);
    assert!(problem.message.contains("host2"), "{problem:?}");
    assert!(problem.help.contains("host2"), "{problem:?}");
    sees(&mut rig, 2, true);
    assert_eq!(revoked(&rig.tick()).len(), 1);
    assert_eq!(rig.state().0, JobState::Running);
}

#[test]
fn a_folder_of_one_job_that_is_away_keeps_partitions_of_that_job_only() {
    for (folder, moves) in [("job_1", 0), ("job_2", 1)] {
        let (mut rig, _) = Rig::running(&[1], 2);
        rig.fleet = super::testing::fleet(&[1, 2]);
        sees_folder(&mut rig, 2, false, folder);
        assert_eq!(revoked(&rig.tick()).len(), moves, "{folder}");
    }
}

#[test]
fn what_an_executor_has_that_loses_the_folder_moves_to_those_that_see_it() {
    let (mut rig, _) = Rig::running(&[1, 2], 2);
    sees(&mut rig, 1, false);
    assert!(
        revoked(&rig.after(4_000)).is_empty(),
        "the others look, too"
    );
    let revokes = revoked(&rig.after(1_000));
    assert_eq!((revokes.len(), &revokes[0].0), (1, &executor(1)));
    let given = assigned(&rig.release(1, &revokes[0].1, true));
    assert_eq!(given[0].0, executor(2));
}

#[test]
fn a_folder_that_nobody_sees_moves_nothing_and_nothing_new_starts() {
    let (mut rig, out) = Rig::running(&[1, 2], 2);
    let given = assigned(&out);
    sees(&mut rig, 1, false);
    sees(&mut rig, 2, false);
    assert!(revoked(&rig.after(60_000)).is_empty());
    let (to, number, epoch) = given[0].clone();
    let by = if to == executor(1) { 1 } else { 2 };
    fail(&mut rig, by, number, epoch, ABSENT);
    assert!(assigned(&rig.after(60_000)).is_empty());
    sees(&mut rig, 2, true);
    assert_eq!(assigned(&rig.tick())[0].0, executor(2));
}

#[test]
fn an_absent_folder_never_uses_up_the_budget_of_failures_and_no_epoch_is_called_damaged() {
    let mut rig = with_an_epoch(Origin::Spec);
    fail(&mut rig, 1, 0, 1, ABSENT);
    for _ in 0..20 {
        let out = rig.after(1_000);
        let (_, number, epoch) = assigned(&out)[0].clone();
        assert!(restored(&out), "with the state of the epoch");
        fail(&mut rig, 1, number, epoch, ABSENT);
    }
    assert_ne!(rig.state().0, JobState::Failed);
}

#[test]
fn a_state_that_fits_no_executor_is_tried_again_and_again_and_does_not_end_the_job() {
    let mut rig = with_an_epoch(Origin::Spec);
    fail(&mut rig, 1, 0, 1, NO_ROOM);
    for _ in 0..20 {
        assert!(assigned(&rig.after(100)).is_empty(), "not at once");
        let out = rig.after(10_000);
        let (_, number, epoch) = assigned(&out)[0].clone();
        assert!(restored(&out), "with its state");
        fail(&mut rig, 1, number, epoch, NO_ROOM);
        assert_eq!(rig.state().0, JobState::Degraded);
    }
}

#[test]
fn a_partition_whose_epochs_are_all_damaged_needs_the_whole_log_and_that_is_said() {
    let mut rig = with_an_epoch(Origin::Spec);
    let out = fail(&mut rig, 1, 0, 1, "BROKE");
    assert!(assigned(&out).is_empty());
    let out = rig.after(60_000);
    assert!(restored(&out) && !needs_whole_log(&out));
    let (_, number, epoch) = assigned(&out)[0].clone();
    let out = fail(&mut rig, 1, number, epoch, DAMAGED);
    assert!(!restored(&out) && needs_whole_log(&out));
    assert!(out.persist);
    let warnings = rig.job.header().warnings.join("\n");
    assert!(warnings.contains("from offset 100 on"), "{warnings}");
}

/// A job with one partition on executor 1 that began with a state, which was first read from `start` on, of this
/// topic.
fn taken_over(start_offset: Option<u64>, topic: Uuid) -> Rig {
    let mut record = Rig::record();
    record.origin = Origin::Savepoint {
        location: "file:///there".to_owned(),
    };
    let mut rig = Rig::with(record, &[1]);
    rig.tick();
    let state = PartitionCheckpoint {
        partition: Some((&SourcePartition::new("t", 0)).into()),
        offset: 300,
        location: "file:///there".into(),
        topic_id: topic.as_bytes().to_vec(),
        start_offset,
        ..PartitionCheckpoint::default()
    };
    let found = Found {
        partitions: started(1, 100),
        generation: Some(4),
        state: Some(Box::new(Manifest {
            partitions: vec![state],
            ..Manifest::default()
        })),
        rekeying: None,
    };
    let out = rig.event(Event::Discovered(Ok(found), None));
    rig.report_all(&out);
    rig
}

/// One epoch of its own.
fn own_epoch(rig: &mut Rig) -> PartitionCheckpoint {
    let epoch = barriers(&rig.after(60_000))[0].epoch;
    let commit = rig.ack_at(epoch, 0, 400).commit.unwrap();
    commit.manifest.partitions[0].clone()
}

/// Each state that is given out proves damaged, until none is left.
fn damage_all(rig: &mut Rig) -> Out {
    fail(rig, 1, 0, 1, "BROKE");
    let mut out = rig.after(60_000);
    while restored(&out) && !assignments(&out).is_empty() {
        let (_, number, epoch) = assigned(&out)[0].clone();
        out = fail(rig, 1, number, epoch, DAMAGED);
    }
    out
}

#[test]
fn a_job_that_took_over_state_and_lost_it_is_read_again_from_where_that_was_first_read() {
    let mut rig = taken_over(Some(40), TOPIC);
    assert_eq!(
        own_epoch(&mut rig).start_offset,
        Some(40),
        "for the next job"
    );
    let out = damage_all(&mut rig);
    assert!(needs_whole_log(&out) && out.persist);
    assert_eq!(assignments(&out)[0].offset, 40);
    let warnings = rig.job.header().warnings.join("\n");
    assert!(warnings.contains("from offset 40 on"), "{warnings}");
}

#[test]
fn a_job_that_took_over_a_state_that_does_not_say_where_it_began_does_not_start_without_it() {
    let mut rig = taken_over(None, TOPIC);
    assert_eq!(own_epoch(&mut rig).start_offset, None);
    damage_all(&mut rig);
    let (state, reason) = rig.state();
    assert_eq!(state, JobState::Failed);
    assert!(
        reason.contains("the savepoint in file:///there"),
        "{reason}"
    );
    assert!(reason.contains("rewind a --to-earliest"), "{reason}");
    assert!(reason.contains("--discard-state"), "{reason}");
}

#[test]
fn a_state_that_a_person_gave_and_that_is_damaged_before_the_first_epoch_ends_the_job() {
    let mut rig = taken_over(Some(40), TOPIC);
    damage_all(&mut rig);
    let (state, reason) = rig.state();
    assert_eq!(state, JobState::Failed);
    assert!(reason.contains("the state to begin with"), "{reason}");
}

#[test]
fn the_start_of_a_state_of_another_topic_is_none_of_this_one() {
    let mut rig = taken_over(Some(40), Uuid::from_u128(99));
    assert_eq!(own_epoch(&mut rig).start_offset, Some(100));
}

#[test]
fn epochs_say_from_where_on_the_log_gives_their_state_unless_they_are_of_another_one() {
    let mut rig = with_an_epoch(Origin::Spec);
    assert_eq!(own_epoch(&mut rig).start_offset, Some(100));
    let left = rig.job.state_left(None).unwrap();
    assert_eq!(left.partitions[0].start_offset, Some(100));
    let mut record = rig.job.record().partitions[0].clone();
    record.topic_id = Some(Uuid::from_u128(99));
    assert_eq!(record.start_of(&left.partitions[0]), None);
}

fn assignments(out: &Out) -> Vec<kol_common::proto::PartitionAssignment> {
    let assigns = out.sends.iter().filter_map(|(_, message)| match message {
        ToExecutor::Assign(assign) => Some(assign.partitions.clone()),
        _ => None,
    });
    assigns.flatten().collect()
}

fn restored(out: &Out) -> bool {
    assignments(out).iter().all(|a| a.restore.is_some())
}

fn needs_whole_log(out: &Out) -> bool {
    assignments(out).iter().all(|a| a.whole_log)
}
