//! How much the Kafka client may fetch ahead. The client bounds the queue of each partition by itself, with a
//! number that is fixed when the client is created; so the budget is divided by the partitions there are, and when
//! they become more, or the queues take more than was thought, clients are created again with less.
//!
//! 1. A partition's queue may hold [`Queues::each`] bytes of records. One more fetch of that size may be under way,
//!    and small records take as much again for what the client notes of each: so a quarter of the budget is divided.
//! 2. The number is a power of two, so that it changes seldom, and only falls: by the largest number of partitions
//!    seen.
//! 3. A batch of records cannot be divided, and thousands of small ones take many times what they were fetched as. So
//!    not all partitions that are far behind fetch at once: a partition opens its log when all queues, with what
//!    another one is expected to take, fit half of the budget ([`Memory::admit`](super::Memory::admit)). What it is
//!    expected to take is the most that one took lately, and no less than its queue and the fetch under way may hold now.
//! 4. Compressed records take more than they were fetched as. When all queues together take more than the budget, the
//!    number is halved, and again after [`SETTLE`] looks if that was not enough.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bounds of a partition's queue, bytes. Less would fetch record by record.
const LEAST: u64 = 16 << 10;
const MOST: u64 = 16 << 20;
/// What a partition is expected to take before any has taken something.
const EXPECTED: u64 = 2 << 20;
/// Looks that queues get to become smaller.
const SETTLE: u32 = 25;

/// See the module.
#[derive(Debug)]
pub struct Queues {
    budget: u64,
    each: AtomicU64,
    /// The largest number of partitions seen.
    partitions: AtomicU64,
    wait: AtomicU32,
    /// The most that one partition took lately.
    taken: AtomicU64,
    /// Partitions that could not open their logs since the last look, and at it.
    refused: AtomicU32,
    crowd: AtomicU32,
}

impl Queues {
    /// For all partitions together, in bytes.
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget,
            each: AtomicU64::new(share(budget, 1)),
            partitions: AtomicU64::new(1),
            wait: AtomicU32::new(0),
            taken: AtomicU64::new(EXPECTED),
            refused: AtomicU32::new(0),
            crowd: AtomicU32::new(0),
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
        self.partitions
            .fetch_max(partitions as u64, Ordering::Relaxed);
    }

    /// The largest number of partitions that there were at a time.
    pub fn partitions(&self) -> u64 {
        self.partitions.load(Ordering::Relaxed)
    }

    /// The queue of one partition takes so many bytes.
    pub fn note(&self, bytes: u64) {
        self.taken.fetch_max(bytes, Ordering::Relaxed);
    }

    /// What a partition is expected to take that opens its log while all take `used`; `None`: it has to wait.
    pub(super) fn admit(&self, used: u64) -> Option<u64> {
        // Of what the queues may hold now: before there were as many partitions, it was much more.
        let expected = self.taken.load(Ordering::Relaxed).max(2 * self.each());
        let fits = used == 0 || used + expected <= self.budget / 2;
        if !fits {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        fits.then_some(expected)
    }

    /// Whether partitions wait for others to close their logs.
    pub fn are_crowded(&self) -> bool {
        self.crowd.load(Ordering::Relaxed) > 0
    }

    /// All queues together take so many bytes.
    pub(super) fn fit(&self, used: u64) {
        let refused = self.refused.swap(0, Ordering::Relaxed);
        self.crowd.store(refused, Ordering::Relaxed);
        let taken = self.taken.load(Ordering::Relaxed);
        // Forgotten by half in half a minute.
        self.taken.store(taken - taken / 256, Ordering::Relaxed);
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
    fn partitions_wait_for_each_other_when_one_takes_much() {
        let queues = Queues::new(64 * MIB);
        queues.divide_by(200);
        assert_eq!(queues.admit(0), Some(EXPECTED));
        assert_eq!(queues.admit(30 * MIB), Some(EXPECTED));
        assert_eq!(queues.admit(31 * MIB), None);
        assert!(!queues.are_crowded(), "until the next look");
        queues.fit(31 * MIB);
        assert!(queues.are_crowded());
        queues.note(50 * MIB);
        assert_eq!(queues.admit(MIB), None);
        assert_eq!(queues.admit(0), Some(50 * MIB), "one may in any case");
        for _ in 0..10_000 {
            queues.fit(0);
        }
        assert!(!queues.are_crowded());
        assert!(queues.admit(31 * MIB).is_some(), "it is forgotten");
    }

    #[test]
    fn many_partitions_that_come_to_an_idle_executor_do_not_wait_for_each_other() {
        let queues = Queues::new(128 * MIB);
        for _ in 0..100 {
            queues.fit(0);
        }
        queues.divide_by(64);
        let mut used = 0;
        for partition in 0..32 {
            let expected = queues.admit(used);
            used += expected.unwrap_or_else(|| panic!("{partition} waits: {used} are used"));
        }
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
