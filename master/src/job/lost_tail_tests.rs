//! What a job does when Kafka has lost the tail of a log.

use kol_common::Millis;
use kol_common::SourcePartition;
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::{
    Confirmed, ErrorDomain, JobState, LostTail, PartitionCheckpoint, PartitionFailed,
    PartitionReport, PartitionState, Reports,
};

use super::cuts::Cuts;
use super::effect::Event;
use super::machine::Job;
use super::origin::Origin;
use super::record::{JobRecord, PartitionRecord};
use super::testing::{DRAIN, Rig, assignment, barriers, executor, failure};

fn lost_tail(assignment_epoch: u64, from: u64, to: u64) -> Event {
    lost_tail_of(None, assignment_epoch, from, to)
}

/// Of a log that begins at this offset, if that is known.
fn lost_tail_of(oldest: Option<u64>, assignment_epoch: u64, from: u64, to: u64) -> Event {
    let failed = PartitionFailed {
        lost_tail: Some(Box::new(LostTail {
            from,
            to,
            differs: None,
            unproven: false,
            oldest,
        })),
        ..failure(0, assignment_epoch, ErrorDomain::External)
    };
    Event::Received(executor(1), FromExecutor::PartitionFailed(failed))
}

/// The log no longer has what a partition without state needs.
fn state_lost(assignment_epoch: u64) -> Event {
    let mut failed = failure(0, assignment_epoch, ErrorDomain::User);
    failed.error.as_mut().unwrap().code = "STATE_LOST".into();
    Event::Received(executor(1), FromExecutor::PartitionFailed(failed))
}

/// A job of one partition that was read from offset 100 on and has epochs at 150 and at 180.
fn with_two_epochs() -> Rig {
    let (mut rig, out) = Rig::running(&[1], 1);
    rig.report_all(&out);
    for offset in [150, 180] {
        let epoch = barriers(&rig.after(60_000))[0].epoch;
        rig.ack_at(epoch, 0, offset);
    }
    rig
}

/// As a master that is started again finds it.
fn started_again(rig: &mut Rig, record: JobRecord) {
    let checkpoints: Vec<_> = rig.job.checkpoints().cloned().collect();
    let oldest_first = checkpoints.into_iter().rev().collect();
    rig.job = Job::new(record, oldest_first, Millis(rig.now), DRAIN);
}

fn tells_of_data_loss(rig: &Rig, what: &str) -> bool {
    let status = rig.job.status(Millis(rig.now), &rig.fleet);
    let mut warnings = status.warnings.iter();
    let warning = warnings.find(|w| w.starts_with("DATA_LOSS in t")).unwrap();
    warning.contains(what)
}

#[test]
fn a_log_that_was_cut_off_below_every_checkpoint_is_read_again_without_state_if_it_has_its_beginning()
 {
    for (oldest, again) in [(Some(100), true), (Some(101), false), (None, false)] {
        let mut rig = with_two_epochs();
        let out = rig.event(lost_tail_of(oldest, 1, 120, 190));
        assert!(out.persist);
        let next = assignment(&out);
        let restored = next.restore.as_ref().map(|state| state.offset);
        assert_eq!((restored.is_none(), next.whole_log), (again, again));
        assert_eq!((next.offset, next.lineage), (100, 1));
        assert_eq!(next.resume_at, (!again).then_some(120));
        assert_eq!(tells_of_data_loss(&rig, "the log as it is now"), again);
        // Also for a master that is started again.
        let record = rig.job.record();
        started_again(&mut rig, record);
        let next = assignment(&rig.after(10_000));
        assert_eq!((next.restore.is_none(), next.whole_log), (again, again));
    }
}

#[test]
fn a_state_that_does_not_say_where_the_log_gives_it_is_kept_when_its_log_was_cut_off() {
    let mut rig = with_two_epochs();
    let mut record = rig.job.record();
    record.origin = Origin::Savepoint {
        location: "file:///there".to_owned(),
    };
    record.partitions[0].from_log = false;
    started_again(&mut rig, record);
    let epoch = assignment(&rig.after(10_000)).assignment_epoch;
    let next = assignment(&rig.event(lost_tail_of(Some(0), epoch, 120, 190)));
    assert_eq!((next.restore.is_some(), next.whole_log), (true, false));
}

#[test]
fn a_log_whose_beginning_is_deleted_before_it_is_read_again_is_read_on_at_the_cut_with_the_state() {
    let mut rig = with_two_epochs();
    let next = assignment(&rig.event(lost_tail_of(Some(100), 1, 120, 190)));
    let out = rig.event(state_lost(next.assignment_epoch));
    assert!(out.persist);
    let next = assignment(&out);
    assert_eq!(next.restore.as_ref().unwrap().offset, 180);
    assert_eq!((next.resume_at, next.whole_log), (Some(120), false));
    assert!(tells_of_data_loss(&rig, "`rewind` reads"));
    assert_ne!(rig.state().0, JobState::Failed);
    // Without any state there is nothing to continue with.
    let (mut rig, _) = Rig::running(&[1], 1);
    let next = assignment(&rig.event(lost_tail_of(Some(100), 1, 120, 190)));
    rig.event(state_lost(next.assignment_epoch));
    assert_eq!(rig.state().0, JobState::Failed);
}

