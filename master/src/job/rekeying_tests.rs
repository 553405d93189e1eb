//! Jobs with a stage that re-keys their input: two stages, owned by the same rules.

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Confirmed, ErrorDomain, ErrorInfo, ExecutorState, JobState, JobStatus, PartitionAssignment,
    PartitionCounters, PartitionFailed, PartitionReport, PartitionState, RekeyReport, Released,
    Reports, Revoke, RevokeMode, RunningPartition,
};
use kol_common::{JobId, Millis, SourcePartition};
use uuid::Uuid;

use super::discovery::{Found, FoundRekeying, Started};
use super::effect::Event;
use super::machine::Job;
use super::record::Internal;
use super::record::{End, JobRecord, Phase};
use super::testing::{DRAIN, Out, Rig, barriers, executor, fleet, member, revoked, set};

const INNER: &str = "kol-rekey.a";

fn spec() -> kol_common::job::JobSpec {
    let text = "name = \"a\"\n[source]\nrekey = { partitions = 2 }\n[checkpoint]\nlocation = \"file:///x\"";
    kol_common::job::parse(text, "t").unwrap().spec
}

fn internal() -> Internal {
    Internal {
        topic: INNER.into(),
        id: Uuid::from_u128(9),
        partitions: 2,
    }
}

fn started(topic: &str, partitions: u32, id: u128) -> Vec<Started> {
    let one = |number| Started {
        partition: SourcePartition::new(topic, number),
        offset: 0,
        topic_id: Some(Uuid::from_u128(id)),
    };
    (0..partitions).map(one).collect()
}

/// An input of two partitions, and an internal topic of two.
fn found() -> Event {
    let found = Found {
        partitions: started(INNER, 2, 9),
        generation: Some(4),
        state: None,
        rekeying: Some(FoundRekeying {
            internal: internal(),
            inherited: Vec::new(),
            partitions: started("t", 2, 1),
        }),
    };
    Event::Discovered(Ok(found), None)
}

fn record() -> JobRecord {
    JobRecord::new(JobId::from_wire("job_1"), spec(), vec![], Millis(0))
}

fn running(alive: &[u8]) -> (Rig, Out) {
    let mut rig = Rig::with(record(), alive);
    assert!(rig.tick().discover);
    let out = rig.event(found());
    assert!(out.persist, "before anything of it is sent");
    (rig, out)
}

fn assignments(out: &Out) -> Vec<PartitionAssignment> {
    let sent = out.sends.iter().filter_map(|(_, message)| match message {
        ToExecutor::Assign(assign) => Some(assign.partitions.clone()),
        _ => None,
    });
    sent.flatten().collect()
}

fn topic(assignment: &PartitionAssignment) -> &str {
    &assignment.partition.as_ref().unwrap().topic
}

/// A report of the first owner of a partition, of a log that ends there.
fn report(topic: &str, number: u32, position: u64, end: u64) -> PartitionReport {
    let first = topic == "t";
    PartitionReport {
        partition: Some((&SourcePartition::new(topic, number)).into()),
        assignment_epoch: 1,
        state: PartitionState::Running as i32,
        position,
        end_offset: Some(end),
        confirmed: (!first).then_some(Confirmed {
            position,
            ..Confirmed::default()
        }),
        rekeying: first.then_some(RekeyReport {
            has_position: position > 0,
            committed: 0,
        }),
        ..PartitionReport::default()
    }
}

fn send(rig: &mut Rig, reports: Vec<PartitionReport>) -> Out {
    let reports = FromExecutor::Reports(Reports {
        reports,
        ..Reports::default()
    });
    rig.event(Event::Received(executor(1), reports))
}

fn status(rig: &Rig) -> JobStatus {
    rig.job.status(Millis(rig.now), &rig.fleet)
}

fn failed(rig: &mut Rig, code: &str) -> Out {
    let failed = PartitionFailed {
        job_id: "job_1".into(),
        partition: Some((&SourcePartition::new("t", 0)).into()),
        assignment_epoch: 1,
        lost_tail: None,
        error: Some(ErrorInfo {
            domain: ErrorDomain::External as i32,
            code: code.into(),
            ..ErrorInfo::default()
        }),
    };
    let failed = FromExecutor::PartitionFailed(failed);
    rig.event(Event::Received(executor(1), failed))
}

#[test]
fn both_stages_are_assigned_with_ordinals_of_their_own_and_only_the_first_says_where_it_writes() {
    let (_, out) = running(&[1, 2]);
    let all = assignments(&out);
    for name in ["t", INNER] {
        let of = all.iter().filter(|a| topic(a) == name);
        let mut ordinals: Vec<_> = of.map(|a| a.ordinal).collect();
        ordinals.sort_unstable();
        assert_eq!(ordinals, [0, 1], "{name}");
    }
    for assignment in &all {
        let writes = assignment.rekeying.as_ref();
        assert_eq!(writes.is_some(), topic(assignment) == "t");
        if let Some(writes) = writes {
            assert_eq!((&*writes.topic, writes.partitions), (INNER, 2));
            assert_eq!(writes.topic_id, internal().id.as_bytes());
            assert!(!writes.has_position);
        }
    }
}

