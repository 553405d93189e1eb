//! What a partition takes in a second: its events and their bytes, smoothed, so that the master places it by what it
//! usually costs and not by the last moment.
//!
//! A rate is reported once it was measured for [`SETTLED`]: reading up to where the owner before was says nothing of
//! what comes later.

use std::time::Duration;

use kol_common::proto::{PartitionCounters, Rates};
use tokio::time::Instant;

/// After this time half of a change is in the rate.
const HALF: Duration = Duration::from_secs(30);
/// Time between two measurements.
const EVERY: Duration = Duration::from_secs(1);
/// How long is measured before a rate is known.
const SETTLED: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub struct Meter {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    since: Instant,
    at: Instant,
    counted: [u64; 2],
    rates: [f64; 2],
}

impl Meter {
    /// Looks at the counters, which grow while this owner has the partition.
    pub fn look(&mut self, now: Instant, counters: &PartitionCounters) {
        let counted = [counters.events, counters.bytes];
        let Some(running) = &mut self.running else {
            self.running = Some(Running {
                since: now,
                at: now,
                counted,
                rates: [0.0; 2],
            });
            return;
        };
        let passed = now.duration_since(running.at);
        if passed < EVERY {
            return;
        }
        let seconds = passed.as_secs_f64();
        let keeps = 0.5_f64.powf(seconds / HALF.as_secs_f64());
        for (rate, (new, old)) in running
            .rates
            .iter_mut()
            .zip(counted.iter().zip(running.counted))
        {
            let measured = new.saturating_sub(old) as f64 / seconds;
            *rate = *rate * keeps + measured * (1.0 - keeps);
        }
        (running.at, running.counted) = (now, counted);
    }

    /// The rates, once they are known.
    pub fn rates(&self) -> Option<Rates> {
        let running = self.running.as_ref()?;
        let measured = running.at.duration_since(running.since);
        if measured < SETTLED {
            return None;
        }
        // It began with nothing: what is missing for that is added.
        let began = 0.5_f64.powf(measured.as_secs_f64() / HALF.as_secs_f64());
        let [events, bytes] = running.rates.map(|rate| (rate / (1.0 - began)) as u64);
        Some(Rates { events, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(events: u64) -> PartitionCounters {
        PartitionCounters {
            events,
            bytes: events * 300,
            ..PartitionCounters::default()
        }
    }

    /// A meter that saw this many events in each second, one after the other.
    fn measured(seconds: impl IntoIterator<Item = u64>) -> Meter {
        let (start, mut events) = (Instant::now(), 1_000_000);
        let mut meter = Meter::default();
        meter.look(start, &counters(events));
        for (second, more) in (1..).zip(seconds) {
            events += more;
            meter.look(start + Duration::from_secs(second), &counters(events));
        }
        meter
    }

    #[test]
    fn a_steady_rate_is_reported_as_it_is_and_not_before_it_was_measured_for_a_minute() {
        assert_eq!(measured([1_000; 59]).rates(), None);
        let rates = measured([1_000; 60]).rates().unwrap();
        assert!((999..=1_000).contains(&rates.events), "{rates:?}");
        assert!((299_700..=300_000).contains(&rates.bytes), "{rates:?}");
    }

    #[test]
    fn half_of_a_change_is_seen_after_half_a_minute_and_a_burst_hardly_at_all() {
        let rate = |seconds: Vec<u64>| measured(seconds).rates().unwrap().events;
        let steady = vec![1_000; 600];
        let grown = rate([steady.clone(), vec![3_000; 30]].concat());
        assert!((1_990..=2_010).contains(&grown), "{grown}");
        let burst = rate([steady, vec![5_000; 2]].concat());
        assert!(burst < 1_200, "{burst}");
    }

    #[test]
    fn looks_that_follow_each_other_closely_change_nothing() {
        let start = Instant::now();
        let mut meter = Meter::default();
        for ms in (0..=70_000).step_by(100) {
            meter.look(start + Duration::from_millis(ms), &counters(ms));
        }
        let events = meter.rates().unwrap().events;
        assert!((999..=1_000).contains(&events), "{events}");
    }
}
