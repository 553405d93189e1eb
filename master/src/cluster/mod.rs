//! The executors of the cluster: who is there, and who may be called.

mod members;
#[cfg(test)]
mod members_tests;

pub use members::{Effect, Input, Limits, Member, Members, SessionId};
