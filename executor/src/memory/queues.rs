//! How much the Kafka client may fetch ahead. The client bounds the queue of each partition by itself, with a
//! number that is fixed when the client is created; so the budget is divided by the partitions there are, and when
//! they become more, or the queues take more than was thought, clients are created again with less.
//!
//! 1. A partition's queue may hold [`Queues::each`] bytes of records. One more fetch of that size may be under way,
//!    and small records take as much again for what the client notes of each: so a quarter of the budget is divided.
//! 2. The number is a power of two, so that it changes seldom, and only falls: by the largest number of partitions
//!    seen.
//! 3. Compressed records take more than they were fetched as. When all queues together take more than the budget, the
//!    number is halved, and again after [`SETTLE`] looks if that was not enough.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bounds of a partition's queue, bytes. Less would fetch record by record.
const LEAST: u64 = 16 << 10;
const MOST: u64 = 16 << 20;
/// Looks that queues get to become smaller.
const SETTLE: u32 = 25;

/// See the module.
#[derive(Debug)]
pub struct Queues {
    budget: u64,
    each: AtomicU64,
    wait: AtomicU32,
}

impl Queues {
    /// For all partitions together, in bytes.
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget,
            each: AtomicU64::new(share(budget, 1)),
            wait: AtomicU32::new(0),
        }
    }

    /// Bytes of records that the queue of one partition may hold.
    pub fn each(&self) -> u64 {
        self.each.load(Ordering::Relaxed)
    }

    /// There are, or will soon be, so many partitions.
    pub fn divide_by(&self, partitions: usize) {
        let share = share(self.budget, partitions as u64);
        self.each.fetch_min(share, Ordering::Relaxed);
    }

    /// All queues together take so many bytes.
    pub(super) fn fit(&self, used: u64) {
        let wait = self.wait.load(Ordering::Relaxed);
        if wait > 0 {
            self.wait.store(wait - 1, Ordering::Relaxed);
        } else if used > self.budget && self.each() > LEAST {
            self.each.store(self.each() / 2, Ordering::Relaxed);
            self.wait.store(SETTLE, Ordering::Relaxed);
        }
    }
}

fn share(budget: u64, partitions: u64) -> u64 {
    let even = (budget / 4 / partitions.max(1)).clamp(LEAST, MOST);
    1 << even.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_budget_is_divided_by_the_largest_number_of_partitions_seen() {
        let queues = Queues::new(64 * MIB);
        assert_eq!(queues.each(), 16 * MIB);
        for (partitions, each) in [(1, 16 * MIB), (4, 4 * MIB), (5, 2 * MIB), (200, 64 << 10)] {
            queues.divide_by(partitions);
            assert_eq!(queues.each(), each, "{partitions} partitions");
            assert!(4 * each * partitions as u64 <= 64 * MIB);
        }
        queues.divide_by(1);
        assert_eq!(queues.each(), 64 << 10, "it only falls");
        queues.divide_by(1_000_000);
        assert_eq!(queues.each(), LEAST);
    }

    #[test]
    fn queues_that_take_more_than_was_thought_become_smaller_until_they_fit() {
        let queues = Queues::new(64 * MIB);
        queues.fit(64 * MIB);
        assert_eq!(queues.each(), 16 * MIB);
        queues.fit(65 * MIB);
        assert_eq!(queues.each(), 8 * MIB);
        for _ in 0..SETTLE {
            queues.fit(65 * MIB);
            assert_eq!(queues.each(), 8 * MIB, "they need time for that");
        }
        queues.fit(65 * MIB);
        assert_eq!(queues.each(), 4 * MIB);
        for _ in 0..100 * SETTLE {
            queues.fit(65 * MIB);
        }
        assert_eq!(queues.each(), LEAST);
    }
}
