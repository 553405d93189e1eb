//! Checkpoints of jobs: when epochs begin, which of them are committed ([`coordinator`]), what is
//! deleted ([`collector`]), and the offsets that lag tools read ([`group_offsets`]).

pub mod collector;
pub mod coordinator;
pub mod group_offsets;

pub use coordinator::{Commit, Coordinator, Facts, News, Owner, Sweep};

#[cfg(test)]
mod coordinator_tests;
