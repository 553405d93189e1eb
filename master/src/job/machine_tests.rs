use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    ErrorDomain, ExecutorState, JobState, PartitionReport, PartitionState, Reports, RevokeMode,
    RunningPartition,
};
use kol_common::{KolError, Millis, SourcePartition};
use uuid::Uuid;

use super::discovery::Found;
use super::effect::Event;
use super::machine::Job;
use super::testing::{
    DRAIN, Out, Rig, TOPIC, assigned, assignment, executor, failure, fleet, found, revoked, set,
};

#[test]
fn a_job_starts_when_its_topics_are_known_and_assigns_after_persisting() {
    let (rig, out) = Rig::running(&[1, 2], 4);
    assert!(out.persist);
    assert_eq!(assigned(&out).len(), 4);
    assert_eq!(rig.job.held_by(&executor(1)), 2);
    assert_eq!(rig.job.record().generation, 4);
    assert_eq!(rig.state(), (JobState::Running, String::new()));
}

#[test]
fn a_missing_topic_keeps_the_job_starting_with_the_reason_and_is_looked_up_again() {
    let mut rig = Rig::starting(&[1]);
    rig.tick();
    let error = KolError::external("SOURCE_TOPIC_NOT_THERE", "topic `t` does not exist");
    rig.event(Event::Discovered(Err(error), None));
    assert_eq!(
        rig.state(),
        (JobState::Starting, "topic `t` does not exist".into())
    );
    assert!(!rig.after(200).discover);
    assert!(rig.after(400).discover);
    rig.event(found(1));
    assert_eq!(rig.state().0, JobState::Running);
}

#[test]
fn looks_that_fail_come_after_waits_that_grow_also_when_only_the_root_is_away() {
    let (mut rig, _) = Rig::running(&[1], 1);
    rig.after(10_000);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let absent = KolError::external(kol_common::checkpoint::ABSENT, "not mounted");
        let Event::Discovered(found, _) = found(1) else {
            unreachable!()
        };
        rig.event(Event::Discovered(found, Some(absent)));
        let status = rig.job.status(Millis(rig.now), &rig.fleet);
        assert!(status.problems.iter().any(|p| p.message == "not mounted"));
        let wait = (1..=100).find(|_| rig.after(100).discover);
        waits.push(100 * wait.unwrap());
    }
    assert!(waits[0] <= 500 && waits[7] >= 5_000, "{waits:?}");
    rig.event(found(1));
    assert!(!rig.after(9_999).discover && rig.after(1).discover);
}

#[test]
fn without_executors_it_is_degraded_and_says_what_to_start() {
    let (mut rig, _) = Rig::running(&[], 2);
    let (state, reason) = rig.state();
    assert_eq!(state, JobState::Degraded);
    assert!(
        reason.starts_with("no executor is registered: start one"),
        "{reason}"
    );
    rig.fleet = fleet(&[1]);
    assert_eq!(assigned(&rig.tick()).len(), 2);
    assert_eq!(rig.state().0, JobState::Running);
}

#[test]
fn a_joining_executor_gets_partitions_only_after_they_were_released() {
    let (mut rig, _) = Rig::running(&[1], 4);
    rig.fleet = fleet(&[1, 2]);
    let out = rig.tick();
    let revokes = revoked(&out);
    assert_eq!(revokes.len(), 2);
    assert!(
        revokes
            .iter()
            .all(|(to, r)| *to == executor(1) && r.mode() == RevokeMode::Drain)
    );
    assert!(assigned(&out).is_empty());
    let out = rig.release(1, &revokes[0].1, true);
    let given = assigned(&out);
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].0, executor(2));
    assert!(given[0].2 > revokes[0].1.assignment_epoch && out.persist);
}

#[test]
fn a_leaving_executor_releases_everything_even_when_no_other_can_take_it() {
    let (mut rig, _) = Rig::running(&[1], 2);
    set(&mut rig.fleet, 1, ExecutorState::Leaving);
    let revokes = revoked(&rig.tick());
    assert_eq!(revokes.len(), 2);
    for (_, revoke) in &revokes {
        rig.release(1, revoke, true);
    }
    assert_eq!(rig.job.held_by(&executor(1)), 0);
}

