//! How large a cluster must be: pure arithmetic over what is expected and the measured figures of `kol_common::sizing`.
//!
//! It assumes that events are spread evenly over creators and partitions, and that nothing is as fast as it was measured
//! for long: cores and Redis are planned for [`BUSY`] of their time, state for [`FULL`] of an executor's memory (reading
//! pauses at six tenths). Redis merges with one core; where it cannot take each change at once, a creator's changes go
//! there together, later.

mod tiers;

use kol_common::sizing::{
    CREATOR_BYTES, EPOCH_EVENT_BYTES, EVENT_BYTES, EVENT_CPU_NS, MERGE_CPU_NS, MERGE_NS,
    REDIS_CREATOR_BYTES, VIDEO_BYTES,
};

pub use tiers::{TIERS, Tier};

/// Part of the time for which a core is planned to work.
pub const BUSY: f64 = 0.6;
/// Part of an executor's memory that is planned for state.
pub const FULL: f64 = 0.5;
/// How often changed creators are sent to Redis while it keeps up, s.
const FLUSH: f64 = 0.1;
/// Longest time between two updates of a creator that is looked at, s.
const LONGEST: f64 = 3_600.0;
/// Highest rate that is looked at, events a second.
const FASTEST: f64 = 1e12;
/// Halvings of an interval until it is as narrow as numbers are.
const HALVINGS: usize = 100;

/// What is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Events a second.
    pub rate: f64,
    /// How many creators there are.
    pub kols: f64,
    /// Videos of a creator.
    pub videos: f64,
    /// Size of a record value, bytes.
    pub event_bytes: f64,
    /// How old a change may be when it is in Redis, s.
    pub freshness: f64,
}

/// What one executor has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Executor {
    /// Its memory limit, bytes.
    pub memory: f64,
    /// Cores that it has for itself.
    pub cores: f64,
}

/// What is needed for that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// Cores that work all the time.
    pub cores: f64,
    /// State in the executors' memory, bytes.
    pub state: f64,
    /// Executors for the cores.
    pub for_cores: u64,
    /// Executors for the memory.
    pub for_memory: u64,
    /// Partitions of the topic.
    pub partitions: u64,
    /// From Kafka, bytes a second.
    pub input: f64,
    /// The age of a change when it is in Redis, with [`BUSY`] of Redis' core, s; `None` above an hour.
    pub freshness: Option<f64>,
    /// Creators that are merged in a second.
    pub merges: f64,
    /// Part of Redis' one core for that.
    pub redis_busy: f64,
    /// Memory of Redis, bytes.
    pub redis_memory: f64,
    /// What checkpoints write, bytes a second.
    pub checkpoint: f64,
}

impl Needs {
    /// Executors that do it.
    pub fn executors(&self) -> u64 {
        self.for_cores.max(self.for_memory)
    }
}

/// What is needed for a demand on such executors.
pub fn needs(demand: &Demand, executor: &Executor) -> Needs {
    let freshness = freshness(demand);
    let every = freshness.unwrap_or(LONGEST);
    let merges = distinct(demand.rate * every, demand.kols) / every;
    let event_ns = EVENT_CPU_NS as f64 * (demand.event_bytes / EVENT_BYTES as f64).max(1.0);
    let cores = (demand.rate * event_ns + merges * MERGE_CPU_NS as f64) / 1e9;
    let creator = CREATOR_BYTES as f64 + demand.videos * VIDEO_BYTES as f64;
    let state = demand.kols * creator;
    let for_cores = whole(cores / (executor.cores * BUSY));
    let for_memory = whole(state / (executor.memory * FULL));
    let executors = for_cores.max(for_memory);
    // A partition is read by one core.
    let partitions = whole(cores / BUSY).max(whole(executors as f64 * executor.cores));
    Needs {
        cores,
        state,
        for_cores,
        for_memory,
        partitions: partitions.next_multiple_of(executors),
        input: demand.rate * demand.event_bytes,
        freshness,
        merges,
        redis_busy: merges * MERGE_NS as f64 / 1e9,
        redis_memory: demand.kols * REDIS_CREATOR_BYTES as f64,
        checkpoint: demand.rate * EPOCH_EVENT_BYTES as f64,
    }
}

/// What limits so many executors, and the rate from which on it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// The state does not fit into their memory.
    Memory,
    /// Their cores have no time left; the rate, events a second.
    Cores(f64),
    /// Redis: changes would be older than they may be.
    Redis(f64),
}

impl Limit {
    /// Events a second.
    pub fn rate(self) -> f64 {
        match self {
            Self::Memory => 0.0,
            Self::Cores(rate) | Self::Redis(rate) => rate,
        }
    }
}

/// How far so many executors reach with such events and creators.
pub fn reaches(executors: u64, executor: &Executor, demand: &Demand) -> Limit {
    let at = |rate| Demand { rate, ..*demand };
    if needs(demand, executor).for_memory > executors {
        return Limit::Memory;
    }
    let cores = executors as f64 * executor.cores * BUSY;
    let cores = border(0.0, FASTEST, |rate| {
        needs(&at(rate), executor).cores <= cores
    });
    let is_fresh = |rate| freshness(&at(rate)).is_some_and(|age| age <= demand.freshness);
    let redis = if is_fresh(FASTEST) {
        FASTEST
    } else {
        border(0.0, FASTEST, is_fresh)
    };
    if redis < cores {
        Limit::Redis(redis)
    } else {
        Limit::Cores(cores)
    }
}

