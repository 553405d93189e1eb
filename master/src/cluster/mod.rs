//! The executors of the cluster: who is there, and who may be called.

mod members;

pub use members::{Change, Input, Limits, Member, Members, SessionId};
