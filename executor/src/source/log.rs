//! What a partition sees of the log that it reads, whatever keeps it. Calls come a batch at a time,
//! never for each record.

use std::fmt::Debug;
use std::sync::Arc;

use futures::future::BoxFuture;
use kol_common::job::SourceSpec;
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};
use tokio::sync::Notify;

use super::batch::Batch;
use super::ends::{Identity, LogEnd};

/// What opens the logs of jobs.
pub trait Logs: Debug + Send + Sync {
    /// Opens the log of one job, without waiting for it: one that cannot be reached shows as a
    /// problem, not as an error here. `client_id` is what its servers log; `memory` is what the whole
    /// process may use, in bytes.
    ///
    /// # Errors
    /// Properties that the client refuses, secrets that are missing.
    fn open(
        &self,
        spec: &SourceSpec,
        secrets: &Secrets,
        client_id: &str,
        memory: u64,
    ) -> Result<Source, KolError>;
}

/// The log of one job, shared by its partitions.
pub type Source = Arc<dyn Log>;

/// See [`Source`].
pub trait Log: Debug + Send + Sync {
    /// Starts to read a partition at an offset. One that is open already is closed first.
    ///
    /// # Errors
    /// The client refuses the assignment.
    fn open(&self, partition: &SourcePartition, offset: u64) -> Result<PartitionQueue, KolError>;

    /// Stops reading a partition.
    fn close(&self, partition: &SourcePartition);

    /// The end of a partition's log, as last asked for.
    fn end(&self, partition: &SourcePartition) -> Option<LogEnd>;

    /// What a partition's log is, as last asked for; `None` while that is not known, or where logs have
    /// no identity.
    fn identity(&self, partition: &SourcePartition) -> Option<Identity>;

    /// Oldest offset that is still there, and one past the newest.
    ///
    /// # Errors
    /// The log did not answer, or knows no such partition.
    fn watermarks(
        &self,
        partition: &SourcePartition,
    ) -> BoxFuture<'static, Result<(u64, u64), KolError>>;

    /// Why the log cannot be read, if it cannot.
    fn problem(&self) -> Option<KolError>;

    /// Nothing more is asked; the client itself ends with its last partition.
    fn stop(&self);

    /// Goes on reading at another offset: what is queued already is thrown away.
    ///
    /// # Errors
    /// The client refuses.
    fn seek(&self, partition: &SourcePartition, offset: u64) -> Result<PartitionQueue, KolError> {
        self.close(partition);
        self.open(partition, offset)
    }
}

/// Where the records of one partition arrive. Dropping it gives the queue back; the assignment itself
/// is ended by [`Log::close`].
pub type PartitionQueue = Box<dyn Queue>;

/// See [`PartitionQueue`].
pub trait Queue: Debug + Send + Sync {
    /// Notified when records may have arrived since the queue was last found empty.
    fn arrived(&self) -> &Notify;

    /// Takes what is there, up to `limit`, without waiting.
    fn take(&mut self, batch: &mut Batch, limit: usize);
}
