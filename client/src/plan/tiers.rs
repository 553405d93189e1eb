//! The sizes that are ready in `deploy/tiers`, each meant for a rate and a number of creators with [`VIDEOS`] videos each.

use kol_common::sizing::EVENT_BYTES;

use super::{Demand, Executor};

/// Videos of a creator that tiers are meant for.
pub const VIDEOS: u64 = 20;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tier {
    /// Its name; its file is `deploy/tiers/NAME.env`.
    pub name: &'static str,
    /// How many executors it has.
    pub executors: u64,
    /// Memory of each, GiB.
    pub memory_gib: u64,
    /// Cores that each is planned to have for itself.
    pub cores: u64,
    /// Memory of Redis, GiB.
    pub redis_gib: u64,
    /// Partitions of the topic: room for twice as many executors.
    pub partitions: u64,
    /// Events a second that it is meant for.
    pub rate: u64,
    /// Creators that it is meant for.
    pub kols: u64,
}

impl Tier {
    /// One of its executors.
    pub fn executor(&self) -> Executor {
        Executor {
            memory: (self.memory_gib << 30) as f64,
            cores: self.cores as f64,
        }
    }

    /// What it is meant for.
    pub fn demand(&self) -> Demand {
        Demand {
            rate: self.rate as f64,
            kols: self.kols as f64,
            videos: VIDEOS as f64,
            event_bytes: EVENT_BYTES as f64,
            freshness: 30.0,
        }
    }
}

/// The smallest first.
pub const TIERS: [Tier; 4] = [
    Tier {
        name: "dev",
        executors: 1,
        memory_gib: 1,
        cores: 1,
        redis_gib: 1,
        partitions: 8,
        rate: 5_000,
        kols: 50_000,
    },
    Tier {
        name: "small",
        executors: 2,
        memory_gib: 2,
        cores: 1,
        redis_gib: 1,
        partitions: 8,
        rate: 100_000,
        kols: 250_000,
    },
    Tier {
        name: "medium",
        executors: 4,
        memory_gib: 4,
        cores: 1,
        redis_gib: 2,
        partitions: 16,
        rate: 500_000,
        kols: 500_000,
    },
    Tier {
        name: "large",
        executors: 8,
        memory_gib: 8,
        cores: 1,
        redis_gib: 4,
        partitions: 32,
        rate: 1_000_000,
        kols: 1_000_000,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{Limit, Needs, needs, reaches};

    fn file(tier: &Tier) -> String {
        let path = format!(
            "{}/../deploy/tiers/{}.env",
            env!("CARGO_MANIFEST_DIR"),
            tier.name
        );
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn needed(tier: &Tier) -> Needs {
        needs(&tier.demand(), &tier.executor())
    }

    #[test]
    fn the_files_are_as_the_tiers_are() {
        for tier in TIERS {
            let text = file(&tier);
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let values: BTreeMap<_, _> = lines.filter_map(|l| l.split_once('=')).collect();
            let expected = [
                ("KOL_EXECUTORS", tier.executors.to_string()),
                ("KOL_EXECUTOR_MEMORY", format!("{}g", tier.memory_gib)),
                ("KOL_REDIS_MEMORY", format!("{}gb", tier.redis_gib)),
                ("KOL_PARTITIONS", tier.partitions.to_string()),
            ];
            for (name, value) in &expected {
                assert_eq!(
                    values.get(name),
                    Some(&value.as_str()),
                    "{} {name}",
                    tier.name
                );
            }
            assert_eq!(values.len(), expected.len(), "{}", tier.name);
        }
    }

    #[test]
    fn a_tier_has_the_memory_and_partitions_that_it_needs() {
        for tier in TIERS {
            let needs = needed(&tier);
            assert!(needs.for_memory <= tier.executors, "{tier:?} {needs:?}");
            assert!(
                needs.redis_memory <= 0.75 * (tier.redis_gib << 30) as f64,
                "{tier:?}"
            );
            assert!(needs.partitions <= tier.partitions, "{tier:?} {needs:?}");
            assert_eq!(tier.partitions % (2 * tier.executors), 0, "{tier:?}");
        }
    }

    #[test]
    fn the_files_say_what_the_figures_say() {
        for tier in TIERS {
            let (text, needs) = (file(&tier), needed(&tier));
            let limit = reaches(tier.executors, &tier.executor(), &tier.demand());
            let verdict = match limit {
                Limit::Memory => "does not reach it: the state does not fit".to_owned(),
                limit if limit.rate() < tier.rate as f64 => {
                    format!("does not reach it: {:.0} events/s at most", limit.rate())
                }
                _ => format!(
                    "{:.1} of {} cores busy",
                    needs.cores,
                    tier.executors * tier.cores
                ),
            };
            assert!(text.contains(&verdict), "{}.env: {verdict}", tier.name);
            let age = needs.freshness.unwrap_or(f64::INFINITY);
            let age = format!("a change is in Redis after {age:.1} s");
            assert!(text.contains(&age), "{}.env: {age}", tier.name);
        }
    }
}
