//! Checkpoints of jobs: when epochs begin, which of them are committed ([`coordinator`]), savepoints
//! (`savepoint`), which of them would say nothing new (`unchanged`), which are kept (`kept`, `retention`), what is written and deleted beside them ([`keeper`]), what is
//! forgotten ([`deletion`]), what tells roots from their copies ([`renewals`]), and the offsets that lag tools read
//! ([`group_offsets`]).

pub mod coordinator;
pub mod deletion;
mod effect;
pub mod group_offsets;
pub mod keeper;
mod kept;
mod open;
pub mod renewals;
mod retention;
mod savepoint;
mod unchanged;

pub use coordinator::Coordinator;
pub use effect::{Begin, Commit, Effect, Facts, Input, Notice, Orphans, Owner};
pub use unchanged::is_unchanged;

#[cfg(test)]
mod coordinator_tests;
