//! What follows for a job when the topic of a partition is recreated.

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::{PartitionReport, PartitionState, Reports};
use kol_common::{Millis, SourcePartition};
use uuid::Uuid;

use super::effect::Event;
use super::machine::Job;
use super::testing::{DRAIN, Rig, TOPIC, assignment, executor, fleet};

fn reports_log(assignment_epoch: u64, topic: Uuid, log_start: Option<u64>) -> Event {
    let report = PartitionReport {
        partition: Some((&SourcePartition::new("t", 0)).into()),
        assignment_epoch,
        state: PartitionState::Running as i32,
        topic_id: topic.as_bytes().to_vec(),
        log_start,
        ..PartitionReport::default()
    };
    let reports = vec![report];
    Event::Received(
        executor(1),
        FromExecutor::Reports(Reports {
            reports,
            unchanged: None,
        }),
    )
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
