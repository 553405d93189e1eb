//! The simulation: master, executors, Redis, log and checkpoint store in one process and one thread, on
//! turmoil's network and time, with faults from a seed. Everything that decides is the product's own;
//! what it takes from outside is here:
//!
//! | file | stands for |
//! |---|---|
//! | `world` | the clock, random numbers, threads, what the process uses |
//! | `net` | sockets, under the real tonic and the real Redis client |
//! | `redis` | Redis, which runs the scripts that are shipped |
//! | `log`, `letters` | Kafka |
//! | `store` | the checkpoint store |
//! | `etcd` | etcd, for the tests of stores and of the election |
//! | `nodes` | the hosts |
//! | `person` | whoever uses the job |
//! | `input`, `schedule` | events and faults, from the seed |
//! | `watch`, `complaints` | a reader of Redis; a reader of logs |
//! | `covered` | what a committed epoch promises |
//! | `trace` | all that happened, as one number |
//! | `guard` | notices when time does not advance |
//! | `run` | puts it together |
//! | `verdict` | judges |
#![allow(
    clippy::expect_used,
    reason = "test support: a failure here is a failed test, and its message is the panic's"
)]

mod complaints;
mod covered;
pub mod etcd;
mod guard;
mod input;
mod letters;
mod log;
mod net;
mod nodes;
mod person;
pub mod redis;
mod run;
mod schedule;
mod store;
mod trace;
mod verdict;
mod watch;
mod world;

pub use person::Errand;
pub use run::{Outcome, run};
pub use schedule::Deed;
