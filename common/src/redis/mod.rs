//! The connection to Redis, what its errors mean to an operator, and how rankings are read.

mod classify;
mod connect;
mod connection;
mod farewell;
mod guard;
pub mod ranking;
mod rights;

pub use classify::{
    RIGHTS_MISSING, SCRIPTS_FORGOTTEN, UNREACHABLE_CODE, classify, needs_reconnect,
};
pub use connect::{Connect, Network, connect};
pub use connection::{RedisConnection, server_info};
pub use rights::name_missing_rights;
