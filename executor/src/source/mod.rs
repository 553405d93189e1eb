//! Reading Kafka: one client for each job on an executor, one queue for each of its partitions.
//!
//! The master assigns partitions; this end never joins a consumer group. Records are taken from
//! librdkafka in batches through its C interface, because taking them one by one costs more than
//! decoding them.

mod batch;
mod client;
mod dead_letter;
mod ends;
mod log;
mod queue;

pub use batch::{Batch, Held, Mark, Record};
pub use client::{Kafka, KafkaLogs};
pub use dead_letter::{DeadLetters, Parked, Rejected};
pub use ends::{Identity, LogEnd};
pub use log::{Log, Logs, PartitionQueue, Queue, Source};
