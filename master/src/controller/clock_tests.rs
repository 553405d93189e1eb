//! The whole controller on a machine whose wall clock is set to other times.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use kol_common::actor::Group;
use kol_common::job::{Counters, JobSpec, Profile, ScoringSpec};
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    BarrierAck, ExecutorState, Heartbeat, PartitionCheckpoint, PartitionReport, PartitionState,
    Register, Reports, RunningPartition,
};
use kol_common::world::{self, Chance, Clock, ThisMachine, Threads};
use kol_common::{Incarnation, JobId, Millis, SourcePartition};
use uuid::Uuid;

use super::actor::start;
use super::handle::{Handle, Outgoing};
use super::store::JobStore;
use super::submission::{Begin, Submission};
use super::testing::{find, options, store_with};
use crate::cluster::SessionId;
use crate::election::LeaderStore;
use crate::job::cuts::Cuts;
use crate::job::record::PartitionRecord;
use crate::job::{JobRecord, Phase};
use crate::meta::EmbeddedStore;
use crate::testing::spec;

const SESSION: SessionId = SessionId(1);

/// The machine, but for its wall clock.
struct Shifted(Rc<Cell<i64>>);

impl Clock for Shifted {
    fn now(&self) -> Millis {
        Millis(ThisMachine.now().0.saturating_add_signed(self.0.get()))
    }
}

impl Chance for Shifted {
    fn random(&self) -> u128 {
        ThisMachine.random()
    }

    fn ordered_id(&self) -> Uuid {
        let high = self.now().0 << 16;
        Uuid::from_u64_pair(high, ThisMachine.ordered_id().as_u64_pair().1)
    }
}

impl Threads for Shifted {
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        ThisMachine.blocking(work);
    }
}

/// A master with one job that runs on one executor.
async fn running(tasks: &Group) -> (Handle, Outgoing) {
    running_job(tasks, spec("a"), None).await
}

/// The same with this job, whose newest event is this.
async fn running_job(
    tasks: &Group,
    spec: JobSpec,
    newest_event: Option<Millis>,
) -> (Handle, Outgoing) {
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let job = JobId::generate();
    let mut record = JobRecord::new(job.clone(), spec, vec![], Millis::now());
    record.phase = Phase::Running;
    record.generation = 1;
    let partition = SourcePartition::new("t", 0);
    record.partitions = vec![PartitionRecord {
        partition: partition.clone(),
        ordinal: 0,
        start_offset: 0,
        from_log: true,
        topic_id: None,
        cuts: Cuts::default(),
        assignment_epoch: 1,
        owner: Some(Incarnation::from_wire("inc_1")),
        placed: None,
        last: None,
        has_position: false,
    }];
    let (mut store, _) = JobStore::load(meta.clone()).await.unwrap();
    store.save(Some(&record), None).await.unwrap();
    drop(store);
    let (handle, _ends_with_the_test) = start(meta, options(), tasks).await.unwrap();
    let claim = RunningPartition {
        job_id: job.to_string(),
        partition: Some((&partition).into()),
        generation: 1,
        assignment_epoch: 1,
    };
    let register = Register {
        incarnation: "inc_1".into(),
        host: "host-a".into(),
        running: vec![claim],
        ..Register::default()
    };
    let outgoing = handle.opened(SESSION, register).await.unwrap();
    let report = PartitionReport {
        job_id: job.to_string(),
        partition: Some((&partition).into()),
        assignment_epoch: 1,
        state: PartitionState::Running as i32,
        clock_ms: newest_event.map(|time| time.0),
        ..PartitionReport::default()
    };
    let reports = vec![report];
    let reports = FromExecutor::Reports(Reports {
        reports,
        unchanged: None,
    });
    handle.received(SESSION, reports).await.unwrap();
    (handle, outgoing)
}

/// The next barrier, which the partition acknowledges.
async fn epoch(handle: &Handle, outgoing: &mut Outgoing) -> u64 {
    let barrier = |body| match body {
        ToExecutor::Barrier(barrier) => Some(barrier),
        _ => None,
    };
    let barrier = find(outgoing, "a barrier", barrier).await;
    let ack = BarrierAck {
        job_id: barrier.job_id,
        epoch: barrier.epoch,
        checkpoint: Some(PartitionCheckpoint {
            assignment_epoch: 1,
            ..PartitionCheckpoint::default()
        }),
    };
    let ack = FromExecutor::BarrierAck(Box::new(ack));
    handle.received(SESSION, ack).await.unwrap();
    barrier.epoch
}

#[tokio::test]
async fn a_step_of_the_wall_clock_loses_no_executor_and_holds_up_no_epoch() {
    let shift = Rc::new(Cell::new(0));
    world::enter(Rc::new(Shifted(Rc::clone(&shift))));
    let tasks = Group::new("test");
    let (handle, mut outgoing) = running(&tasks).await;
    let mut last = epoch(&handle, &mut outgoing).await;
    for step in [5_000, -3_600_000, 7_200_000] {
        shift.set(shift.get() + step);
        // Time for a look at the leases.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let heartbeat = FromExecutor::Heartbeat(Heartbeat::default());
        handle.received(SESSION, heartbeat).await.unwrap();
        let executors = handle.executors().await.unwrap();
        assert_eq!(executors[0].state(), ExecutorState::Alive, "{step} ms");
        assert!(executors[0].heartbeat_age_ms < 3_000, "{step} ms");
        let next = epoch(&handle, &mut outgoing).await;
        assert!(next > last);
        last = next;
    }
    let drained = tasks.drain(Duration::from_secs(5)).await;
    assert_eq!(drained, kol_common::actor::Drained::InTime);
}

