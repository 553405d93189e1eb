//! How long a partition was stalled lately: the longest time between two batches of records. With steady
//! input that is what the failures, moves and checkpoints of others cost it.

use std::time::Duration;

use tokio::time::Instant;

/// Length of a period. The longest time of this one and of the one before is reported, so that whoever
/// looks several times in a period misses none.
const PERIOD: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub struct Stall {
    last: Instant,
    period: Instant,
    longest: Duration,
    longest_before: Duration,
}

impl Stall {
    /// From now on.
    pub fn new(now: Instant) -> Self {
        Self {
            last: now,
            period: now,
            longest: Duration::ZERO,
            longest_before: Duration::ZERO,
        }
    }

    /// Notes that records arrived at `now`.
    pub fn records(&mut self, now: Instant) {
        self.turn(now);
        self.longest = self.longest.max(now.duration_since(self.last));
        self.last = now;
    }

    /// The longest time without records in the last one to two seconds.
    pub fn longest(&mut self, now: Instant) -> Duration {
        self.turn(now);
        self.longest.max(self.longest_before)
    }

    fn turn(&mut self, now: Instant) {
        let passed = now.duration_since(self.period);
        if passed >= PERIOD {
            self.longest_before = if passed < 2 * PERIOD {
                self.longest
            } else {
                Duration::ZERO
            };
            self.longest = Duration::ZERO;
            self.period = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_between_two_batches_is_reported_for_a_second_at_least() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut stall = Stall::new(start);
        for ms in [10, 20, 320, 330, 900] {
            stall.records(at(ms));
        }
        assert_eq!(stall.longest(at(950)), Duration::from_millis(570));
        for ms in (960..1_900).step_by(10) {
            stall.records(at(ms));
        }
        assert_eq!(stall.longest(at(1_900)), Duration::from_millis(570));
        for ms in (1_900..2_500).step_by(10) {
            stall.records(at(ms));
        }
        assert_eq!(stall.longest(at(2_500)), Duration::from_millis(10));
        assert_eq!(stall.longest(at(9_000)), Duration::ZERO, "no input");
    }
}
