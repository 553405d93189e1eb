//! The connection to Redis, what its errors mean to an operator, and how rankings are read.

mod classify;
mod connect;
pub mod ranking;

pub use classify::{SCRIPTS_FORGOTTEN, classify};
pub use connect::{Connect, Network, connect};