#[test]
fn a_position_in_kafka_is_durable_before_anybody_hears_of_it_and_the_next_owner_learns_it() {
    let (mut rig, _) = running(&[1]);
    assert!(!send(&mut rig, vec![report("t", 0, 0, 5)]).persist);
    assert!(send(&mut rig, vec![report("t", 0, 5, 5)]).persist);
    assert!(!send(&mut rig, vec![report("t", 0, 5, 5)]).persist, "once");
    // A new master, whose owners do not come.
    let stored = serde_json::to_string(&rig.job.record()).unwrap();
    let stored: JobRecord = serde_json::from_str(&stored).unwrap();
    let mut next = Rig::with(stored, &[2]);
    let out = next.after(60_000);
    let told = |number| {
        let all = assignments(&out);
        let of = |a: &&PartitionAssignment| {
            topic(a) == "t" && a.partition.as_ref().unwrap().partition == number
        };
        let of = all.iter().find(of).unwrap();
        (
            of.assignment_epoch,
            of.rekeying.as_ref().unwrap().has_position,
        )
    };
    assert_eq!(told(0), (3, true));
    assert_eq!(told(1), (3, false));
}

#[test]
fn a_lost_position_fails_the_job_and_a_lost_transaction_does_not() {
    let (mut rig, _) = running(&[1]);
    failed(&mut rig, "REKEY_ABORTED");
    assert_eq!(rig.state().0, JobState::Degraded);
    let (mut rig, _) = running(&[1]);
    failed(&mut rig, "REKEY_POSITION_LOST");
    let (state, reason) = rig.state();
    assert_eq!(state, JobState::Failed);
    assert!(reason.contains("REKEY_POSITION_LOST"), "{reason}");
}

#[test]
fn epochs_are_of_the_second_stage_alone() {
    let (mut rig, _) = running(&[1]);
    send(
        &mut rig,
        vec![report(INNER, 0, 1, 1), report(INNER, 1, 1, 1)],
    );
    let out = rig.after(60_000);
    assert_eq!(barriers(&out).len(), 1, "nobody waits for the first stage");
}

#[test]
fn what_the_first_stage_reads_moves_no_clock_and_no_market() {
    let (mut rig, _) = running(&[1]);
    let mut read = report("t", 0, 5, 5);
    read.clock_ms = Some(1_000_000);
    send(&mut rig, vec![read]);
    assert_eq!(status(&rig).clock_ms, None);
}

#[test]
fn a_partition_of_the_first_stage_moves_by_a_drain() {
    let (mut rig, _) = running(&[1]);
    let first = |r: &&Revoke| r.partition.as_ref().unwrap().topic == "t";
    rig.fleet.insert(executor(2), member(2));
    set(&mut rig.fleet, 1, ExecutorState::Leaving);
    let out = rig.tick();
    let revokes: Vec<Revoke> = revoked(&out).into_iter().map(|(_, r)| r).collect();
    let of_first: Vec<_> = revokes.iter().filter(first).collect();
    assert_eq!(of_first.len(), 2);
    assert!(of_first.iter().all(|r| r.mode() == RevokeMode::Drain));
    let released = Released {
        job_id: "job_1".into(),
        partition: of_first[0].partition.clone(),
        assignment_epoch: 1,
        drained: true,
        ..Released::default()
    };
    let released = FromExecutor::Released(released);
    let out = rig.event(Event::Received(executor(1), released));
    let next = assignments(&out);
    assert_eq!(next.len(), 1);
    assert!(next[0].rekeying.is_some() && next[0].assignment_epoch == 2);
}

#[test]
fn owners_of_both_stages_are_adopted_by_a_master_that_was_started_again() {
    let (rig, _) = running(&[1]);
    let mut next = Rig::with(rig.job.record(), &[1]);
    let claim = |topic: &str, number| RunningPartition {
        job_id: "job_1".into(),
        partition: Some((&SourcePartition::new(topic, number)).into()),
        assignment_epoch: 1,
        generation: 4,
    };
    let mut claims = vec![claim("t", 0), claim("t", 1), claim(INNER, 0)];
    claims.push(RunningPartition {
        assignment_epoch: 7,
        ..claim(INNER, 1)
    });
    let out = next.event(Event::Connected(executor(1), claims));
    let wrong = revoked(&out);
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0].1.assignment_epoch, 7);
    let again = assignments(&out);
    assert_eq!(again.len(), 1, "only what it does not run as it should");
    assert_eq!((topic(&again[0]), again[0].ordinal), (INNER, 1));
}

