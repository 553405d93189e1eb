//! The Kafka client's configuration, and what its errors mean to an operator.

mod classify;
mod config;

pub use classify::classify;
pub use config::client_config;
