//! How long partitions paused, and who has them, from what all executors report.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What one executor reported of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub partition: u64,
    /// The newest owner has the highest one.
    pub assignment_epoch: u64,
    /// Offset of the next record.
    pub position: u64,
}

impl Report {
    /// The reports on the page `/api/v1/partitions` of an executor.
    pub fn all(page: &Value) -> Vec<Self> {
        let report = |report: &Value| {
            Some(Self {
                partition: report["partition"].as_u64()?,
                assignment_epoch: report["assignment_epoch"].as_u64()?,
                position: report["position"].as_u64()?,
            })
        };
        page.as_array()
            .into_iter()
            .flatten()
            .filter_map(report)
            .collect()
    }
}

/// One partition, as last seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    host: usize,
    assignment_epoch: u64,
    position: u64,
    since: Instant,
    longest: Duration,
}

/// Pauses of all partitions, by number.
#[derive(Debug, Default)]
pub struct Pauses(BTreeMap<u64, Seen>);

impl Pauses {
    /// Takes what the executor of a host reports. Progress is what goes beyond all that anybody has read: records that a
    /// new owner reads again are none.
    pub fn see(&mut self, now: Instant, host: usize, report: Report) {
        let seen = self.0.entry(report.partition).or_insert(Seen {
            host,
            assignment_epoch: report.assignment_epoch,
            position: report.position,
            since: now,
            longest: Duration::ZERO,
        });
        if report.assignment_epoch >= seen.assignment_epoch {
            (seen.host, seen.assignment_epoch) = (host, report.assignment_epoch);
        }
        seen.longest = seen.longest.max(now - seen.since);
        if report.position > seen.position {
            (seen.position, seen.since) = (report.position, now);
        }
    }

    /// Forgets the pauses until now; who has each partition.
    pub fn begin(&mut self, now: Instant) -> BTreeMap<u64, usize> {
        for seen in self.0.values_mut() {
            seen.longest = Duration::ZERO;
            seen.since = now;
        }
        self.owners()
    }

    /// Who has each partition.
    pub fn owners(&self) -> BTreeMap<u64, usize> {
        let owner = |(partition, seen): (&u64, &Seen)| (*partition, seen.host);
        self.0.iter().map(owner).collect()
    }

    /// Partitions that have not made progress for longer than this.
    pub fn stalled(&self, now: Instant, longer: Duration) -> Vec<u64> {
        let stalled = self.0.iter().filter(|(_, seen)| now - seen.since > longer);
        stalled.map(|(partition, _)| *partition).collect()
    }

    /// The longest pause of those partitions, also one that lasts.
    pub fn longest(&self, now: Instant, of: impl Fn(u64) -> bool) -> Duration {
        let some = self.0.iter().filter(|(partition, _)| of(**partition));
        let pauses = some.map(|(_, seen)| seen.longest.max(now - seen.since));
        pauses.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(assignment_epoch: u64, position: u64) -> Report {
        Report {
            partition: 0,
            assignment_epoch,
            position,
        }
    }

    #[test]
    fn a_pause_lasts_until_a_partition_is_beyond_all_that_was_read_of_it() {
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        let mut pauses = Pauses::default();
        pauses.see(begun, 0, report(1, 100));
        pauses.see(begun + second, 0, report(1, 200));
        pauses.see(begun + 4 * second, 1, report(2, 150));
        assert_eq!(pauses.stalled(begun + 4 * second, 2 * second), [0]);
        pauses.see(begun + 5 * second, 1, report(2, 201));
        let now = begun + 6 * second;
        assert_eq!(pauses.longest(now, |_| true), 4 * second);
        assert_eq!(pauses.stalled(now, 2 * second), [0; 0]);
        pauses.begin(now);
        assert_eq!(pauses.longest(now + second, |_| true), second);
    }

    #[test]
    fn an_owner_that_was_replaced_does_not_take_a_partition_back() {
        let now = Instant::now();
        let mut pauses = Pauses::default();
        pauses.see(now, 0, report(1, 100));
        pauses.see(now, 1, report(2, 100));
        pauses.see(now, 0, report(1, 120));
        assert_eq!(pauses.owners(), BTreeMap::from([(0, 1)]));
    }
}
