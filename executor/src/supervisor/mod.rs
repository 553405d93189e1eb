//! The executor's supervisor: it starts and ends partitions as the master says. `machine` decides,
//! `driver` acts, `jobs` holds what the partitions of one job share.

mod driver;
mod jobs;
mod machine;
mod questions;

pub use driver::{Options, Supervisor};
pub use machine::{Effect, Event, Key, Machine};
