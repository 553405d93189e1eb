//! When a slice of what was sent is compared with what Redis has, and which: a machine without I/O.
//!
//! 1. The slices go through all KOLs that Redis should have, round and round: once in 40 s, so that whatever
//!    Redis loses is back within a minute.
//! 2. A partition uses at most one part in fifty of Redis' time, and all partitions of a job together one part
//!    in eight: after a slice, so many times as long as it took passes before the next. With 6.2 µs of Redis a
//!    creator that keeps the round below a minute up to a million creators of a job (10 partitions of 100,000,
//!    say), and makes it longer in proportion beyond. A ranking that is gone as a whole is noticed by any slice.
//! 3. What a slice took is not all Redis' time: a process that was stopped, or a Redis that did not answer for a
//!    while, must not keep what is lost from being found. So the next slice comes after [`LONGEST`] in any case.

use std::time::Duration;

use kol_common::scoring::Slot;
use tokio::time::Instant;

use crate::state::{KolIndex, PlatformIndex};

/// KOLs in one slice: less than a millisecond of Redis.
pub const SLICE: usize = 128;
/// How long one round should take.
const ROUND: Duration = Duration::from_secs(40);
/// Bounds of the time between two slices.
const EVERY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// The longest wait for the next slice, however long one took.
const LONGEST: Duration = Duration::from_secs(10);
/// Of so many parts of Redis' time one is used: by a partition, and by all of a job.
const PARTS: u32 = 50;
const PARTS_OF_JOB: u32 = 8;

/// KOLs of one platform, and of each the slot that it was sent with, if that is known.
pub type Piece = (PlatformIndex, Vec<(KolIndex, Option<Slot>)>);

/// See the module.
#[derive(Debug)]
pub struct Comparison {
    next_at: Instant,
    next: usize,
    /// Partitions of the job.
    partitions: u32,
    /// What is being compared, by platform.
    slice: Vec<Piece>,
    /// There was nothing to compare.
    is_empty: bool,
}

impl Comparison {
    /// The first slice is due in a moment.
    pub fn new(now: Instant) -> Self {
        Self {
            next_at: now + EVERY.1,
            next: 0,
            partitions: 1,
            slice: Vec::new(),
            is_empty: false,
        }
    }

    /// When the next slice may be compared.
    pub fn next_at(&self) -> Instant {
        self.next_at
    }

    /// When that is worth a wake-up: not where there was nothing to compare.
    pub fn wake_at(&self) -> Option<Instant> {
        (!self.is_empty).then_some(self.next_at)
    }

    /// Begins a slice, as one of so many partitions of the job. `bound` is above every index; `sent` says of a KOL that
    /// Redis should have its platform, and the slot that it was sent with.
    pub fn begin(
        &mut self,
        partitions: u32,
        bound: usize,
        sent: impl Fn(KolIndex) -> Option<(PlatformIndex, Option<Slot>)>,
    ) {
        self.partitions = partitions;
        self.slice.clear();
        let mut taken = 0;
        for _ in 0..bound {
            if self.next >= bound {
                self.next = 0;
            }
            let kol = self.next as KolIndex;
            self.next += 1;
            let Some((platform, slot)) = sent(kol) else {
                continue;
            };
            match self.slice.iter_mut().find(|(p, _)| *p == platform) {
                Some((_, kols)) => kols.push((kol, slot)),
                None => self.slice.push((platform, vec![(kol, slot)])),
            }
            taken += 1;
            if taken == SLICE || self.next == bound {
                break;
            }
        }
    }

    /// The slice under way: by platform.
    pub fn slice(&self) -> &[Piece] {
        &self.slice
    }

