//! What follows for a job when the log of a partition becomes another one: its topic is recreated, or its tail is lost.

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Confirmed, ErrorDomain, LostTail, PartitionAssignment, PartitionFailed, PartitionReport,
    PartitionState, Reports,
};
use kol_common::{Millis, SourcePartition};
use uuid::Uuid;

use super::effect::Event;
use super::machine::Job;
use super::testing::{DRAIN, Out, Rig, TOPIC, barriers, executor, failure, fleet};

/// The assignment that went to an executor, of partition 0.
fn assignment(out: &Out) -> PartitionAssignment {
    let sent = out.sends.iter().find_map(|(_, message)| match message {
        ToExecutor::Assign(assign) => assign.partitions.first().cloned(),
        _ => None,
    });
    sent.unwrap()
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

fn lost_tail(epoch: u64, from: u64, to: u64) -> Event {
    let failed = PartitionFailed {
        lost_tail: Some(LostTail {
            from,
            to,
            differs: None,
            unproven: false,
        }),
        ..failure(0, epoch, ErrorDomain::External)
    };
    Event::Received(executor(1), FromExecutor::PartitionFailed(failed))
}

#[test]
fn a_partition_whose_log_lost_its_tail_goes_back_before_it_and_that_is_durable_and_shown() {
    let (mut rig, out) = Rig::running(&[1], 1);
    rig.report_all(&out);
    for offset in [150, 180] {
        let epoch = barriers(&rig.after(60_000))[0].epoch;
        rig.ack_at(epoch, 0, offset);
    }
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
    let checkpoints: Vec<_> = rig.job.checkpoints().cloned().collect();
    let oldest_first = checkpoints.into_iter().rev().collect();
    rig.job = Job::new(rig.job.record(), oldest_first, Millis(rig.now), DRAIN);
    let next = assignment(&rig.after(10_000));
    assert_eq!(next.restore.as_ref().unwrap().offset, 150);
    // Below every kept epoch: the state stays, and reading resumes at the cut.
    let next = assignment(&rig.event(lost_tail(next.assignment_epoch, 120, 155)));
    assert_eq!(next.restore.as_ref().unwrap().offset, 180);
    assert_eq!((next.lineage, next.resume_at), (2, Some(120)));
    // A job that takes over from here knows nothing of the cuts.
    for left in [None, Some(rig.job.checkpoints().next().unwrap().epoch)] {
        let left = rig.job.state_left(left).unwrap();
        assert_eq!(left.partitions[0].offset, 120);
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
        Event::Received(executor(1), FromExecutor::Reports(Reports { reports }))
    };
    rig.event(send(report(1, 190)));
    let next = assignment(&rig.event(lost_tail(1, 60, 190)));
    assert!(!rig.job.record().shown);
    rig.event(send(report(next.assignment_epoch, 60)));
    assert!(rig.job.record().shown);
}
