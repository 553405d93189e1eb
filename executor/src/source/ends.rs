//! Where the log of a partition begins and ends, as last asked of the broker.

use tokio::time::Instant;

/// The answer of the broker for one partition.
#[derive(Clone, Copy, Debug)]
pub struct LogEnd {
    /// One past the newest record.
    pub end: u64,
    /// When the question was sent.
    pub asked: Instant,
}
