//! Real binaries with real Kafka, Redis and S3, and what can happen to them. One test binary: it links once, and
//! all scenarios share one Kafka. `cargo test -p kol-tests --test scenarios faults::` runs one file of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support"
)]

mod alerts;
mod builds;
mod chaos;
mod client;
mod clocks;
mod compose;
mod demo;
mod doctor;
mod faults;
mod hosts;
mod input;
mod kafka;
mod lineage;
mod masters;
mod memory;
mod moves;
mod numbers;
mod owners;
mod page;
mod placement;
mod recovery;
mod redis;
mod rekeying;
mod replay;
mod s3;
mod safe;
mod secured;
mod secured_masters;
mod serving;
mod streaming;
mod topology;
mod traces;
mod zombie;
