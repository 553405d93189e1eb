//! How a job ends, and how the next one resumes.

use std::time::Duration;

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    ErrorDomain, JobState, Manifest, PartitionCheckpoint, PartitionCounters, RevokeMode,
};
use kol_common::{JobId, Millis, SavepointId, SourcePartition};

use super::discovery::Found;
use super::effect::Event;
use super::fleet::Fleet;
use super::machine::Job;
use super::origin::Origin;
use super::record::{End, Phase, Predecessor};
use super::testing::{Rig, assigned, barriers, executor, failure, revoked, started};

#[test]
fn a_stop_ends_with_a_last_epoch_after_which_nothing_is_read() {
    let (mut rig, first) = Rig::running(&[1], 2);
    rig.report_all(&first);
    let out = rig.event(Event::End(End::Stopped, String::new()));
    assert_eq!(rig.state().0, JobState::Stopping);
    assert!(revoked(&out).is_empty(), "not before the last epoch");
    let last = barriers(&out).pop().unwrap();
    assert!(last.last);
    assert!(rig.ack(last.epoch, 0).commit.is_none());
    let out = rig.ack(last.epoch, 1);
    assert_eq!(out.commit.as_ref().unwrap().manifest.epoch, last.epoch);
    let revokes = revoked(&out);
    assert!(revokes.iter().all(|(_, r)| r.mode() == RevokeMode::Drain));
    rig.release(1, &revokes[0].1, true);
    let out = rig.release(1, &revokes[1].1, false);
    assert!(out.persist);
    let complete = (JobState::Stopped, String::new());
    assert_eq!(rig.state(), complete, "the epoch has everything");
}

#[test]
fn a_stopped_job_still_says_what_it_had_read_after_the_master_was_started_again() {
    let counted = PartitionCheckpoint {
        counters: Some(PartitionCounters {
            events: 70,
            ..PartitionCounters::default()
        }),
        kols: 7,
        ..PartitionCheckpoint::default()
    };
    let (rig, _) = Rig::running(&[1], 2);
    let mut record = rig.job.record();
    record.phase = Phase::Over(End::Stopped);
    let of_partition = |ordinal| PartitionCheckpoint {
        ordinal,
        ..counted.clone()
    };
    let last = Manifest {
        epoch: 3,
        partitions: vec![of_partition(0), of_partition(1)],
        ..Manifest::default()
    };
    let job = Job::new(record, vec![last], Millis(1_000), Duration::from_secs(10));
    let status = job.status(Millis(1_000), &Fleet::new());
    assert_eq!(status.state(), JobState::Stopped);
    assert_eq!((status.totals.unwrap().events, status.kols), (140, 14));
}

#[test]
fn a_savepoint_that_a_stop_overtakes_comes_after_the_last_epoch() {
    let (mut rig, first) = Rig::running(&[1], 1);
    rig.report_all(&first);
    let id = SavepointId::generate();
    let folder = || "file:///s".to_owned();
    let out = rig.event(Event::Savepoint(id.clone(), folder()));
    let early = barriers(&out).pop().unwrap();
    assert_eq!((early.savepoint.as_str(), early.last), ("file:///s", false));
    let out = rig.event(Event::End(End::Stopped, String::new()));
    let last = barriers(&out).pop().unwrap();
    assert_eq!((last.savepoint.as_str(), last.last), ("", true));
    assert!(
        rig.ack(early.epoch, 0).savepoints.is_empty(),
        "it was aborted"
    );
    let out = rig.ack(last.epoch, 0);
    let again = barriers(&out).pop().unwrap();
    assert_eq!((again.savepoint, again.parent), (folder(), last.epoch));
    let out = rig.ack(again.epoch, 0);
    assert!(out.commit.is_none(), "a savepoint is no checkpoint");
    let (granted, manifest) = &out.savepoints[0];
    assert_eq!(
        (granted, manifest.as_ref().unwrap().epoch),
        (&id, again.epoch)
    );
    assert_eq!(revoked(&out).len(), 1);
}

#[test]
fn a_stop_without_a_last_epoch_drains_in_the_end_and_says_what_is_missing() {
    for (drained, word) in [
        (true, "no checkpoint"),
        (false, "1 of 2 partitions did not confirm"),
    ] {
        let (mut rig, first) = Rig::running(&[1], 2);
        rig.report_all(&first);
        rig.event(Event::End(End::Stopped, String::new()));
        assert!(revoked(&rig.after(9_999)).is_empty());
        let revokes = revoked(&rig.after(1));
        assert_eq!(revokes.len(), 2);
        assert!(revokes.iter().all(|(_, r)| r.mode() == RevokeMode::Drain));
        rig.release(1, &revokes[0].1, true);
        rig.release(1, &revokes[1].1, drained);
        let (state, reason) = rig.state();
        assert_eq!(state, JobState::Stopped);
        assert!(reason.starts_with(word), "{reason}");
    }
}

