//! The connection to Redis, what its errors mean to an operator, whose keys are whose, and how rankings are read.

mod classify;
mod connect;
mod connection;
mod eviction;
mod farewell;
mod guard;
pub mod history;
mod key_type;
mod keyspace;
pub mod owner;
mod processor;
pub mod ranking;
mod rights;
mod version;

pub use classify::{
    KEY_TYPE, KEY_TYPE_HELP, RIGHTS_MISSING, SCRIPTS_FORGOTTEN, UNREACHABLE_CODE, classify,
    is_refused, needs_reconnect,
};
pub use connect::{Connect, Network, connect};
pub use connection::{RedisConnection, server_info};
pub use eviction::{EVICTS, eviction};
pub use key_type::{is_wrong_type, not_a_hash, wrong_type};
pub use keyspace::{Cursor, scan_hashes};
pub use processor::processor_time;
pub use rights::{commands_needed, name_missing_rights, rights_problem};
pub use version::version;
