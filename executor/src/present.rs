//! The present: the newer of this host's wall clock and the master's. Event times are judged by it, so that
//! one slow clock rejects nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kol_common::Millis;
use tokio::time::Instant;

/// The clocks that this process knows. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Present {
    began: Instant,
    /// What the master's wall clock showed at `began`, by its newest word; 0 before the first.
    master: Arc<AtomicU64>,
}

impl Present {
    /// Without a word of the master.
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            master: Arc::default(),
        }
    }

    /// When the process began to know it.
    pub fn origin(&self) -> Instant {
        self.began
    }

    /// The master's wall clock shows `wall`. The newest word counts, not the largest: a clock that was ahead
    /// may have been corrected. A master that says nothing of it (0) is ignored.
    pub fn heard(&self, now: Instant, wall: Millis) {
        if wall > Millis(0) {
            let at_start = wall.since(self.passed(now));
            self.master.store(at_start.0, Ordering::Relaxed);
        }
    }

    /// The present, given this host's wall clock. Computed once a batch.
    pub fn at(&self, now: Instant, own: Millis) -> Millis {
        match self.master.load(Ordering::Relaxed) {
            0 => own,
            at_start => own.max(Millis(at_start.saturating_add(self.passed(now).0))),
        }
    }

    /// Time since the start, by the monotonic clock.
    fn passed(&self, now: Instant) -> Millis {
        Millis::from(now.duration_since(self.began))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TODAY: u64 = 1_795_669_200_000;
    const HOUR: u64 = 3_600_000;

    #[test]
    fn the_present_is_the_newer_of_both_clocks() {
        let start = Instant::now();
        let present = Present::new(start);
        assert_eq!(present.at(start, Millis(TODAY)), Millis(TODAY));
        let later = start + Duration::from_secs(5);
        present.heard(later, Millis(TODAY + HOUR));
        // The master's advances by the monotonic clock, whatever becomes of this host's.
        let at = later + Duration::from_secs(60);
        let slow = Millis(TODAY - 9 * HOUR);
        assert_eq!(present.at(at, slow), Millis(TODAY + HOUR + 60_000));
        let fast = Millis(TODAY + 2 * HOUR);
        assert_eq!(present.at(at, fast), fast);
    }

    #[test]
    fn a_clock_of_the_master_that_was_corrected_no_longer_counts() {
        let start = Instant::now();
        let present = Present::new(start);
        present.heard(start, Millis(TODAY + 1_000 * HOUR));
        present.heard(start, Millis(0));
        assert_eq!(present.at(start, Millis(TODAY)).0, TODAY + 1_000 * HOUR);
        present.heard(start, Millis(TODAY));
        assert_eq!(present.at(start, Millis(TODAY)), Millis(TODAY));
    }
}
