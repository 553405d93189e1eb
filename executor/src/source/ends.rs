//! What the log of a partition is and where it ends, as last asked of the broker.

use tokio::time::Instant;
use uuid::Uuid;

/// The answer of the broker for one partition.
#[derive(Clone, Copy, Debug)]
pub struct LogEnd {
    /// One past the newest record.
    pub end: u64,
    /// When the question was sent.
    pub asked: Instant,
}

/// Which topic the name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id: another one when it was deleted and made again.
    pub topic: Uuid,
    /// When the question was sent.
    pub asked: Instant,
}
