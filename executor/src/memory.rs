//! Memory of the process against what the operator allowed it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kol_common::process::Process;

/// Shared view of the memory in use. Partitions stop reading before the kernel would end the process.
///
/// What decides is the state of the partitions, because only that grows without end: fetch queues and
/// flushes are bounded, and emptied by going on. A stop for their sake would never end.
#[derive(Clone, Debug)]
pub struct Memory {
    limit: u64,
    resident: Arc<AtomicU64>,
    state: Arc<AtomicU64>,
}

/// One partition's state in the sum; taken out when it is dropped.
#[derive(Debug)]
pub struct Share {
    all: Arc<AtomicU64>,
    own: u64,
}

impl Memory {
    /// With a limit in bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            resident: Arc::default(),
            state: Arc::default(),
        }
    }

    /// Takes the resident size of the process.
    pub fn refresh(&self, process: &dyn Process) {
        if let Some(bytes) = process.resident_bytes() {
            self.resident.store(bytes, Ordering::Relaxed);
        }
    }

    /// A partition's share of the state, empty at first.
    pub fn share(&self) -> Share {
        Share {
            all: Arc::clone(&self.state),
            own: 0,
        }
    }

    /// Bytes resident at the last refresh.
    pub fn resident(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }

    /// Bytes of state in all partitions.
    pub fn state(&self) -> u64 {
        self.state.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether no more state should be taken in: it fills six tenths of the limit, or the process
    /// nine tenths and state is a good part of that.
    pub fn is_full(&self) -> bool {
        let tenths = |n: u64| self.limit / 10 * n;
        self.state() > tenths(6) || (self.resident() > tenths(9) && self.state() > tenths(3))
    }
}

impl Share {
    /// The partition's state now takes so many bytes.
    pub fn set(&mut self, bytes: u64) {
        // Wraps around and back for a share that shrank: the sum stays right.
        self.all
            .fetch_add(bytes.wrapping_sub(self.own), Ordering::Relaxed);
        self.own = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_is_said_of_state_and_not_of_queues() {
        let memory = Memory::new(1_000);
        memory.resident.store(950, Ordering::Relaxed);
        let mut share = memory.share();
        share.set(250);
        assert!(!memory.is_full(), "queues fill it: reading on empties them");
        share.set(350);
        assert!(memory.is_full());
        memory.resident.store(700, Ordering::Relaxed);
        assert!(!memory.is_full());
        let mut other = memory.share();
        other.set(300);
        assert!(memory.is_full());
        drop(share);
        assert_eq!(memory.state(), 300);
        assert!(!memory.is_full());
    }
}
