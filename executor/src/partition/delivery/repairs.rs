//! When the log says that Redis lost creators: a machine without I/O.
//!
//! Whoever deletes a ranking, or a Redis that evicts, loses thousands of creators, and a comparison finds some
//! hundreds at a time. One line a minute has the sum.

use std::time::Duration;

use tokio::time::Instant;

/// Least time between two lines.
const EVERY: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub struct Repairs {
    /// Creators that were sent again, ever.
    total: u64,
    /// Those of them that no line has named.
    unsaid: u64,
    said_at: Option<Instant>,
}

impl Repairs {
    /// Continues the count of a checkpoint.
    pub fn restored(&mut self, total: u64) {
        self.total = total;
    }

    /// Creators that were sent again, ever.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// So many more (perhaps none) are sent again. How many the log should name now, if any.
    pub fn add(&mut self, now: Instant, creators: u64) -> Option<u64> {
        self.total += creators;
        self.unsaid += creators;
        let may = self.said_at.is_none_or(|at| now >= at + EVERY);
        if self.unsaid == 0 || !may {
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_is_said_at_once_and_what_follows_once_a_minute_with_its_sum() {
        let begun = Instant::now();
        let mut repairs = Repairs::default();
        repairs.restored(5);
        assert_eq!(repairs.add(begun, 0), None);
        assert_eq!(repairs.add(begun, 256), Some(256));
        for second in 1..60 {
            let now = begun + Duration::from_secs(second);
            assert_eq!(repairs.add(now, 256), None, "{second} s");
        }
        assert_eq!(
            repairs.add(begun + EVERY, 0),
            Some(59 * 256),
            "and those of the end"
        );
        assert_eq!(repairs.add(begun + 3 * EVERY, 0), None);
        assert_eq!(repairs.total(), 5 + 60 * 256);
    }
}
