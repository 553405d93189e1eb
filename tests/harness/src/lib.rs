//! Starts real servers and real binaries on free ports and in folders of their own, and compares
//! what they did with the reference fold.
//!
//! Everything here is synchronous and panics when something does not come about in time: a scenario
//! reads from top to bottom, and its first failure is the message. Every process ends with the test
//! that started it, also when that test fails or is killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a failure here is a failed test, and its message is the panic's"
)]

mod browser;
mod client;
mod clock;
mod cluster;
mod collector;
mod compare;
mod data;
mod docker;
mod etcd;
pub mod http;
mod images;
mod jobs;
mod kafka;
mod law;
mod logs;
mod masters;
mod mounts;
mod process;
mod proxy;
mod redis_cluster;
mod redis_server;
mod s3;
mod scene;
mod secured;
mod sentinels;
mod topic;

pub use browser::Browser;
pub use client::{ClientRun, client};
pub use clock::Clock;
pub use cluster::{Cluster, binary};
pub use collector::{Collector, SentSpan};
pub use compare::{Shown, compare, compare_below, compare_market};
pub use data::{Key, generated, real_or_generated};
pub use docker::Docker;
pub use etcd::Etcd;
pub use jobs::{Job, scoring};
pub use kafka::{Kafka, kafka_libs, remove_when_we_end};
pub use law::fold_of;
pub use logs::unexpected;
pub use mounts::{IN_OWN_NAMESPACE, hide_from, may_mount, mount, seen_by, show_copy_to, show_to};
pub use process::Process;
pub use proxy::{Link, Proxy};
pub use redis_cluster::RedisCluster;
pub use redis_server::RedisServer;
pub use s3::S3;
pub use scene::Scene;
pub use secured::Secured;
pub use sentinels::Sentinels;
pub use topic::{Letter, Topic};

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A port of the loopback interface that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound address").port()
}

/// Nobody is waited for any more.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Has whoever waits, now or later, panic: what was started then ends, and its folders are removed.
pub fn give_up_waiting() {
    GIVEN_UP.store(true, Ordering::Relaxed);
}

/// Waits until `probe` answers, and panics with `what` and the last excuse after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Ok(value) => return value,
            Err(_) if GIVEN_UP.load(Ordering::Relaxed) => panic!("gave up waiting for {what}"),
            Err(excuse) if Instant::now() > deadline => {
                panic!("waited {limit:?} for {what}: {excuse}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
