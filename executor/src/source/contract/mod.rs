//! The contract between a partition and the log that it reads, whichever system keeps the log. Nothing
//! here knows a client of such a system, or any other part of this crate.
//!
//! A partition opens its part of a [`Log`] at an offset and takes [`Batch`]es out of the
//! [`PartitionQueue`] that it gets. Calls come once a batch, and once every [`CHUNK`] records of it,
//! never for each record.

mod batch;
mod letters;
mod transactions;

use std::fmt::Debug;
use std::sync::Arc;

use futures::future::BoxFuture;
use kol_common::job::SourceSpec;
use kol_common::proto::RecordMark;
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

pub use letters::{DeadLetterTopic, Fate, Letter, Offered, Receipt, Receipts, Rejected};

pub use batch::{Batch, CHUNK, Chunk, Entry, Headers, Mark, ReadError, Record, Records, Storage};
pub use transactions::{Committed, Keyed, Refusal, Route, Transactions};

/// Opens the logs of jobs.
pub trait Logs: Debug + Send + Sync {
    /// Opens the log of one job without waiting for it: a log that cannot be reached is reported by
    /// [`Log::problem`], not as an error here. `job` is its name, which its servers log.
    ///
    /// # Errors
    /// Properties that the client refuses, secrets that are missing.
    fn open(&self, spec: &SourceSpec, secrets: &Secrets, job: &str) -> Result<Source, KolError>;

    /// Opens the place for records that cannot be used; `None` when the job wants none.
    ///
    /// # Errors
    /// As [`Logs::open`].
    fn dead_letters(
        &self,
        spec: &SourceSpec,
        secrets: &Secrets,
    ) -> Result<Option<Arc<dyn DeadLetterTopic>>, KolError>;
}

/// The log of one job, shared by its partitions.
pub type Source = Arc<dyn Log>;

/// A log whose partitions can be opened, read and closed.
pub trait Log: Debug + Send + Sync {
    /// Starts to read a partition. A partition that is open already is closed first. If the log
    /// before the place was written under another leader epoch than the place says, the queue begins with
    /// [`ReadError::Truncated`].
    ///
    /// # Errors
    /// The client refuses the assignment.
    fn open(&self, partition: &SourcePartition, from: Place) -> Result<PartitionQueue, KolError>;

    /// Reads nothing of a partition, which need not be open, until it is opened again: what was fetched is dropped.
    /// Its end and its identity stay known, and are renewed.
    fn pause(&self, partition: &SourcePartition);

    /// Stops reading a partition; nothing is known of it any more.
    fn close(&self, partition: &SourcePartition);

    /// The end of a partition's log, as last answered.
    fn end(&self, partition: &SourcePartition) -> Option<LogEnd>;

    /// Which log a partition reads, as last answered; `None` while that is not known, or where logs have
    /// no identity.
    fn identity(&self, partition: &SourcePartition) -> Option<Identity>;

    /// The oldest offset that still exists, and one past the newest.
    ///
    /// # Errors
    /// The log did not answer, or knows no such partition.
    fn watermarks(
        &self,
        partition: &SourcePartition,
    ) -> BoxFuture<'static, Result<(u64, u64), KolError>>;

    /// What stands at these offsets now, in their order: `None` where there is no record, because it was deleted, or
    /// the log ends before.
    ///
    /// # Errors
    /// The log did not answer.
    fn records(
        &self,
        partition: &SourcePartition,
        offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<RecordMark>>, KolError>>;

    /// Who writes what is read of a partition to another topic, exactly once.
    ///
    /// # Errors
    /// The client refuses; `REKEY_UNSUPPORTED` where logs have no transactions.
    fn transactions(&self, route: Route) -> Result<Arc<dyn Transactions>, KolError> {
        let what = format!(
            "this log has no transactions: {} cannot be re-keyed",
            route.origin
        );
        Err(KolError::user("REKEY_UNSUPPORTED", what))
    }

    /// Why the log cannot be read, if it cannot.
    fn problem(&self) -> Option<KolError>;

    /// Ends what works for this log in the background; the future waits for that end, within a deadline
    /// of its own. The client itself ends with its last partition.
    fn stop(&self) -> BoxFuture<'static, ()>;

    /// Continues at another place; what is queued already is dropped.
    ///
    /// # Errors
    /// The client refuses.
    fn seek(&self, partition: &SourcePartition, from: Place) -> Result<PartitionQueue, KolError> {
        self.close(partition);
        self.open(partition, from)
    }
}

/// Where to read on in the log of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset of the next record.
    pub offset: u64,
    /// Leader epoch of the record there or before it, whichever was read last; `None` where that is not known, or logs
    /// have none.
    pub leader_epoch: Option<i32>,
}

impl Place {
    /// An offset of a log of which nothing was read.
    pub fn at(offset: u64) -> Self {
        Self {
            offset,
            leader_epoch: None,
        }
    }
}

/// Where the log of a partition ends.
#[derive(Clone, Copy, Debug)]
pub struct LogEnd {
    /// One past the newest record.
    pub end: u64,
    /// When the request was sent.
    pub requested: Instant,
}

/// Which log the name of a topic stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Id of the topic: a topic that was deleted and recreated has another one.
    pub topic: Uuid,
    /// When the request was sent.
    pub requested: Instant,
}

/// Where the records of one partition arrive. Dropping it returns the queue to the client; the
/// assignment is ended by [`Log::close`].
pub type PartitionQueue = Box<dyn Queue>;

/// The records of one partition that have arrived and were not taken yet.
pub trait Queue: Debug + Send + Sync {
    /// Notified when records may have arrived since the queue was last found empty.
    fn arrived(&self) -> &Notify;

    /// Replaces the content of a batch with what has arrived, up to `limit` entries, without waiting.
    fn take(&mut self, batch: &mut Batch, limit: usize);

    /// Memory that what has arrived takes, in bytes, about.
    fn bytes(&self) -> u64;

    /// Whether its records may be of two logs: the server that gave the last batch was connected to again since the
    /// queue was opened, and may have lost the end of its log meanwhile. Known from the first batch on that has a record
    /// of the new connection.
    fn is_reconnected(&self) -> bool;

    /// Whether it may take more memory than there is for it by now: then the partition should be opened again
    /// ([`Log::seek`]).
    fn is_outgrown(&self) -> bool;
}
