//! The simulation: masters, executors, Redis, log and checkpoint store in one process and one thread, on
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
//! | `etcd` | etcd, also for the tests of stores and of the election |
//! | `nodes` | the hosts |
//! | `masters` | one master or several, and what happens to them |
//! | `pause` | a process that is stopped and continues |
//! | `person` | whoever uses the job |
//! | `input`, `schedule` | events and faults, from the seed |
//! | `watch`, `complaints`, `obeyed` | a reader of Redis; readers of logs |
//! | `drains` | what must hold of executors that are drained |
//! | `reign` | the laws of several masters |
//! | `covered` | what a committed epoch promises |
//! | `trace` | all that happened, as one number |
//! | `guard` | notices when time does not advance |
//! | `stage` | what is there at the beginning |
//! | `deeds` | does what the schedule says |
//! | `run` | puts it together |
//! | `verdict` | judges |
#![allow(
    clippy::expect_used,
    reason = "test support: a failure here is a failed test, and its message is the panic's"
)]

mod complaints;
mod covered;
mod deeds;
mod drains;
pub mod etcd;
mod guard;
mod input;
mod letters;
mod log;
mod masters;
mod net;
mod nodes;
mod obeyed;
mod pause;
mod person;
pub mod redis;
mod reign;
mod run;
mod schedule;
mod stage;
mod store;
mod trace;
mod verdict;
mod watch;
mod world;

pub use masters::{Blow, Masters};
pub use person::Errand;
pub use run::{Outcome, run};
pub use schedule::Deed;
