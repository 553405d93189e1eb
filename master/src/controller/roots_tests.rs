//! Executors that do not see a checkpoint root when they register.

use std::time::Duration;

use kol_common::actor::Group;
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{Register, UnseenRoot, UnseenRoots};
use kol_common::{JobId, Millis, SourcePartition};

use super::actor::start;
use super::handle::{Handle, Outgoing};
use super::store::JobStore;
use super::testing::options;
use crate::cluster::SessionId;
use crate::election::LeaderStore;
use crate::job::cuts::Cuts;
use crate::job::record::PartitionRecord;
use crate::job::{JobRecord, Phase};
use crate::meta::EmbeddedStore;
use crate::testing::spec;

const SESSION: SessionId = SessionId(1);

/// A master with one job that runs, and whose partition has no owner.
async fn master(tasks: &Group) -> (Handle, String) {
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let mut record = JobRecord::new(JobId::generate(), spec("a"), vec![], Millis::now());
    record.phase = Phase::Running;
    record.generation = 1;
    record.partitions = vec![PartitionRecord {
        partition: SourcePartition::new("t", 0),
        ordinal: 0,
        start_offset: 0,
        from_log: true,
        topic_id: None,
        cuts: Cuts::default(),
        assignment_epoch: 1,
        owner: None,
        placed: None,
        last: None,
        has_position: false,
    }];
    let (mut store, _) = JobStore::load(meta.clone()).await.unwrap();
    store.save(Some(&record), None).await.unwrap();
    drop(store);
    let (handle, _ends_with_the_test) = start(meta, options(), tasks).await.unwrap();
    (handle, record.spec.checkpoint.location)
}

/// Whether a partition was assigned to the executor by now.
async fn is_assigned(handle: &Handle, outgoing: &mut Outgoing) -> bool {
    // What was sent before is done when this is answered.
    handle.executors().await.unwrap();
    let mut assigned = false;
    while let Ok(message) = outgoing.try_recv() {
        assigned |= matches!(message.unwrap().body, Some(ToExecutor::Assign(_)));
    }
    assigned
}

#[tokio::test]
async fn an_executor_that_registers_without_the_root_gets_nothing_before_it_sees_it() {
    let tasks = Group::new("test");
    let (handle, location) = master(&tasks).await;
    let register = Register {
        incarnation: "inc_1".into(),
        unseen_roots: vec![UnseenRoot {
            location,
            ..UnseenRoot::default()
        }],
        ..Register::default()
    };
    let mut outgoing = handle.opened(SESSION, register.clone()).await.unwrap();
    assert!(!is_assigned(&handle, &mut outgoing).await);
    let sees_all = FromExecutor::UnseenRoots(UnseenRoots::default());
    handle.received(SESSION, sees_all).await.unwrap();
    assert!(is_assigned(&handle, &mut outgoing).await);
    tasks.drain(Duration::from_secs(5)).await;
}