#[tokio::test]
async fn a_step_of_the_wall_clock_is_no_time_without_events_in_which_rankings_cool() {
    let shift = Rc::new(Cell::new(0));
    world::enter(Rc::new(Shifted(Rc::clone(&shift))));
    let tasks = Group::new("test");
    let mut cooling = spec("a");
    cooling.scoring = ScoringSpec::defaults(Profile::Default, Counters::Delta);
    assert_eq!(cooling.scoring.idle_timeout, Some(Millis(60_000)));
    let newest = Millis::now();
    let (handle, _outgoing) = running_job(&tasks, cooling, Some(newest)).await;
    for step in [7_200_000, -10_800_000, 7_200_000] {
        shift.set(shift.get() + step);
        // Time for a look at the job.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let status = handle.job("a".into()).await.unwrap();
        assert_eq!(status.clock_ms, Some(newest.0), "{step} ms");
    }
    let drained = tasks.drain(Duration::from_secs(5)).await;
    assert_eq!(drained, kol_common::actor::Drained::InTime);
}

/// A heartbeat of the executor with this wall clock, and what the master's wall clock shows by its reply.
async fn heartbeat(handle: &Handle, outgoing: &mut Outgoing, wall: Millis) -> Millis {
    let heartbeat = Heartbeat {
        wall_ms: wall.0,
        ..Heartbeat::default()
    };
    let heartbeat = FromExecutor::Heartbeat(heartbeat);
    handle.received(SESSION, heartbeat).await.unwrap();
    let reply = |body| match body {
        ToExecutor::HeartbeatReply(reply) => Some(reply),
        _ => None,
    };
    Millis(find(outgoing, "a reply", reply).await.wall_ms)
}

#[tokio::test]
async fn hosts_whose_clocks_differ_are_named_until_they_agree() {
    let shift = Rc::new(Cell::new(0));
    world::enter(Rc::new(Shifted(Rc::clone(&shift))));
    let tasks = Group::new("test");
    let (handle, mut outgoing) = running(&tasks).await;
    let welcome = |body| match body {
        ToExecutor::Welcome(welcome) => Some(welcome),
        first => panic!("Welcome comes first, not {first:?}"),
    };
    let welcome = find(&mut outgoing, "a welcome", welcome).await;
    assert!(welcome.wall_ms > 0);
    for (step, named) in [
        (0, None),
        (7_200_000, Some("host-a is 2h behind the master")),
        (-7_200_000, Some("host-a is 2h ahead of the master")),
        (0, None),
    ] {
        shift.set(step);
        let own = ThisMachine.now();
        let reply = heartbeat(&handle, &mut outgoing, own).await;
        let ahead = reply.0.cast_signed() - own.0.cast_signed();
        assert!((step..step + 5_000).contains(&ahead), "{step}: {ahead}");
        let status = handle.job("a".into()).await.unwrap();
        let warned = status.warnings.join("; ");
        match named {
            Some(named) => assert!(warned.contains(named), "{warned}"),
            None => assert!(!warned.contains("wall clocks"), "{warned}"),
        }
        let executor = &handle.executors().await.unwrap()[0];
        let seen = executor.clock_ahead_ms.unwrap();
        assert!((-step - 5_000..=-step).contains(&seen), "{step}: {seen}");
        // What people read is by the wall clock.
        let registered = Millis(executor.registered_ms);
        let wall = Millis(own.0.saturating_add_signed(step));
        assert!(wall.since(registered) < Millis(60_000), "{registered:?}");
    }
    let drained = tasks.drain(Duration::from_secs(5)).await;
    assert_eq!(drained, kol_common::actor::Drained::InTime);
}

#[tokio::test]
async fn the_newest_job_of_a_name_is_the_last_one_also_when_the_clock_was_set_back() {
    let shift = Rc::new(Cell::new(0));
    world::enter(Rc::new(Shifted(Rc::clone(&shift))));
    let tasks = Group::new("test");
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let record = JobRecord::new(JobId::generate(), spec("a"), vec![], Millis::now());
    drop(store_with(&[record], meta.clone()).await);
    let (handle, _ends_with_the_test) = start(meta, options(), &tasks).await.unwrap();
    let first = handle.job("a".into()).await.unwrap().job_id;
    shift.set(-7_200_000);
    let mut other = spec("a");
    other.scoring.weights.momentum = 0.3;
    let submission = Submission {
        spec: other,
        warnings: vec![],
        begin: Begin::Resume,
        replace: true,
        take_over: false,
        traceparent: String::new(),
    };
    let second = handle.submit(submission).await.unwrap().job_id;
    assert_ne!(first, second);
    assert_eq!(handle.job("a".into()).await.unwrap().job_id, second);
    assert_eq!(handle.jobs().await.unwrap()[0].job_id, second);
    let drained = tasks.drain(Duration::from_secs(5)).await;
    assert_eq!(drained, kol_common::actor::Drained::InTime);
}
