//! What a supervisor is started with.

use std::sync::Arc;
use std::time::Duration;

use kol_common::checkpoint::Stores;
use kol_common::kafka::Ends;
use kol_common::process::Process;
use kol_common::proto::PartitionReport;
use kol_common::redis::Connect;
use kol_common::secrets::Secrets;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::memory::Memory;
use crate::source::Logs;

/// See the module.
#[derive(Debug)]
pub struct Options {
    /// Resolves secret references of job specs.
    pub secrets: Secrets,
    /// Opens the logs of jobs.
    pub logs: Arc<dyn Logs>,
    /// Who ends the clients that write alerts.
    pub ends: Ends,
    /// Opens connections to their Redis.
    pub redis: Arc<dyn Connect>,
    /// Opens the locations of their state files.
    pub stores: Stores,
    /// The host of this executor, for messages.
    pub host: String,
    /// What the process knows about itself.
    pub process: Arc<dyn Process>,
    /// Memory of the process.
    pub memory: Memory,
    /// How long partitions may take to finish after SIGTERM.
    pub drain_timeout: Duration,
    /// Cancelled by SIGTERM.
    pub leave: CancellationToken,
    /// Where the reports of all partitions are published.
    pub reports: watch::Sender<Vec<Arc<PartitionReport>>>,
}