#[test]
fn a_suspect_is_not_called_and_when_lost_its_partitions_get_a_new_assignment_epoch_elsewhere() {
    let (mut rig, first) = Rig::running(&[1, 2], 4);
    set(&mut rig.fleet, 1, ExecutorState::Suspect);
    let out = rig.after(100);
    assert!(out.sends.iter().all(|(to, _)| *to != executor(1)));
    assert_eq!(rig.job.held_by(&executor(1)), 2);
    rig.fleet.remove(&executor(1));
    let out = rig.after(100);
    let moved = assigned(&out);
    assert_eq!(moved.len(), 2);
    for (to, number, epoch) in moved {
        assert_eq!(to, executor(2));
        let before = assigned(&first)
            .into_iter()
            .find(|(_, n, _)| *n == number)
            .unwrap();
        assert!(epoch > before.2);
    }
}

#[test]
fn a_partition_that_is_not_released_in_time_is_revoked_at_once_then_fenced() {
    let (mut rig, _) = Rig::running(&[1], 2);
    rig.fleet = fleet(&[1, 2]);
    let revokes = revoked(&rig.tick());
    assert_eq!(revokes.len(), 1);
    assert!(revoked(&rig.after(12_900)).is_empty());
    let pressed = revoked(&rig.after(200));
    assert_eq!(pressed[0].1.mode(), RevokeMode::Now);
    rig.after(3_000);
    let out = rig.tick();
    let holders = (rig.job.held_by(&executor(1)), rig.job.held_by(&executor(2)));
    assert_eq!(holders, (1, 1), "{out:?}");
}

#[test]
fn after_a_restart_what_runs_is_adopted_and_the_rest_is_revoked_and_assigned_again() {
    let (rig, first) = Rig::running(&[1, 2], 4);
    let mut restarted = Rig {
        job: Job::new(rig.job.record(), vec![], Millis(1_000), DRAIN),
        now: 1_000,
        fleet: fleet(&[1]),
    };
    let claims: Vec<RunningPartition> = assigned(&first)
        .into_iter()
        .filter(|(to, ..)| *to == executor(1))
        .map(|(_, number, epoch)| RunningPartition {
            job_id: "job_1".into(),
            partition: Some((&SourcePartition::new("t", number)).into()),
            generation: 4,
            assignment_epoch: epoch,
        })
        .collect();
    let mut running = claims.clone();
    running[1].assignment_epoch += 1;
    let out = restarted.event(Event::Connected(executor(1), running));
    assert_eq!(revoked(&out).len(), 1);
    assert_eq!(revoked(&out)[0].1.mode(), RevokeMode::Now);
    // The claimed one continues; the one that did not match is free and assigned again.
    let again = assigned(&out);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].1, claims[1].partition.as_ref().unwrap().partition);
    // Executor 2 never comes: its partitions go to 1 after the grace.
    assert!(assigned(&restarted.after(5_000)).is_empty());
    assert_eq!(assigned(&restarted.after(1_500)).len(), 2);
}

#[test]
fn after_a_restart_the_clock_is_sent_even_while_the_market_is_not_known() {
    let (rig, first) = Rig::running(&[1], 1);
    let mut record = rig.job.record();
    record.clock = Some(Millis(7));
    let mut restarted = Rig {
        job: Job::new(record, vec![], Millis(1_000), DRAIN),
        now: 1_000,
        fleet: fleet(&[1]),
    };
    let claims = assigned(&first).into_iter();
    let claims = claims.map(|(_, number, epoch)| RunningPartition {
        job_id: "job_1".into(),
        partition: Some((&SourcePartition::new("t", number)).into()),
        generation: 4,
        assignment_epoch: epoch,
    });
    let out = restarted.event(Event::Connected(executor(1), claims.collect()));
    let tick = out.sends.iter().find_map(|(_, message)| match message {
        ToExecutor::Tick(tick) => Some((tick.clock_ms, tick.market_version)),
        _ => None,
    });
    assert_eq!(tick, Some((Some(7), 0)));
}

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

