use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::{
    ExecutorState, JobStatus, PartitionCheckpoint, PartitionCounters, PartitionReport,
    PartitionState, PartitionStatus, Reports, Unchanged,
};
use kol_common::{KolError, Millis, SourcePartition};

use super::discovery::LogEnds;
use super::effect::Event;
use super::testing::{Rig, executor, set};

fn name() -> SourcePartition {
    SourcePartition::new("t", 0)
}

/// A job of one partition whose owner reports that it has read so much of a log of that length.
fn reading(position: u64, end: Option<u64>) -> Rig {
    let (mut rig, out) = Rig::running(&[1], 1);
    assert_eq!(out.ends, [name()], "its owner does not know yet");
    rig.event(Event::Ends(Ok(Vec::new())));
    report(&mut rig, position, end);
    rig
}

fn report(rig: &mut Rig, position: u64, end_offset: Option<u64>) {
    send(rig, report_of(position, end_offset));
}

fn report_of(position: u64, end_offset: Option<u64>) -> PartitionReport {
    PartitionReport {
        partition: Some((&name()).into()),
        assignment_epoch: 1,
        state: PartitionState::Running as i32,
        position,
        end_offset,
        ..PartitionReport::default()
    }
}

fn send(rig: &mut Rig, report: PartitionReport) {
    let reports = Reports {
        reports: vec![report],
        unchanged: None,
    };
    rig.event(Event::Received(executor(1), FromExecutor::Reports(reports)));
}

fn status(rig: &Rig) -> (JobStatus, PartitionStatus) {
    let status = rig.job.status(Millis(rig.now), &rig.fleet);
    let partition = status.partitions[0].clone();
    (status, partition)
}

/// The lag of the job and of its partition.
fn lag(rig: &Rig) -> Option<u64> {
    let (job, partition) = status(rig);
    assert_eq!(job.lag_records, partition.lag_records, "one number");
    job.lag_records
}

fn found(end: u64) -> Event {
    let ends: LogEnds = vec![(name(), end)];
    Event::Ends(Ok(ends))
}

#[test]
fn a_partition_whose_owner_does_not_answer_waits_and_names_it_and_its_host() {
    let mut rig = reading(100, Some(100));
    assert_eq!(status(&rig).1.state(), PartitionState::Running);
    set(&mut rig.fleet, 1, ExecutorState::Suspect);
    let (job, partition) = status(&rig);
    assert_eq!(partition.state(), PartitionState::Waiting);
    assert_eq!(job.problems[0].code, "NO_EXECUTOR");
    assert!(job.problems[0].message.contains("host1"));
    rig.fleet.clear();
    rig.tick();
    let (_, partition) = status(&rig);
    assert_eq!(partition.state(), PartitionState::Waiting);
    assert_eq!(partition.executor_id, "");
    let last = (&*partition.last_executor_id, &*partition.last_host);
    assert_eq!(last, ("exe_1", "host1"));
}

#[test]
fn the_master_looks_up_the_ends_of_logs_that_no_executor_that_answers_reads() {
    let mut rig = reading(100, Some(100));
    assert_eq!(rig.after(2_000).ends, [], "its owner reports them");
    set(&mut rig.fleet, 1, ExecutorState::Suspect);
    assert_eq!(rig.tick().ends, [name()], "at once");
    assert_eq!(rig.after(1_000).ends, [], "one look at a time");
    rig.event(found(160));
    assert_eq!(lag(&rig), Some(60));
    rig.now += 1_999;
    assert_eq!(rig.tick().ends, []);
    assert_eq!(rig.after(1).ends, [name()]);
    rig.event(found(250));
    assert_eq!(lag(&rig), Some(150));
    set(&mut rig.fleet, 1, ExecutorState::Alive);
    report(&mut rig, 240, Some(260));
    assert_eq!(lag(&rig), Some(20), "what its owner knows is newer");
    assert_eq!(rig.after(2_000).ends, []);
}

/// An executor says that what it does not name is unchanged, with ends of logs that are at most so old.
fn unchanged(rig: &mut Rig, by: u8, end_age_ms: u64) -> Vec<SourcePartition> {
    let reports = Reports {
        reports: Vec::new(),
        unchanged: Some(Unchanged { end_age_ms }),
    };
    rig.event(Event::Received(
        executor(by),
        FromExecutor::Reports(reports),
    ));
    rig.tick().ends
}

#[test]
fn an_end_that_its_owner_says_is_unchanged_is_as_new_as_it_says() {
    let mut rig = reading(100, Some(160));
    for _ in 0..30 {
        rig.now += 1_000;
        assert_eq!(unchanged(&mut rig, 1, 3_000), []);
        assert_eq!(lag(&rig), Some(60));
    }
    assert_eq!(unchanged(&mut rig, 1, 5_001), [name()], "that is too old");
    rig.event(Event::Ends(Ok(Vec::new())));
    assert_eq!(unchanged(&mut rig, 1, 10_001), []);
    assert_eq!(lag(&rig), None);
}

#[test]
fn what_another_executor_says_or_who_has_not_reported_renews_nothing() {
    let mut rig = reading(100, Some(160));
    rig.now += 5_001;
    assert_eq!(unchanged(&mut rig, 2, 0), [name()], "it does not have it");
    let (mut rig, _) = Rig::running(&[1], 1);
    rig.event(Event::Ends(Ok(Vec::new())));
    rig.now += 2_000;
    assert_eq!(unchanged(&mut rig, 1, 0), [name()], "nothing is known");
    assert_eq!(lag(&rig), None);
}