#[test]
fn rankings_are_shown_once_what_the_input_had_is_committed_and_what_that_made_is_in_redis() {
    let (mut rig, _) = running(&[1]);
    let inner = |position, end| vec![report(INNER, 0, position, end), report(INNER, 1, 0, 0)];
    send(&mut rig, inner(0, 0));
    assert!(!rig.job.header().shown, "the input has something");
    send(&mut rig, vec![report("t", 0, 3, 10), report("t", 1, 0, 0)]);
    send(&mut rig, inner(3, 3));
    assert!(!rig.job.header().shown);
    rig.now += 1_000;
    send(&mut rig, vec![report("t", 0, 10, 12)]);
    let mut late = inner(3, 3);
    late.iter_mut().for_each(|r| r.end_age_ms = 500);
    send(&mut rig, late);
    assert!(
        !rig.job.header().shown,
        "an end of before that says nothing"
    );
    send(&mut rig, inner(3, 10));
    assert!(!rig.job.header().shown);
    send(&mut rig, inner(10, 12));
    assert!(rig.job.header().shown, "what came later need not be there");
}

#[test]
fn the_lag_is_that_of_both_stages_and_status_tells_them_apart() {
    let (mut rig, _) = running(&[1]);
    send(
        &mut rig,
        vec![
            report("t", 0, 4, 10),
            report("t", 1, 0, 1),
            report(INNER, 0, 1, 3),
        ],
    );
    assert_eq!(status(&rig).lag_records, None, "one is not known");
    send(&mut rig, vec![report(INNER, 1, 0, 5)]);
    let status = status(&rig);
    assert_eq!(status.lag_records, Some(6 + 1 + 2 + 5));
    let rekeying = status.rekeying.as_ref().unwrap();
    assert_eq!(rekeying.lag_records, Some(7));
    assert_eq!(rekeying.topic, INNER);
    assert_eq!(rekeying.topic_id, internal().id.to_string());
    let first: Vec<bool> = status.partitions.iter().map(|p| p.first_stage).collect();
    assert_eq!(first, [false, false, true, true]);
    assert_eq!(status.partition_count, 4);
}

#[test]
fn a_record_that_both_stages_count_is_counted_once_and_a_dead_letter_of_the_first_too() {
    let (mut rig, _) = running(&[1]);
    let counted = |mut report: PartitionReport, events, dead_letter| {
        report.counters = Some(PartitionCounters {
            events,
            dead_letter,
            ..PartitionCounters::default()
        });
        report
    };
    let reports = vec![
        counted(report("t", 0, 10, 10), 8, 2),
        counted(report(INNER, 0, 8, 8), 7, 1),
    ];
    send(&mut rig, reports);
    let totals = status(&rig).totals.unwrap();
    assert_eq!((totals.events, totals.dead_letter), (7, 3));
}

#[test]
fn nothing_is_left_to_do_once_the_internal_topic_was_looked_at_after_the_input_was_read() {
    let (mut rig, _) = running(&[1]);
    let inner = || vec![report(INNER, 0, 3, 3), report(INNER, 1, 0, 0)];
    rig.now += 1_000;
    send(&mut rig, inner());
    assert!(!status(&rig).caught_up, "the input is not known");
    rig.now += 1_000;
    send(&mut rig, vec![report("t", 0, 3, 3), report("t", 1, 0, 0)]);
    assert!(!status(&rig).caught_up, "what it wrote may not be seen yet");
    rig.now += 1_000;
    send(&mut rig, inner());
    assert!(status(&rig).caught_up);
    send(&mut rig, vec![report("t", 0, 3, 4)]);
    assert!(!status(&rig).caught_up);
}

#[test]
fn a_job_that_ends_takes_both_stages_back_and_is_over_when_both_are_free() {
    let (mut rig, _) = running(&[1]);
    let out = rig.event(Event::End(End::Cancelled, String::new()));
    let all = revoked(&out);
    assert_eq!(all.len(), 4);
    for (index, (_, revoke)) in all.iter().enumerate() {
        assert_eq!(
            rig.job.header().phase,
            Phase::Ending(End::Cancelled),
            "{index}"
        );
        rig.release(1, revoke, true);
    }
    assert_eq!(rig.job.header().phase, Phase::Over(End::Cancelled));
}

#[test]
fn a_lost_executor_loses_what_it_has_of_both_stages() {
    let (mut rig, _) = running(&[1]);
    rig.fleet = fleet(&[2]);
    let out = rig.tick();
    let again = assignments(&out);
    assert_eq!(again.len(), 4);
    assert!(again.iter().all(|a| a.assignment_epoch == 3));
}

#[test]
fn each_stage_counts_what_the_other_one_takes_of_an_executor() {
    let (mut rig, _) = running(&[1]);
    let rates = kol_common::proto::Rates {
        events: 100_000,
        ..kol_common::proto::Rates::default()
    };
    let with = |mut report: PartitionReport| {
        report.rates = Some(rates);
        report
    };
    let all = ["t", INNER].map(|t| [0, 1].map(|n| with(report(t, n, 1, 1))));
    send(&mut rig, all.concat());
    rig.fleet.insert(executor(2), member(2));
    rig.tick();
    let loads = rig.job.loads();
    assert_eq!(loads[&executor(1)], loads[&executor(2)], "{loads:?}");
}

#[test]
fn a_job_of_a_version_before_this_one_has_one_stage() {
    let job = Job::new(Rig::record(), vec![], Millis(0), DRAIN);
    let stored = serde_json::to_value(job.record()).unwrap();
    assert!(stored.get("rekeying").is_none());
}
