//! Executors that a person drains, and masters that follow each other.

use std::time::Duration;

use kol_common::actor::Group;
use kol_common::proto::Register;
use kol_common::proto::master_message::Body as ToExecutor;

use super::actor::start;
use super::handle::{Handle, Outgoing};
use super::testing::{find, options};
use crate::cluster::SessionId;
use crate::election::LeaderStore;
use crate::meta::EmbeddedStore;

/// A master, and an executor that registers with it and says that it does not drain.
async fn begin(meta: &LeaderStore, tasks: &Group) -> (Handle, Outgoing) {
    let (handle, _ends_with_the_group) = start(meta.clone(), options(), tasks).await.unwrap();
    let register = Register {
        incarnation: "inc_1".into(),
        host: "host-a".into(),
        ..Register::default()
    };
    let outgoing = handle.opened(SessionId(1), register).await.unwrap();
    (handle, outgoing)
}

async fn on_record(meta: &LeaderStore) -> usize {
    meta.reader().list("drain/").await.unwrap().len()
}

#[tokio::test]
async fn an_executor_that_never_heard_that_it_drains_hears_it_from_the_next_master() {
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let first = Group::new("first");
    let (handle, unheard) = begin(&meta, &first).await;
    handle.drain("host-a".into(), true).await.unwrap();
    drop(unheard);
    first.drain(Duration::from_secs(5)).await;

    let second = Group::new("second");
    let (handle, mut outgoing) = begin(&meta, &second).await;
    assert!(handle.executors().await.unwrap()[0].draining);
    let drain = |body| match body {
        ToExecutor::Drain(drain) => Some(drain),
        _ => None,
    };
    let drain = find(&mut outgoing, "that it drains", drain).await;
    assert!(drain.draining);
    second.drain(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn an_executor_that_one_master_has_lost_still_drains_under_the_next_one() {
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let first = Group::new("first");
    let (handle, _outgoing) = begin(&meta, &first).await;
    handle.drain("host-a".into(), true).await.unwrap();
    // The network is cut, and the master calls it lost.
    tokio::time::sleep(Duration::from_secs(7)).await;
    first.drain(Duration::from_secs(5)).await;

    let second = Group::new("second");
    let (handle, _outgoing) = begin(&meta, &second).await;
    assert!(handle.executors().await.unwrap()[0].draining);
    second.drain(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_said_of_an_executor_is_forgotten_once_it_is_gone() {
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let first = Group::new("first");
    let (handle, _outgoing) = begin(&meta, &first).await;
    handle.drain("host-a".into(), true).await.unwrap();
    assert_eq!(on_record(&meta).await, 1);
    // It is silent, and lost: it may return to another master.
    let limits = options().limits;
    tokio::time::sleep(limits.remember / 2).await;
    assert_eq!(on_record(&meta).await, 1);
    tokio::time::sleep(limits.remember).await;
    assert_eq!(on_record(&meta).await, 0);
    first.drain(Duration::from_secs(5)).await;

    let second = Group::new("second");
    let (handle, _outgoing) = begin(&meta, &second).await;
    handle.drain("host-a".into(), true).await.unwrap();
    second.drain(Duration::from_secs(5)).await;
    // Under the next master it never comes.
    let last = Group::new("last");
    let _nobody_comes = start(meta.clone(), options(), &last).await.unwrap();
    tokio::time::sleep(limits.remember / 2).await;
    assert_eq!(on_record(&meta).await, 1);
    tokio::time::sleep(limits.remember).await;
    assert_eq!(on_record(&meta).await, 0);
    last.drain(Duration::from_secs(5)).await;
}
