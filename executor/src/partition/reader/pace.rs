//! How fast a partition may read.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket that holds a tenth of a second's worth.
#[derive(Debug)]
pub struct Pace {
    /// Events a second; 0 = no limit.
    rate: u64,
    tokens: f64,
    filled_at: Instant,
}

impl Pace {
    /// `rate` events a second; 0 = no limit.
    pub fn new(rate: u64, now: Instant) -> Self {
        Self {
            rate,
            tokens: 0.0,
            filled_at: now,
        }
    }

    /// How many records may be taken now, at most `most`.
    pub fn allow(&mut self, now: Instant, most: usize) -> usize {
        if self.rate == 0 {
            return most;
        }
        let rate = self.rate as f64;
        let earned = rate * now.duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + earned).min((rate / 10.0).max(1.0));
        self.filled_at = now;
        (self.tokens as usize).min(most)
    }

    /// So many were taken.
    pub fn used(&mut self, records: usize) {
        if self.rate > 0 {
            self.tokens -= records as f64;
        }
    }

    /// When the next record may be taken; `None` without a limit.
    pub fn ready_at(&self) -> Option<Instant> {
        if self.rate == 0 {
            return None;
        }
        let missing = (1.0 - self.tokens).max(0.0) / self.rate as f64;
        Some(self.filled_at + Duration::from_secs_f64(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_partition_reads_its_rate_over_time_and_no_more() {
        let start = Instant::now();
        let mut pace = Pace::new(1_000, start);
        let mut taken = 0;
        for ms in 0..2_000 {
            let now = start + Duration::from_millis(ms);
            let got = pace.allow(now, 64);
            pace.used(got);
            taken += got;
        }
        assert!((1_990..=2_000).contains(&taken), "{taken}");
    }

    #[test]
    fn without_a_limit_everything_may_be_taken_at_once() {
        let now = Instant::now();
        let mut pace = Pace::new(0, now);
        assert_eq!(pace.allow(now, 1_024), 1_024);
        assert_eq!(pace.ready_at(), None);
    }
}
