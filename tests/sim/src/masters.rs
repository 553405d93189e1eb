//! The masters of a simulation: one with a store on its disk, or several that are elected in etcd; and the faults that
//! only several have.

use std::time::Duration;

use kol_common::Millis;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::schedule::{CALM, Deed, EXECUTORS, HEALED, LINKS, Link, MASTER};

/// The host of etcd.
pub const ETCD: &str = "etcd";
/// Where masters listen.
pub const PORT: u16 = 7077;
const SEVERAL: [&str; 3] = [MASTER, "deputy", "reserve"];
/// Pairs of hosts that talk only when there are several masters.
const MORE_LINKS: [Link; 11] = [
    ("one", "deputy"),
    ("two", "deputy"),
    ("three", "deputy"),
    ("person", "deputy"),
    ("one", "reserve"),
    ("two", "reserve"),
    ("three", "reserve"),
    ("person", "reserve"),
    (MASTER, ETCD),
    ("deputy", ETCD),
    ("reserve", ETCD),
];
/// How far the wall clock of a master is set ahead, milliseconds.
const AHEAD: [i64; 2] = [5_000, 7_200_000];
/// The schedules of one master do not depend on these faults: they have chances of their own.
const SALT: u64 = 0x6d61_7374_6572_7300;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masters {
    /// It always leads.
    One,
    /// One of them leads at a time.
    Several,
}

impl Masters {
    /// Names of the hosts that run masters.
    pub fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::One => &SEVERAL[..1],
            Self::Several => &SEVERAL,
        }
    }

    /// URLs of the masters, as executors are given them.
    pub fn urls(self) -> impl Iterator<Item = String> {
        self.hosts().iter().map(|host| url(host))
    }

    /// Pairs of hosts that talk.
    pub fn links(self) -> impl Iterator<Item = Link> {
        let more: &[Link] = match self {
            Self::One => &[],
            Self::Several => &MORE_LINKS,
        };
        LINKS.iter().chain(more).copied()
    }

    /// Deeds with their times, beside those that do not depend on the masters.
    pub fn faults(self, seed: u64) -> Vec<(Millis, Deed)> {
        match self {
            Self::One => Vec::new(),
            Self::Several => faults(&mut StdRng::seed_from_u64(seed ^ SALT)),
        }
    }
}

/// Where a master is reached.
pub fn url(host: &str) -> String {
    format!("http://{host}:{PORT}")
}

/// What is done to whoever leads when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// Its process dies at once.
    Crash,
    /// Its process is stopped.
    Stop,
    /// Nothing goes between it and etcd.
    CutFromEtcd,
    /// Nothing goes between it and the executors.
    CutFromExecutors,
    /// Nothing goes between it and anybody.
    CutFromAll,
}

fn faults(random: &mut StdRng) -> Vec<(Millis, Deed)> {
    let mut deeds = Vec::new();
    for _ in 0..random.random_range(1..=4) {
        let begin = random.random_range(CALM.0..HEALED.0 - 1_000);
        // Half of them are longer than a lease.
        let longest = (HEALED.0 - begin).min(9_000);
        let end = begin + random.random_range(300..=longest);
        let (first, last) = fault(random);
        deeds.push((Millis(begin), first));
        deeds.extend(last.map(|last| (Millis(end), last)));
    }
    deeds
}

/// What begins a fault, and what ends it.
fn fault(random: &mut StdRng) -> (Deed, Option<Deed>) {
    let blows = [
        Blow::Crash,
        Blow::Stop,
        Blow::CutFromEtcd,
        Blow::CutFromExecutors,
        Blow::CutFromAll,
    ];
    let master = *SEVERAL.choose(random).unwrap_or(&MASTER);
    let link = *MORE_LINKS.choose(random).unwrap_or(&MORE_LINKS[0]);
    match random.random_range(0..14) {
        0..=5 => {
            let blow = *blows.choose(random).unwrap_or(&Blow::Crash);
            (Deed::Strike(blow), Some(Deed::Recover))
        }
        6 => (Deed::Crash(master), Some(Deed::Restart(master))),
        7 => (Deed::Stop(master), Some(Deed::Continue(master))),
        8 => (Deed::Crash(ETCD), Some(Deed::Restart(ETCD))),
        9 => (Deed::Sever(link), Some(Deed::Mend(link))),
        10 => (Deed::Hold(link), Some(Deed::Release(link))),
        11 => {
            let latency = Duration::from_millis(random.random_range(100..1_000));
            let usual = Duration::from_millis(5);
            (Deed::Slow(link, latency), Some(Deed::Slow(link, usual)))
        }
        12 => {
            let ahead = *AHEAD.choose(random).unwrap_or(&AHEAD[0]);
            let right = Deed::SetClock(master, 0);
            (Deed::SetClock(master, ahead), Some(right))
        }
        _ => (Deed::LoseAnswer, None),
    }
}

/// The links of a master that a blow cuts.
pub fn cut_by(blow: Blow, master: &'static str) -> Vec<Link> {
    let to_executors = EXECUTORS.map(|executor| (executor, master));
    match blow {
        Blow::Crash | Blow::Stop => Vec::new(),
        Blow::CutFromEtcd => vec![(master, ETCD)],
        Blow::CutFromExecutors => to_executors.to_vec(),
        Blow::CutFromAll => {
            let others = [(master, ETCD), ("person", master)];
            to_executors.into_iter().chain(others).collect()
        }
    }
}
