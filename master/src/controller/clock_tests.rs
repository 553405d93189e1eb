//! The whole controller on a machine whose wall clock is set to other times.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::actor::Group;
use kol_common::checkpoint::Stores;
use kol_common::job::{SourceSpec, StartingOffsets};
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Barrier, BarrierAck, ExecutorState, Heartbeat, PartitionCheckpoint, PartitionReport,
    PartitionState, Register, Reports, RunningPartition,
};
use kol_common::secrets::Secrets;
use kol_common::world::{self, Chance, Clock, ThisMachine, Threads};
use kol_common::{Incarnation, JobId, KolError, Millis, SourcePartition};
use uuid::Uuid;

use super::actor::start;
use super::handle::{Handle, Outgoing};
use super::state::Options;
use super::store::JobStore;
use crate::checkpoint::group_offsets::GroupOffsets;
use crate::cluster::{Limits, SessionId};
use crate::job::cuts::Cuts;
use crate::job::discovery::{Brokers, Outside, Starts};
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
        ThisMachine.ordered_id()
    }
}

impl Threads for Shifted {
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        ThisMachine.blocking(work);
    }
}

/// Brokers that are never reached.
#[derive(Debug)]
struct Away;

impl Brokers for Away {
    fn starts(
        &self,
        _source: SourceSpec,
        _known: Vec<SourcePartition>,
        _offsets: StartingOffsets,
        _secrets: Secrets,
    ) -> BoxFuture<'static, Result<Starts, KolError>> {
        Box::pin(async { Err(KolError::external("SOURCE_UNREACHABLE", "away")) })
    }

    fn group_offsets(
        &self,
        _source: &SourceSpec,
        _secrets: &Secrets,
        _tasks: &Group,
    ) -> Result<GroupOffsets, KolError> {
        Err(KolError::external("SOURCE_UNREACHABLE", "away"))
    }
}

/// A master with one job that runs on one executor.
async fn running(tasks: &Group) -> (Handle, Outgoing) {
    let meta = Arc::new(EmbeddedStore::in_memory().unwrap());
    let job = JobId::generate();
    let mut record = JobRecord::new(job.clone(), spec("a"), vec![], Millis::now());
    record.phase = Phase::Running;
    record.generation = 1;
    let partition = SourcePartition::new("t", 0);
    record.partitions = vec![PartitionRecord {
        partition: partition.clone(),
        ordinal: 0,
        start_offset: 0,
        topic_id: None,
        cuts: Cuts::default(),
        assignment_epoch: 1,
        owner: Some(Incarnation::from_wire("inc_1")),
    }];
    let (mut store, _) = JobStore::load(meta.clone()).await.unwrap();
    store.save(Some(&record), None).await.unwrap();
    drop(store);
    let outside = Outside {
        brokers: Arc::new(Away),
        redis: Arc::new(kol_common::redis::Network),
        stores: Stores::of_this_machine(),
        secrets: Secrets::default(),
    };
    let options = Options {
        outside,
        drain: Duration::from_secs(1),
        limits: Limits::default(),
    };
    let (handle, _ends_with_the_test) = start(meta, options, tasks).await.unwrap();
    let claim = RunningPartition {
        job_id: job.to_string(),
        partition: Some((&partition).into()),
        generation: 1,
        assignment_epoch: 1,
    };
    let register = Register {
        incarnation: "inc_1".into(),
        running: vec![claim],
        ..Register::default()
    };
    let outgoing = handle.opened(SESSION, register).await.unwrap();
    let report = PartitionReport {
        job_id: job.to_string(),
        partition: Some((&partition).into()),
        assignment_epoch: 1,
        state: PartitionState::Running as i32,
        ..PartitionReport::default()
    };
    let reports = vec![report];
    let reports = FromExecutor::Reports(Reports { reports });
    handle.received(SESSION, reports).await.unwrap();
    (handle, outgoing)
}

/// The next barrier, which the partition acknowledges.
async fn epoch(handle: &Handle, outgoing: &mut Outgoing) -> u64 {
    let barrier: Barrier = loop {
        let message = outgoing.recv().await.expect("the stream stays open");
        if let Some(ToExecutor::Barrier(barrier)) = message.unwrap().body {
            break barrier;
        }
    };
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
        let begins = tokio::time::timeout(Duration::from_secs(10), epoch(&handle, &mut outgoing));
        let next = begins.await.expect("epochs go on");
        assert!(next > last);
        last = next;
    }
    let drained = tasks.drain(Duration::from_secs(5)).await;
    assert_eq!(drained, kol_common::actor::Drained::InTime);
}