#[test]
fn partitions_added_to_the_topic_get_the_next_ordinals() {
    let (mut rig, _) = Rig::running(&[1], 2);
    rig.now += 10_000;
    assert!(rig.tick().discover);
    let out = rig.event(found(3));
    assert_eq!(assigned(&out).len(), 1);
    let record = rig.job.record();
    let ordinals: Vec<u32> = record.partitions.iter().map(|p| p.ordinal).collect();
    assert_eq!(ordinals, [0, 1, 2]);
    assert_eq!(record.generation, 4);
}

#[test]
fn totals_do_not_fall_while_a_partition_has_no_report_of_its_new_owner() {
    let (mut rig, first) = Rig::running(&[1], 1);
    let (_, number, epoch) = assigned(&first)[0].clone();
    let mut report = PartitionReport {
        job_id: "job_1".into(),
        partition: Some((&SourcePartition::new("t", number)).into()),
        assignment_epoch: epoch,
        state: PartitionState::Running as i32,
        ..PartitionReport::default()
    };
    report.counters.get_or_insert_default().events = 70;
    let reports = Reports {
        reports: vec![report],
    };
    rig.event(Event::Received(executor(1), FromExecutor::Reports(reports)));
    rig.fleet = fleet(&[2]);
    rig.tick();
    let status = rig.job.status(Millis(rig.now), &rig.fleet);
    assert_eq!(status.totals.unwrap().events, 70);
    assert!(
        !status.caught_up,
        "an old report says nothing about the new owner"
    );
}

fn reports_log(epoch: u64, topic: Uuid, log_start: Option<u64>) -> Event {
    let report = PartitionReport {
        partition: Some((&SourcePartition::new("t", 0)).into()),
        assignment_epoch: epoch,
        state: PartitionState::Running as i32,
        topic_id: topic.as_bytes().to_vec(),
        log_start,
        ..PartitionReport::default()
    };
    let reports = vec![report];
    Event::Received(executor(1), FromExecutor::Reports(Reports { reports }))
}

#[test]
fn an_assignment_says_of_which_topic_its_offset_is_also_after_that_was_recreated() {
    let (mut rig, out) = Rig::running(&[1], 1);
    let first = assignment(&out);
    assert_eq!(
        (first.offset, &*first.topic_id),
        (100, &TOPIC.as_bytes()[..])
    );
    let (older, new) = (Uuid::from_u128(7), Uuid::from_u128(8));
    // It restored a state of before, and has not yet seen that the topic is another one.
    let out = rig.event(reports_log(1, older, None));
    assert!(!out.persist);
    let out = rig.event(reports_log(1, new, Some(3)));
    assert!(out.persist, "durable");
    assert!(!rig.event(reports_log(1, new, Some(3))).persist, "once");
    rig.fleet.clear();
    rig.tick();
    rig.fleet = fleet(&[2]);
    let next = assignment(&rig.tick());
    assert_eq!((next.offset, &*next.topic_id), (3, &new.as_bytes()[..]));
}

#[test]
fn a_topic_whose_id_was_not_known_at_first_keeps_its_starting_offset() {
    let (mut rig, _) = Rig::running(&[1], 1);
    let mut record = rig.job.record();
    record.partitions[0].topic_id = None;
    rig.job = Job::new(record, vec![], Millis(0), DRAIN);
    rig.fleet = fleet(&[1]);
    rig.now = 10_000;
    let epoch = assignment(&rig.tick()).assignment_epoch;
    assert!(rig.event(reports_log(epoch, TOPIC, None)).persist);
    let record = &rig.job.record().partitions[0];
    assert_eq!((record.start_offset, record.topic_id), (100, Some(TOPIC)));
}