/// How many different ones of `all` are among so many that are drawn evenly.
fn distinct(drawn: f64, all: f64) -> f64 {
    if all <= 0.0 {
        return 0.0;
    }
    all * -(-drawn / all).exp_m1()
}

/// The shortest time in which Redis merges what changed in it, with [`BUSY`] of its core.
fn freshness(demand: &Demand) -> Option<f64> {
    let is_too_short = |seconds: f64| {
        let merges = distinct(demand.rate * seconds, demand.kols);
        merges * MERGE_NS as f64 / 1e9 > seconds * BUSY
    };
    if !is_too_short(FLUSH) {
        return Some(FLUSH);
    }
    // The part of the time that merges take falls as the time grows.
    let age = border(FLUSH, LONGEST, is_too_short);
    (!is_too_short(LONGEST)).then_some(age)
}

/// The number up to which something holds, between one where it does and one where it does not.
fn border(mut holds: f64, mut fails: f64, is_so: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(holds, fails);
        if is_so(middle) {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    holds
}

/// Rounded up, one at least.
fn whole(number: f64) -> u64 {
    (number.ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMAND: Demand = Demand {
        rate: 500_000.0,
        kols: 1e6,
        videos: 20.0,
        event_bytes: EVENT_BYTES as f64,
        freshness: 30.0,
    };
    const EXECUTOR: Executor = Executor {
        memory: 4.0 * (1u64 << 30) as f64,
        cores: 2.0,
    };

    #[test]
    fn twice_the_events_need_twice_the_cores_and_twice_the_creators_twice_the_memory() {
        let one = needs(&DEMAND, &EXECUTOR);
        let events = needs(
            &Demand {
                rate: 1e6,
                ..DEMAND
            },
            &EXECUTOR,
        );
        let merges = one.merges * MERGE_CPU_NS as f64 / 1e9;
        assert!((events.cores - merges) / (one.cores - merges) > 1.99);
        assert_eq!(events.state, one.state);
        let kols = needs(
            &Demand {
                kols: 2e6,
                ..DEMAND
            },
            &EXECUTOR,
        );
        assert_eq!(kols.state, 2.0 * one.state);
        assert_eq!(kols.redis_memory, 2.0 * one.redis_memory);
    }

    #[test]
    fn what_is_planned_leaves_cores_and_memory_free() {
        for rate in [10.0, 1e5, 3e6] {
            for kols in [10.0, 1e5, 2e7] {
                let demand = Demand {
                    rate,
                    kols,
                    ..DEMAND
                };
                let needs = needs(&demand, &EXECUTOR);
                let executors = needs.executors() as f64;
                assert!(needs.cores <= executors * EXECUTOR.cores * BUSY + 1e-9);
                assert!(needs.state <= executors * EXECUTOR.memory * FULL + 1e-9);
                assert_eq!(needs.partitions % needs.executors(), 0);
                assert!(needs.partitions as f64 >= executors * EXECUTOR.cores);
                let demand = Demand {
                    freshness: LONGEST,
                    ..demand
                };
                let reached = reaches(needs.executors(), &EXECUTOR, &demand);
                assert!(reached.rate() >= rate * (1.0 - 1e-6), "{reached:?} {rate}");
                let fewer = needs.executors() - 1;
                let reached = reaches(fewer, &EXECUTOR, &demand);
                assert!(fewer == 0 || reached.rate() < rate, "{reached:?} {rate}");
            }
        }
    }

    #[test]
    fn large_records_need_more_cores_and_small_ones_not_less() {
        let cores = |event_bytes| {
            let demand = Demand {
                event_bytes,
                ..DEMAND
            };
            needs(&demand, &EXECUTOR).cores
        };
        let usual = EVENT_BYTES as f64;
        let more = cores(3.0 * usual) - cores(usual);
        let expected = 2.0 * DEMAND.rate * EVENT_CPU_NS as f64 / 1e9;
        assert!((more - expected).abs() < 1e-9, "{more} {expected}");
        assert_eq!(cores(usual / 3.0), cores(usual));
    }

    #[test]
    fn a_creator_that_has_many_events_in_a_moment_is_merged_once() {
        let merges = |rate, kols| {
            let demand = Demand {
                rate,
                kols,
                ..DEMAND
            };
            needs(&demand, &EXECUTOR).merges
        };
        assert!(
            (merges(1_000.0, 1e9) - 1_000.0).abs() < 1.0,
            "all different"
        );
        assert!(
            (merges(1e7, 100.0) - 1_000.0).abs() < 1.0,
            "ten times a second each"
        );
    }

    #[test]
    fn where_redis_cannot_take_every_change_at_once_rankings_are_older() {
        let freshness = |rate, kols| {
            let demand = Demand {
                rate,
                kols,
                ..DEMAND
            };
            needs(&demand, &EXECUTOR).freshness
        };
        assert_eq!(freshness(1_000.0, 1e6), Some(FLUSH));
        // All creators change all the time: one round over all of them.
        let round = freshness(1e9, 1e6).unwrap();
        let expected = 1e6 * MERGE_NS as f64 / 1e9 / BUSY;
        assert!((round / expected - 1.0).abs() < 1e-6, "{round} {expected}");
        assert_eq!(freshness(1e12, 1e12), None);
        let demand = Demand {
            freshness: expected / 2.0,
            ..DEMAND
        };
        let limit = reaches(100, &EXECUTOR, &demand);
        let Limit::Redis(rate) = limit else {
            panic!("{limit:?}");
        };
        let aged = freshness(rate, DEMAND.kols).unwrap();
        assert!((aged / demand.freshness - 1.0).abs() < 1e-6, "{aged}");
    }
}
