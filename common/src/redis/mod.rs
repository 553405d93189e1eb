//! The connection to Redis, what its errors mean to an operator, and how rankings are read.

mod classify;
mod connect;
mod connection;
mod farewell;
pub mod ranking;

pub use classify::{SCRIPTS_FORGOTTEN, classify, needs_reconnect};
pub use connect::{Connect, Network, connect};
pub use connection::RedisConnection;
