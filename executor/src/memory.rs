//! Memory of the process against what the operator allowed it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared view of the memory in use. Partitions stop reading above nine tenths of the limit, well
/// before the kernel would end the process.
#[derive(Clone, Debug)]
pub struct Memory {
    limit: u64,
    resident: Arc<AtomicU64>,
}

impl Memory {
    /// With a limit in bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            resident: Arc::default(),
        }
    }

    /// Reads the resident size from the kernel.
    pub fn refresh(&self) {
        let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else {
            return;
        };
        let pages = statm
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|text| text.parse::<u64>().ok());
        if let Some(pages) = pages {
            self.resident.store(pages * 4096, Ordering::Relaxed);
        }
    }

    /// Bytes resident at the last refresh.
    pub fn resident(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether no more state should be taken in.
    pub fn is_full(&self) -> bool {
        self.resident() > self.limit / 10 * 9
    }
}
