//! Logs in Kafka: one client for each job on an executor, one queue for each of its partitions.
//!
//! The master assigns partitions; this end never joins a consumer group. Records are taken from
//! librdkafka in batches through its C interface, because taking them one by one costs more than
//! decoding them.
//!
//! | file | does |
//! |---|---|
//! | `client` | opens a log, assigns its partitions |
//! | `consumer` | one client, and how often it connected to each broker |
//! | `clients` | who owns clients, serves them and ends them |
//! | `readers` | the clients that partitions are read with, by the room there is |
//! | `probe` | the thread that requests where logs end and which topics they are |
//! | `lookup` | what stands at some offsets of a log, beside those who read it |
//! | `queue`, `messages` | records on their way out of librdkafka |
//! | `dead_letter_topic` | the producer of dead letters |
//! | `rekeying` | the transactional producers of a job that re-keys |

mod client;
mod clients;
mod consumer;
mod dead_letter_topic;
mod lookup;
mod messages;
mod probe;
mod queue;
mod readers;
mod rekeying;

pub use client::KafkaLogs;
