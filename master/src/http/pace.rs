//! How fast counters grow: a machine over one reading of all of them a second.
//!
//! 1. The last ten seconds count. After a gap between two readings only the newer one does.
//! 2. A counter that went back was set to an older state: only what was read since then counts.
//! 3. Without two seconds of readings it is not known how fast a counter grows.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kol_common::Millis;

/// What rule 1 looks at.
const WINDOW: Duration = Duration::from_secs(10);
/// Time without a reading after which older ones do not count.
const GAP: Duration = Duration::from_secs(5);
/// See rule 3.
const LEAST: Duration = Duration::from_secs(2);

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counter {
    /// Events of a job, by its id.
    Events(String),
    /// Events of a partition: job id, topic and number.
    EventsOf(String, String, u32),
    /// Records of a partition that were read, in the same way.
    Records(String, String, u32),
    /// Processor time of an executor, ms, by its incarnation.
    Cpu(String),
}

/// Counters as of two moments, for the rate between them.
#[derive(Debug, Default)]
pub(super) struct Pace {
    readings: VecDeque<(Millis, BTreeMap<Counter, u64>)>,
}

impl Pace {
    /// Takes what all counters show now.
    pub(super) fn note(&mut self, now: Millis, counters: BTreeMap<Counter, u64>) {
        let newest = self.readings.back();
        if newest.is_some_and(|(at, _)| now.since(*at) > Millis::from(GAP)) {
            self.readings.clear();
        }
        self.readings.push_back((now, counters));
        let is_old = |(at, _): &(Millis, _)| now.since(*at) > Millis::from(WINDOW);
        while self.readings.front().is_some_and(is_old) {
            self.readings.pop_front();
        }
    }

    /// By how much a counter grows in a second; `None` where that is not known.
    pub(super) fn per_second(&self, counter: &Counter) -> Option<f64> {
        let mut newest_first = self.readings.iter().rev().map_while(|(at, counters)| {
            let value = counters.get(counter)?;
            Some((*at, *value))
        });
        let (now, last) = newest_first.next()?;
        let mut oldest = (now, last);
        for reading in newest_first {
            if reading.1 > oldest.1 {
                break;
            }
            oldest = reading;
        }
        let passed = now.since(oldest.0);
        if passed < Millis::from(LEAST) {
            return None;
        }
        Some((last - oldest.1) as f64 * 1e3 / passed.0 as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu() -> Counter {
        Counter::Cpu("a".into())
    }

    fn after(readings: &[(u64, u64)]) -> Option<f64> {
        let mut pace = Pace::default();
        for (at, value) in readings {
            pace.note(Millis(*at), BTreeMap::from([(cpu(), *value)]));
        }
        pace.per_second(&cpu())
    }

    #[test]
    fn a_rate_is_that_of_the_last_ten_seconds_and_unknown_before_two() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[(0, 5), (1_000, 9)]), None);
        assert_eq!(after(&[(0, 0), (1_000, 9), (2_000, 20)]), Some(10.0));
        let steady: Vec<_> = (0..30).map(|s| (s * 1_000, s * 7)).collect();
        assert_eq!(after(&steady), Some(7.0));
        let stopped: Vec<_> = (0..30).map(|s| (s * 1_000, s.min(10) * 7)).collect();
        assert_eq!(after(&stopped), Some(0.0));
    }

    #[test]
    fn a_counter_that_went_back_counts_from_there() {
        let readings = [
            (0, 900),
            (1_000, 990),
            (2_000, 100),
            (3_000, 150),
            (4_000, 200),
        ];
        assert_eq!(after(&readings), Some(50.0));
        assert_eq!(after(&readings[..4]), None);
    }

    #[test]
    fn what_was_read_before_a_gap_or_before_a_counter_was_missing_does_not_count() {
        assert_eq!(after(&[(0, 0), (1_000, 1_000), (9_000, 1_010)]), None);
        let mut pace = Pace::default();
        for at in 0..5 {
            let counters = if at == 2 { None } else { Some((cpu(), at)) };
            pace.note(Millis(at * 1_000), counters.into_iter().collect());
        }
        assert_eq!(pace.per_second(&cpu()), None);
    }
}