#[test]
fn a_lag_that_is_not_known_is_never_0() {
    let mut rig = reading(100, None);
    assert_eq!(lag(&rig), None, "the owner does not know the end yet");
    report(&mut rig, 100, Some(100));
    assert_eq!(lag(&rig), Some(0));
    set(&mut rig.fleet, 1, ExecutorState::Suspect);
    rig.after(10_000);
    assert_eq!(lag(&rig), Some(0), "as it was 10 s ago");
    let away = KolError::external("SOURCE_UNREACHABLE", "away");
    rig.event(Event::Ends(Err(away)));
    rig.after(1);
    assert_eq!(lag(&rig), None, "that was too long ago");
    assert_eq!(rig.after(500).ends, [name()], "tried again");
}

#[test]
fn without_a_report_a_partition_is_read_up_to_where_it_starts() {
    let (mut rig, _) = Rig::running(&[], 1);
    assert_eq!(lag(&rig), None);
    rig.event(found(170));
    assert_eq!(lag(&rig), Some(70), "it starts at 100");
}

#[test]
fn a_partition_that_is_restoring_counts_as_it_was_in_its_newest_checkpoint() {
    let mut rig = reading(1_000, Some(1_000));
    let epoch = super::testing::barriers(&rig.after(1_000))[0].epoch;
    let counters = PartitionCounters {
        events: 800,
        ..PartitionCounters::default()
    };
    let checkpoint = PartitionCheckpoint {
        offset: 900,
        kols: 30,
        counters: Some(counters),
        ..super::testing::checkpoint(0, 900)
    };
    rig.ack_with(epoch, checkpoint);
    // Its next owner does not know yet what the state says.
    let restoring = PartitionReport {
        state: PartitionState::Restoring as i32,
        counters: Some(PartitionCounters::default()),
        ..report_of(0, Some(1_000))
    };
    send(&mut rig, restoring);
    assert_eq!(lag(&rig), Some(100), "not the whole log");
    let (job, _) = status(&rig);
    let events = job.totals.map(|totals| totals.events);
    assert_eq!((job.kols, events), (30, Some(800)));
    report(&mut rig, 950, Some(1_000));
    assert_eq!(lag(&rig), Some(50));
}

#[test]
fn of_a_log_that_now_ends_before_the_position_nothing_is_read() {
    let mut rig = reading(100, Some(100));
    report(&mut rig, 110, Some(100));
    assert_eq!(lag(&rig), Some(0), "the end is older than the position");
    set(&mut rig.fleet, 1, ExecutorState::Suspect);
    assert_eq!(rig.after(4_000).ends, [name()]);
    rig.event(found(30));
    assert_eq!(lag(&rig), Some(30), "the topic was recreated");
}

#[test]
fn a_job_that_is_over_has_no_lag_and_its_partitions_do_not_run() {
    let mut rig = reading(100, Some(100));
    rig.event(Event::End(super::record::End::Cancelled, String::new()));
    rig.fleet.clear();
    rig.after(60_000);
    let (job, partition) = status(&rig);
    assert_eq!(
        (job.lag_records, partition.lag_records, partition.state()),
        (None, None, PartitionState::Over)
    );
}

#[test]
fn a_job_is_not_live_while_kafka_does_not_say_where_the_log_ends() {
    let mut rig = reading(100, Some(100));
    for _ in 0..4 {
        rig.after(500);
        report(&mut rig, 100, Some(100));
    }
    let (job, _) = status(&rig);
    assert!(job.live && job.caught_up);
    // Its owner continues to report what it knew of the end; looks of the master fail.
    let (known_at, away) = (rig.now, "SOURCE_UNREACHABLE");
    while rig.now < known_at + 42_000 {
        rig.after(500);
        rig.event(Event::Ends(Err(KolError::external(away, "away"))));
        report_end_of(&mut rig, known_at);
    }
    let (job, _) = status(&rig);
    assert_eq!(job.lag_records, None);
    assert!(job.caught_up, "as far as anybody knew");
    assert!(!job.live);
}

/// The owner reports the end that it learned at this time.
fn report_end_of(rig: &mut Rig, known_at: u64) {
    let report = PartitionReport {
        end_age_ms: rig.now - known_at,
        ..report_of(100, Some(100))
    };
    send(rig, report);
}

#[test]
fn a_job_is_not_live_from_the_moment_at_which_the_owner_of_a_partition_does_not_answer() {
    let mut rig = reading(100, Some(100));
    for _ in 0..4 {
        rig.after(500);
        report(&mut rig, 100, Some(100));
    }
    assert!(status(&rig).0.live);
    // Also before the next look.
    set(&mut rig.fleet, 1, ExecutorState::Suspect);
    let (job, partition) = status(&rig);
    assert_eq!(partition.state(), PartitionState::Waiting);
    assert!(!job.live, "beside {:?}", job.state());
}

#[test]
fn a_job_without_partitions_is_never_live() {
    let mut rig = Rig::starting(&[1]);
    for _ in 0..20 {
        rig.after(500);
    }
    let status = rig.job.status(Millis(rig.now), &rig.fleet);
    assert_eq!((status.live, status.lag_records), (false, None));
    rig.event(super::testing::found(1));
    report(&mut rig, 100, Some(100));
    for _ in 0..4 {
        rig.after(500);
    }
    let (status, _) = self::status(&rig);
    assert!(status.live, "its one partition is read");
}
