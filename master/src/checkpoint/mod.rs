//! Checkpoints of jobs: when epochs begin, which of them are committed ([`coordinator`]), savepoints
//! (`savepoint`), what is written and deleted beside them ([`keeper`]), and the offsets that lag tools
//! read ([`group_offsets`]).

pub mod coordinator;
pub mod group_offsets;
pub mod keeper;
mod kept;
mod savepoint;
mod terms;

pub use coordinator::Coordinator;
pub use terms::{Begin, Commit, Facts, News, Owner, Sweep};

#[cfg(test)]
mod coordinator_tests;
