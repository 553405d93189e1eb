//! The connection to Redis, and what its errors mean to an operator.

mod classify;
mod connect;

pub use classify::{SCRIPTS_FORGOTTEN, classify};
pub use connect::{Connect, Network, connect};
