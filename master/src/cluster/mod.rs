//! The executors of the cluster: who is there, and who may be called.

mod callers;
pub mod insecure;
mod members;
#[cfg(test)]
mod members_tests;

pub use callers::{Callers, Grace};
pub use members::{Beat, Effect, Input, Limits, Member, Members, SessionId};
