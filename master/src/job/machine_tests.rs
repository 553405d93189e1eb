use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Confirmed, ExecutorState, JobState, PartitionReport, PartitionState, Reports, RevokeMode,
    RunningPartition,
};
use kol_common::{KolError, Millis, SourcePartition};

use super::effect::Event;
use super::machine::Job;
use super::testing::{DRAIN, Out, Rig, assigned, executor, fleet, found, revoked, set};
use crate::cluster::Callers;

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
    assert_eq!(
        rig.state(),
        (
            JobState::Starting,
            "it looks up its topics in Kafka (localhost:9092) and its keys in Redis".into()
        )
    );
    let error = KolError::external("TOPIC_NOT_FOUND", "topic `t` does not exist");
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
fn a_new_leader_waits_less_for_an_owner_that_is_silent_while_others_call() {
    let (rig, first) = Rig::running(&[1, 2], 4);
    let mut callers = Callers::default();
    callers.called(Millis(0), "inc_1");
    let mut restarted = Rig {
        job: Job::new(rig.job.record(), vec![], Millis(1_000), DRAIN),
        now: 1_000,
        fleet: fleet(&[3]),
    };
    let grace = callers.grace(Millis(1_000));
    restarted.job.await_owners(Millis(1_000), &grace);
    let of = |n| {
        let all = assigned(&first).into_iter();
        all.filter(move |(to, ..)| *to == executor(n))
            .map(|(_, p, _)| p)
    };
    assert!(assigned(&restarted.after(2_999)).is_empty());
    let out = restarted.after(1);
    assert_eq!(out.absent, [executor(2)]);
    let taken: Vec<_> = assigned(&out).iter().map(|a| a.1).collect();
    assert_eq!(taken, of(2).collect::<Vec<_>>());
    assert!(assigned(&restarted.after(2_999)).is_empty());
    let taken: Vec<_> = assigned(&restarted.after(1)).iter().map(|a| a.1).collect();
    assert_eq!(taken, of(1).collect::<Vec<_>>());
}

#[test]
fn after_a_restart_clock_and_number_of_partitions_are_sent_even_while_the_market_is_not_known() {
    let (rig, first) = Rig::running(&[1], 3);
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
        ToExecutor::Tick(tick) => Some((tick.clock_ms, tick.market_version, tick.partitions)),
        _ => None,
    });
    assert_eq!(tick, Some((Some(7), 0, 3)));
}

#[test]
fn executors_of_a_job_without_events_learn_that_its_rankings_are_shown() {
    let (mut rig, first) = Rig::running(&[1], 1);
    let told = |out: &Out| {
        let mut ticks = out.sends.iter().filter_map(|(_, message)| match message {
            ToExecutor::Tick(tick) => Some((tick.rankings_shown, tick.clock_ms)),
            _ => None,
        });
        ticks.next_back()
    };
    assert_eq!(told(&first), None, "nothing is to be said yet");
    let report = PartitionReport {
        partition: Some((&SourcePartition::new("t", 0)).into()),
        assignment_epoch: assigned(&first)[0].2,
        state: PartitionState::Running as i32,
        position: 100,
        end_offset: Some(100),
        confirmed: Some(Confirmed {
            position: 100,
            ..Confirmed::default()
        }),
        ..PartitionReport::default()
    };
    let reports = FromExecutor::Reports(Reports {
        reports: vec![report],
        unchanged: None,
    });
    let out = rig.event(Event::Received(executor(1), reports));
    assert!(rig.job.record().shown);
    assert_eq!(told(&out), Some((true, None)));
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
        unchanged: None,
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