    /// The slice was compared, or could not be; there are about so many KOLs.
    pub fn ended(&mut self, now: Instant, took: Option<Duration>, kols: usize) -> Vec<Piece> {
        let slices = u32::try_from(kols.div_ceil(SLICE))
            .unwrap_or(u32::MAX)
            .max(1);
        let pace = (ROUND / slices).clamp(EVERY.0, EVERY.1);
        let parts = PARTS.max(PARTS_OF_JOB.saturating_mul(self.partitions));
        let rest = |took: Duration| took.saturating_mul(parts - 1).min(LONGEST);
        self.next_at = now + took.map_or(EVERY.1, |took| pace.max(rest(took)));
        self.is_empty = self.slice.is_empty();
        std::mem::take(&mut self.slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(_: KolIndex) -> Option<(PlatformIndex, Option<Slot>)> {
        Some((0, None))
    }

    #[test]
    fn nothing_is_woken_to_compare_nothing() {
        let now = Instant::now();
        let mut comparison = Comparison::new(now);
        assert!(comparison.wake_at().is_some(), "that is not known yet");
        comparison.begin(1, 10, |_| None);
        comparison.ended(now, None, 0);
        assert_eq!(comparison.wake_at(), None);
        comparison.begin(1, 10, all);
        comparison.ended(now, Some(Duration::ZERO), 10);
        assert_eq!(comparison.wake_at(), Some(comparison.next_at()));
    }

    /// What a slice took of a real Redis with a million creators: 6.16 µs for each.
    const MEASURED: Duration = Duration::from_nanos(6_160 * SLICE as u64);

    /// How long it takes until all of 100,000 creators of a partition were compared, and the part of the time that Redis
    /// works for all of so many partitions.
    fn round(partitions: u32) -> (Duration, f64) {
        let begun = Instant::now();
        let mut now = begun;
        let mut comparison = Comparison::new(now);
        let mut seen = vec![false; 100_000];
        let mut slices = 0;
        while seen.contains(&false) {
            now = comparison.next_at();
            comparison.begin(partitions, seen.len(), all);
            for (kol, _) in &comparison.slice()[0].1 {
                seen[*kol as usize] = true;
            }
            now += MEASURED;
            comparison.ended(now, Some(MEASURED), seen.len());
            slices += 1;
        }
        let works = MEASURED * slices * partitions;
        let takes = comparison.next_at() - begun;
        (takes, works.as_secs_f64() / takes.as_secs_f64())
    }

    #[test]
    fn a_hundred_thousand_creators_a_partition_are_compared_within_a_minute_in_up_to_ten_partitions()
     {
        for partitions in [1, 5, 10] {
            let (takes, share) = round(partitions);
            assert!(takes < Duration::from_secs(55), "{partitions}: {takes:?}");
            assert!(share <= 0.125, "{partitions}: {share}");
        }
        // With more, a small share of Redis' time goes before the minute.
        for (partitions, seconds) in [(16, 80), (32, 160), (64, 320)] {
            let (takes, share) = round(partitions);
            assert!(
                takes < Duration::from_secs(seconds),
                "{partitions}: {takes:?}"
            );
            assert!((0.12..=0.125).contains(&share), "{partitions}: {share}");
        }
    }

    #[test]
    fn comparing_takes_at_most_a_fiftieth_of_the_time_and_an_eighth_for_all_partitions() {
        let now = Instant::now();
        let mut comparison = Comparison::new(now);
        comparison.begin(5, 10, all);
        comparison.ended(now, Some(Duration::from_millis(100)), 1_000_000);
        assert_eq!(comparison.next_at(), now + Duration::from_millis(4_900));
        comparison.begin(64, 10, all);
        comparison.ended(now, Some(Duration::from_millis(10)), 1_000_000);
        assert_eq!(comparison.next_at(), now + Duration::from_millis(5_110));
    }

    #[test]
    fn a_slice_that_was_not_answered_for_long_puts_the_next_off_for_seconds_only() {
        let now = Instant::now();
        let mut comparison = Comparison::new(now);
        comparison.begin(64, 10, all);
        comparison.ended(now, Some(Duration::from_secs(30)), 1_000_000);
        assert_eq!(comparison.next_at(), now + LONGEST);
    }

    #[test]
    fn only_what_redis_should_have_is_compared_by_platform_and_round_and_round() {
        let now = Instant::now();
        let mut comparison = Comparison::new(now);
        let sent = |kol: KolIndex| (kol != 1).then_some(((kol % 2) as PlatformIndex, None));
        for _ in 0..2 {
            comparison.begin(1, 4, sent);
            let pieces = [(0, vec![(0, None), (2, None)]), (1, vec![(3, None)])];
            assert_eq!(comparison.slice(), pieces);
            comparison.ended(now, None, 3);
        }
        comparison.begin(1, 0, sent);
        assert!(comparison.slice().is_empty());
    }
}
