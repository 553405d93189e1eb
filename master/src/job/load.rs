//! What partitions take of an executor, and how full an executor is with them.

use std::iter::Sum;
use std::ops::{Add, Sub};

use kol_common::proto::PartitionReport;
use kol_common::sizing::{EVENT_BYTES, EVENT_CPU_NS};

/// What a partition without input counts, µs of a core in a second: so partitions that are idle are shared by their
/// number, and small differences between others do not matter.
const IDLE_CPU: u64 = 10_000;

/// An executor that is full, in the unit of [`Room::fill`].
pub const FULL: u64 = 1_000_000;

/// What a partition takes, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// Time of processor cores, µs in a second.
    pub cpu: u64,
    /// Memory of the state, bytes.
    pub memory: u64,
}

impl Load {
    /// Of the partition that this is the newest report of. What is not measured counts as idle.
    pub fn of(report: Option<&PartitionReport>) -> Self {
        let rates = report.and_then(|r| r.rates).unwrap_or_default();
        // An event of more than the usual size takes as long as several.
        let events = rates.events.max(rates.bytes / EVENT_BYTES);
        Self {
            cpu: IDLE_CPU.saturating_add(events.saturating_mul(EVENT_CPU_NS) / 1_000),
            memory: report.map_or(0, |r| r.state_bytes),
        }
    }
}

impl Add for Load {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(more.cpu),
            memory: self.memory.saturating_add(more.memory),
        }
    }
}

impl Sub for Load {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(less.cpu),
            memory: self.memory.saturating_sub(less.memory),
        }
    }
}

impl Sum for Load {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// What an executor has for partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Processor cores that it may use.
    pub cores: u32,
    /// Its limit, bytes; 0 where it does not say.
    pub memory: u64,
}

impl Room {
    /// How full it is with this: of its cores and its memory what is fuller, in millionths.
    pub fn fill(self, load: Load) -> u64 {
        let cores = load.cpu / u64::from(self.cores.max(1));
        let memory = u128::from(load.memory) * u128::from(FULL);
        let memory = memory
            .checked_div(u128::from(self.memory))
            .unwrap_or_default();
        cores.max(u64::try_from(memory).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use kol_common::proto::Rates;

    use super::*;

    fn load(events: u64, bytes: u64, state_bytes: u64) -> Load {
        Load::of(Some(&PartitionReport {
            rates: Some(Rates { events, bytes }),
            state_bytes,
            ..PartitionReport::default()
        }))
    }

    #[test]
    fn a_partition_costs_its_events_or_their_bytes_and_never_nothing() {
        assert_eq!(Load::of(None), load(0, 0, 0));
        assert!(Load::of(None).cpu > 0);
        let million = load(1_000_000, 1_000_000 * EVENT_BYTES, 7);
        assert_eq!(million.cpu, IDLE_CPU + 1_000 * EVENT_CPU_NS);
        assert_eq!(million.memory, 7);
        let large = load(100_000, 1_000_000 * EVENT_BYTES, 7);
        assert_eq!(large, million, "records of ten times the size");
    }

    #[test]
    fn an_executor_is_as_full_as_the_fuller_of_its_cores_and_its_memory() {
        let room = Room {
            cores: 2,
            memory: 1 << 30,
        };
        let fill = |cpu, memory| room.fill(Load { cpu, memory });
        assert_eq!(fill(1_000_000, 1 << 28), FULL / 2);
        assert_eq!(fill(1_000_000, 3 << 28), FULL / 4 * 3);
        assert_eq!(fill(u64::MAX, u64::MAX), u64::MAX / 2);
        let silent = Room {
            cores: 0,
            memory: 0,
        };
        assert_eq!(
            silent.fill(Load {
                cpu: FULL,
                memory: 1 << 40
            }),
            FULL
        );
    }
}
