//! How long to wait between two attempts: twice as long after each failure up to a limit, with jitter, so
//! that processes that failed together do not come back in step. The jitter is seeded by
//! [`crate::world`], so that a simulation is reproducible from its seed.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::world;

/// The waits of one thing that is tried until it works.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    /// Since the last success; `None` without a failure.
    waits: Option<ExponentialBackoff>,
}

impl Backoff {
    /// Between half of `first` and `first` after the first failure, between half of `most` and `most` in
    /// the end.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            waits: None,
        }
    }

    /// How long to wait after this failure.
    pub fn failed(&mut self) -> Duration {
        let waits = self.waits.get_or_insert_with(|| {
            // The jitter adds up to as much again.
            ExponentialBuilder::new()
                .with_min_delay(self.first / 2)
                .with_max_delay(self.most / 2)
                .with_jitter()
                .with_jitter_seed(world::random_id().as_u64_pair().0)
                .without_max_times()
                .build()
        });
        waits.next().unwrap_or(self.most)
    }

    /// The attempt worked: the next failure is a first one.
    pub fn succeeded(&mut self) {
        self.waits = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_begin_again_after_a_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(50), ms(2_000));
        let around = |wait: Duration, most: u64| {
            assert!(wait >= ms(most / 2) && wait <= ms(most), "{wait:?} {most}");
        };
        for most in [50, 100, 200, 400, 800, 1_600, 2_000, 2_000] {
            around(backoff.failed(), most);
        }
        backoff.succeeded();
        around(backoff.failed(), 50);
    }
}
