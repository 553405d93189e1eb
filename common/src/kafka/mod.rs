//! The Kafka client's configuration, and what its errors mean to an operator.

mod classify;
mod config;
mod quiet;
mod topic_ids;

pub use classify::classify;
pub use config::client_config;
pub use quiet::{Consumer, Quiet, consumer, quiet};
pub use topic_ids::topic_ids;