#[test]
fn a_job_that_follows_another_waits_for_it_and_resumes_from_its_state() {
    let mut record = Rig::record();
    record.follows = Some(Predecessor {
        id: JobId::from_wire("job_0"),
        end: End::Stopped,
    });
    record.origin = Origin::Job {
        id: JobId::from_wire("job_0"),
        epoch: None,
    };
    let mut rig = Rig::with(record, &[1]);
    assert!(!rig.after(60_000).discover);
    assert!(rig.state().1.contains("job_0 has ended"));
    let before = Some(Predecessor {
        id: JobId::from_wire("job_00"),
        end: End::Stopped,
    });
    assert!(rig.event(Event::PredecessorEnded(before)).persist);
    assert!(rig.state().1.contains("job_00 has ended"));
    let out = rig.event(Event::PredecessorEnded(None));
    assert!(out.persist && out.discover);
    let state = Manifest {
        clock_ms: Some(77),
        partitions: vec![PartitionCheckpoint {
            partition: Some((&SourcePartition::new("t", 1)).into()),
            offset: 300,
            location: "file:///job_0".into(),
            ..PartitionCheckpoint::default()
        }],
        ..Manifest::default()
    };
    let out = rig.event(Event::Discovered(
        Ok(Found {
            partitions: started(2, 100),
            generation: Some(9),
            state: Some(Box::new(state)),
            rekeying: None,
        }),
        None,
    ));
    assert!(out.persist, "in one transaction with the epoch");
    let head = &out.commit.as_ref().unwrap().manifest;
    assert_eq!((head.epoch, head.parent, head.generation), (1, 0, 9));
    assert_eq!(head.origin, "the last epoch of job_0");
    assert!(rig.job.record().epochs_reserved >= 1);
    let ToExecutor::Assign(assign) = &out.sends[0].1 else {
        panic!("{:?}", out.sends);
    };
    let restored: Vec<_> = assign
        .partitions
        .iter()
        .map(|p| p.restore.is_some())
        .collect();
    assert_eq!(restored, [false, true], "the first partition is new");
    assert_eq!(rig.job.record().clock, Some(Millis(77)));
    // That state cannot be read: there is no older one, and the log may no longer have it.
    let (_, number, epoch) = assigned(&out)[1].clone();
    let mut failed = failure(number, epoch, ErrorDomain::External);
    failed.error.as_mut().unwrap().code = kol_common::checkpoint::DAMAGED.into();
    rig.event(Event::Received(
        executor(1),
        FromExecutor::PartitionFailed(failed),
    ));
    let (state, reason) = rig.state();
    assert_eq!(state, JobState::Failed);
    assert!(reason.contains("the state to begin with"), "{reason}");
}

#[test]
fn a_job_does_not_leave_damaged_state_to_the_next_one() {
    let (mut rig, out) = Rig::running(&[1], 1);
    rig.report_all(&out);
    for offset in [10, 20] {
        let epoch = barriers(&rig.after(1_000))[0].epoch;
        assert!(rig.ack_at(epoch, 0, offset).commit.is_some());
    }
    let offset = |rig: &Rig| rig.job.state_left(None).unwrap().partitions[0].offset;
    assert_eq!(offset(&rig), 20);
    rig.fail(1, 0, 1, ErrorDomain::External);
    let (_, number, epoch) = assigned(&rig.after(60_000))[0].clone();
    let mut failed = failure(number, epoch, ErrorDomain::External);
    failed.error.as_mut().unwrap().code = kol_common::checkpoint::DAMAGED.into();
    rig.event(Event::Received(
        executor(1),
        FromExecutor::PartitionFailed(failed),
    ));
    assert_eq!(offset(&rig), 10);
}

#[test]
fn a_cancellation_overtakes_a_stop() {
    let (mut rig, _) = Rig::running(&[1], 1);
    rig.event(Event::End(End::Stopped, String::new()));
    let revokes = revoked(&rig.event(Event::End(End::Cancelled, String::new())));
    assert_eq!(revokes[0].1.mode(), RevokeMode::Now);
    rig.release(1, &revokes[0].1, false);
    assert_eq!(rig.job.header().phase, Phase::Over(End::Cancelled));
}
