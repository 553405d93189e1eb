//! The executors of the cluster: who is there, and who may be called.

pub mod clocks;
pub mod insecure;
mod members;
#[cfg(test)]
mod members_tests;

pub use members::{Beat, Effect, Input, Limits, Member, Members, SessionId};
