//! The Kafka client's configuration, and what its errors mean to an operator.

mod brokers;
mod classify;
mod client;
mod commit;
mod config;
mod ends;
mod lines;
mod reasons;
mod topic_ids;

pub use brokers::{check_brokers, shows_secrets};
pub use classify::classify;
pub use client::{Consumer, consumer, failure, log_to_context, serve};
pub use commit::commit_offsets;
pub use config::client_config;
pub use ends::{Ends, Owned};
pub use reasons::Reasons;
pub use topic_ids::topic_ids;