#[test]
fn a_partition_whose_log_lost_its_tail_goes_back_before_it_and_that_is_durable_and_shown() {
    let mut rig = with_two_epochs();
    let out = rig.event(lost_tail(1, 160, 190));
    assert!(out.persist);
    let next = assignment(&out);
    assert_eq!(next.restore.as_ref().unwrap().offset, 150);
    assert_eq!((next.lineage, next.resume_at), (1, None));
    let status = rig.job.status(Millis(rig.now), &rig.fleet);
    assert_eq!(status.totals.unwrap().truncated, 30);
    let mut warnings = status.warnings.iter();
    let warning = warnings.find(|w| w.starts_with("DATA_LOSS in t")).unwrap();
    assert!(warning.contains("offsets 160 to 189"), "{warning}");
    // Also for a master that is started again.
    let record = rig.job.record();
    started_again(&mut rig, record);
    let next = assignment(&rig.after(10_000));
    assert_eq!(next.restore.as_ref().unwrap().offset, 150);
    // Below every kept epoch: the state stays, and reading resumes at the cut.
    let next = assignment(&rig.event(lost_tail(next.assignment_epoch, 120, 155)));
    assert_eq!(next.restore.as_ref().unwrap().offset, 180);
    assert_eq!((next.lineage, next.resume_at), (2, Some(120)));
}

/// A job that takes over what another left, in its last epoch or in the newest that is kept.
fn takes_over(rig: &Rig, newest: bool) -> (PartitionRecord, PartitionCheckpoint) {
    let epoch = newest.then(|| rig.job.checkpoints().next().unwrap().epoch);
    let left = rig.job.state_left(epoch).unwrap().partitions[0].clone();
    let mut record = PartitionRecord {
        cuts: Cuts::default(),
        ..rig.job.record().partitions[0].clone()
    };
    record.begin_with(&left);
    let state = PartitionCheckpoint { lineage: 0, ..left };
    (record, state)
}

#[test]
fn a_job_that_takes_over_a_state_with_lost_records_begins_as_the_one_before_it_would_have() {
    for newest in [false, true] {
        let mut rig = with_two_epochs();
        let (record, state) = takes_over(&rig, newest);
        assert_eq!((state.offset, record.cuts.lineage()), (180, 0));
        rig.event(lost_tail(1, 120, 190));
        let (record, state) = takes_over(&rig, newest);
        let start = record.cuts.restart([(1, &state)].into_iter()).unwrap();
        assert_eq!(start.checkpoint.offset, 180);
        assert_eq!((start.resume_at, record.cuts.records()), (Some(120), 60));
        // Without state, if the log still gives it.
        let mut rig = with_two_epochs();
        rig.event(lost_tail_of(Some(100), 1, 120, 190));
        let (record, state) = takes_over(&rig, newest);
        assert_eq!(record.cuts.restart([(1, &state)].into_iter()), None);
        assert_eq!(record.start_offset, 100);
    }
}

#[test]
fn without_a_checkpoint_a_log_that_lost_its_tail_is_read_from_where_it_ends_at_the_latest() {
    let (mut rig, _) = Rig::running(&[1], 1);
    let next = assignment(&rig.event(lost_tail(1, 160, 190)));
    assert_eq!((next.offset, next.lineage), (100, 1));
    let next = assignment(&rig.event(lost_tail(next.assignment_epoch, 60, 100)));
    assert_eq!((next.offset, next.lineage), (60, 2));
}

#[test]
fn a_job_is_shown_when_redis_has_what_is_left_of_a_log_that_lost_its_tail() {
    let (mut rig, _) = Rig::running(&[1], 1);
    let report = |assignment_epoch, position| PartitionReport {
        partition: Some((&SourcePartition::new("t", 0)).into()),
        assignment_epoch,
        state: PartitionState::Running as i32,
        end_offset: Some(position),
        confirmed: Some(Confirmed {
            position: position.min(60),
            ..Confirmed::default()
        }),
        ..PartitionReport::default()
    };
    let send = |report| {
        let reports = vec![report];
        Event::Received(
            executor(1),
            FromExecutor::Reports(Reports {
                reports,
                unchanged: None,
            }),
        )
    };
    rig.event(send(report(1, 190)));
    let next = assignment(&rig.event(lost_tail(1, 60, 190)));
    assert!(!rig.job.record().shown);
    rig.event(send(report(next.assignment_epoch, 60)));
    assert!(rig.job.record().shown);
}
