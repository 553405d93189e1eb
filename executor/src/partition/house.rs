//! When a partition looks after itself: a machine without I/O.
//!
//! 1. While anything happens, and for [`CALM_AFTER`] after that, each [`EVERY`].
//! 2. Then each [`CALM`], at moments that it shares with others of its executor: those that are due together cost the
//!    process one wake-up, and what they request of Redis then goes out together ([`GROUPS`] such moments in each
//!    [`CALM`]: what all request at once must fit the sink's mailbox).
//! 3. Whatever happens is looked after within [`EVERY`].

use std::time::Duration;

use tokio::time::Instant;

/// How often while anything happens.
pub(super) const EVERY: Duration = Duration::from_millis(200);
/// How often while nothing does.
const CALM: Duration = Duration::from_secs(1);
const CALM_AFTER: Duration = Duration::from_secs(2);
const GROUPS: u32 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct House {
    /// One of the moments that its group shares.
    shared: Instant,
    /// When something happened last, and when it was looked after last.
    stirred: Instant,
    kept: Instant,
    at: Instant,
}

impl House {
    /// Due now. `origin` is the same for all partitions of the executor, and in the past.
    pub(super) fn new(origin: Instant, ordinal: u32, now: Instant) -> Self {
        Self {
            shared: origin + CALM / GROUPS * (ordinal % GROUPS),
            stirred: now,
            kept: now,
            at: now,
        }
    }

    /// When it is due.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Records, an answer, a command or another window came: it is due soon.
    pub(super) fn stir(&mut self, now: Instant) {
        self.stirred = now;
        self.at = self.at.min(now + EVERY);
    }

    /// It is looked after now; `settled`: nothing is under way. How often it would have been meanwhile, had anything happened.
    pub(super) fn keep(&mut self, now: Instant, settled: bool) -> u32 {
        let passed = now.duration_since(std::mem::replace(&mut self.kept, now));
        if !settled {
            self.stirred = now;
        }
        self.at = if now < self.stirred + CALM_AFTER {
            now + EVERY
        } else {
            self.next_shared(now)
        };
        passed.div_duration_f64(EVERY).round().clamp(1.0, 5.0) as u32
    }

    fn next_shared(&self, now: Instant) -> Instant {
        let passed = now.duration_since(self.shared).as_nanos();
        let periods = u32::try_from(passed / CALM.as_nanos()).unwrap_or(u32::MAX - 1);
        self.shared + CALM * (periods + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When partitions are due that were started at these times, in milliseconds after the executor, and in which nothing
    /// happens; after so many looks.
    fn due(start: u64, ordinal: u32, looks: usize) -> Duration {
        let origin = Instant::now();
        let mut house = House::new(origin, ordinal, origin + Duration::from_millis(start));
        for _ in 0..looks {
            house.keep(house.at(), true);
        }
        house.at().duration_since(origin)
    }

    #[test]
    fn partitions_in_which_nothing_happens_are_due_once_a_second_and_together() {
        assert_eq!(due(70, 0, 1), Duration::from_millis(270), "it begins");
        assert_eq!(due(70, 0, 10), Duration::from_millis(2_070));
        assert_eq!(due(70, 0, 11), Duration::from_secs(3));
        assert_eq!(due(1_990, GROUPS, 11), Duration::from_secs(4));
        assert_eq!(due(70, 0, 12), Duration::from_secs(4), "the same moment");
        let other = due(70, 1, 12).as_micros() % 1_000_000;
        assert_eq!(other, 62_500, "another group");
    }

    #[test]
    fn whatever_happens_is_looked_after_at_once_and_for_two_seconds() {
        let origin = Instant::now();
        let at = |ms| origin + Duration::from_millis(ms);
        let mut house = House::new(origin, 0, origin);
        while house.at() < at(5_000) {
            house.keep(house.at(), true);
        }
        house.keep(at(5_000), true);
        assert_eq!(house.at(), at(6_000));
        house.stir(at(5_100));
        assert_eq!(house.at(), at(5_300));
        assert_eq!(house.keep(at(5_300), true), 2);
        assert_eq!(house.at(), at(5_500));
        house.stir(at(5_450));
        assert_eq!(house.at(), at(5_500), "not later");
        assert_eq!(house.keep(at(7_449), true), 5, "at most");
        assert_eq!(house.at(), at(7_649));
        house.keep(at(7_649), true);
        assert_eq!(house.at(), at(8_000), "calm again");
    }

    #[test]
    fn what_is_under_way_is_looked_after_five_times_a_second() {
        let origin = Instant::now();
        let mut house = House::new(origin, 0, origin);
        for look in 1..100 {
            assert_eq!(house.keep(house.at(), false), 1);
            assert_eq!(house.at(), origin + look * EVERY);
        }
    }
}
