//! Reading the log of a job.
//!
//! | file | does |
//! |---|---|
//! | `contract` | what a partition sees of a log: no type of a client |
//! | `dead_letters` | the way of unusable records to their topic |
//! | `kafka` | a log in Kafka |

mod contract;
mod dead_letters;
mod kafka;

pub use contract::{
    Batch, CHUNK, Chunk, Committed, DeadLetterTopic, Entry, Fate, Headers, Identity, Keyed, Letter,
    Log, LogEnd, Logs, Mark, Offered, PartitionQueue, Place, Queue, ReadError, Receipt, Record,
    Records, Refusal, Rejected, Route, Source, Storage, Transactions,
};
pub use dead_letters::{DeadLetters, Letters};
pub use kafka::KafkaLogs;
