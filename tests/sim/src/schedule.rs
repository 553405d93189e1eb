//! Faults from a seed: what happens when, and when it is over.

use std::time::Duration;

use kol_common::Millis;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::input::{KOLS, PARTITIONS};
use super::masters::{Blow, Masters};
use super::person::Errand;
use super::redis::Key;
use super::store::{Damage, Mood};

/// Executors of every simulation.
pub const EXECUTORS: [&str; 3] = ["one", "two", "three"];
/// The host of the master.
pub const MASTER: &str = "master";
/// When the first fault may come, and by when all are over.
pub const CALM: Millis = Millis(3_000);
/// See [`CALM`].
pub const HEALED: Millis = Millis(16_000);
/// No event comes any more, and Redis may yet lose data, until then.
pub const LAST: Millis = Millis(18_000);
/// For chances that do not depend on others of the seed.
const SALT: u64 = 0x6472_6169_6e73_0000;
const SALT_OF_OVERWRITES: u64 = 0x6f76_6572_0000_0000;
/// How far wall clocks are set ahead, milliseconds.
const STEPS: [i64; 3] = [-3_600_000, 5_000, 7_200_000];
/// Records that a partition loses at most.
const MOST_CUT: usize = 60;
/// Pairs of hosts that talk.
pub const LINKS: [(&str, &str); 7] = [
    ("one", "master"),
    ("two", "master"),
    ("three", "master"),
    ("one", "redis"),
    ("two", "redis"),
    ("three", "redis"),
    ("person", "master"),
];

/// Two hosts that talk.
pub type Link = (&'static str, &'static str);

/// What is done to the simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    /// A host dies.
    Crash(&'static str),
    /// It starts again.
    Restart(&'static str),
    /// The process of a host is stopped, as by SIGSTOP.
    Stop(&'static str),
    /// A host that was paused continues.
    Continue(&'static str),
    /// This happens to whoever of several masters leads.
    Strike(Blow),
    /// Whatever was done to leaders is over.
    Recover,
    /// etcd does what it is requested next, and its answer is lost.
    LoseAnswer,
    /// An executor gets the signal to end.
    Leave(&'static str),
    /// What two hosts send each other waits.
    Hold(Link),
    /// What waited between two hosts arrives.
    Release(Link),
    /// What two hosts send each other is lost.
    Sever(Link),
    /// Nothing between two hosts is lost any longer.
    Mend(Link),
    /// What two hosts send each other takes so long.
    Slow(Link, Duration),
    /// A replica of Redis takes over that lacks the newest writes.
    FailOver(Millis),
    /// Redis is emptied.
    Empty,
    /// Redis does nothing for so long.
    Freeze(Millis),
    /// Redis gets commands a second time, or not any more.
    Repeats(bool),
    /// The checkpoint store is like that.
    Store(Mood),
    /// The newest state file of a partition that this host runs is damaged.
    Tear(&'static str, Damage),
    /// The brokers are away, or back.
    Away(bool),
    /// The wall clock of a host is set so far ahead, in milliseconds; 0: right.
    SetClock(&'static str, i64),
    /// A record of the year 2100 in this partition.
    Ahead(u32),
    /// Somebody deletes a key, or it is evicted.
    Lose(Key),
    /// Somebody writes other values into the hash of a creator, and gives it another place in the ranking.
    Overwrite(u32),
    /// A string is in the place of this creator's hash.
    Spoil(u32),
    /// Not any more.
    Clear(u32),
    /// A partition loses so many of its newest records, and another leader is elected, or it is the same.
    Cut(u32, usize, bool),
    /// A host does not see the checkpoints, or sees them again.
    Hide(&'static str, bool),
    /// The person does something with the job.
    Do(Errand),
}

/// Deeds with their times, in order.
pub fn schedule(seed: u64, masters: Masters) -> Vec<(Millis, Deed)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut deeds = Vec::new();
    // The present is the newest of two clocks: one of them may be slow, not both.
    let slow = *[MASTER, EXECUTORS[0], EXECUTORS[1]]
        .choose(&mut random)
        .unwrap_or(&MASTER);
    for _ in 0..random.random_range(2..=8) {
        let begin = random.random_range(CALM.0..HEALED.0 - 1_000);
        let longest = (HEALED.0 - begin).min(7_000);
        let end = begin + random.random_range(300..=longest);
        let (first, last) = fault(&mut random, Millis(end - begin), slow);
        deeds.push((Millis(begin), first));
        deeds.extend(last.map(|last| (Millis(end), last)));
    }
    match random.random_range(0..6) {
        0 => deeds.extend(torn_state(&mut random)),
        1 => deeds.extend(lost_and_moved(&mut random)),
        2 => deeds.extend(given_up_epoch(&mut random)),
        _ => {}
    }
    if random.random_ratio(1, 2) {
        let at = Millis(random.random_range(HEALED.0..LAST.0));
        deeds.push((at, loss(&mut random)));
    }
    for _ in 0..random.random_range(0..=2) {
        let at = Millis(random.random_range(CALM.0..HEALED.0));
        deeds.push((at, Deed::Do(errand(&mut random))));
    }
    surroundings(seed, &mut deeds);
    deeds.extend(drains(seed));
    deeds.extend(overwrites(seed));
    deeds.extend(masters.faults(seed));
    deeds.sort_by_key(|(at, _)| *at);
    deeds
}

/// Faults of surroundings, with chances of their own: the schedules without them stay what they are.
fn surroundings(seed: u64, deeds: &mut Vec<(Millis, Deed)>) {
    let mut random = StdRng::seed_from_u64(!seed);
    for _ in 0..[0, 0, 1, 2][random.random_range(0..4)] {
        let begin = Millis(random.random_range(CALM.0..HEALED.0 - 1_000));
        let end = Millis(random.random_range(begin.0 + 300..=HEALED.0));
        let kol = random.random_range(1..KOLS);
        let partition = random.random_range(0..PARTITIONS);
        let executor = *EXECUTORS.choose(&mut random).unwrap_or(&EXECUTORS[0]);
        match random.random_range(0..8) {
            0 => deeds.push((begin, Deed::Lose(Key::Ranking))),
            1 => deeds.push((begin, Deed::Lose(Key::Hash(kol)))),
            2 => deeds.push((begin, Deed::Lose(Key::Slots))),
            3 => deeds.push((begin, Deed::Lose(Key::Fence(partition)))),
            4 => deeds.extend([(begin, Deed::Spoil(kol)), (end, Deed::Clear(kol))]),
            5 => deeds.extend([
                (begin, Deed::Hide(executor, true)),
                (end, Deed::Hide(executor, false)),
            ]),
            _ => {
                let records = random.random_range(1..MOST_CUT);
                let elects = random.random();
                deeds.push((begin, Deed::Cut(partition, records, elects)));
                if !elects {
                    // It grows again before anybody can look.
                    deeds.extend([(begin, Deed::Away(true)), (end, Deed::Away(false))]);
                }
            }
        }
    }
}

/// Executors are drained, and most of them are given partitions again; with chances of their own, too.
fn drains(seed: u64) -> Vec<(Millis, Deed)> {
    let mut random = StdRng::seed_from_u64(seed ^ SALT);
    let mut deeds = Vec::new();
    for _ in 0..[0, 0, 1, 2][random.random_range(0..4)] {
        let executor = *EXECUTORS.choose(&mut random).unwrap_or(&EXECUTORS[0]);
        let begin = random.random_range(CALM.0..HEALED.0 - 1_000);
        deeds.push((Millis(begin), Deed::Do(Errand::Drain(executor))));
        if random.random_ratio(2, 3) {
            let end = random.random_range(begin + 100..=HEALED.0);
            deeds.push((Millis(end), Deed::Do(Errand::CancelDrain(executor))));
        }
    }
    deeds
}

/// Somebody writes over what Redis shows of creators; with chances of their own, too.
fn overwrites(seed: u64) -> Vec<(Millis, Deed)> {
    let mut random = StdRng::seed_from_u64(seed ^ SALT_OF_OVERWRITES);
    let deeds = [0, 0, 1, 2][random.random_range(0..4)];
    let mut deed = || {
        let at = Millis(random.random_range(CALM.0..LAST.0));
        (at, Deed::Overwrite(random.random_range(1..KOLS)))
    };
    (0..deeds).map(|_| deed()).collect()
}

/// The newest state of a partition is damaged, and soon nobody has it in memory.
fn torn_state(random: &mut StdRng) -> [(Millis, Deed); 3] {
    let all = [Damage::Flipped, Damage::CutOff, Damage::Deleted];
    let how = *all.choose(random).unwrap_or(&all[0]);
    then_crash(random, 500, |executor| Deed::Tear(executor, how))
}

/// Redis loses data, and soon there is a new owner, who never saw what is lost.
fn lost_and_moved(random: &mut StdRng) -> [(Millis, Deed); 3] {
    let lost = loss(random);
    then_crash(random, 600, |_| lost)
}

/// An epoch is given up that some partitions had acknowledged, and later state is read back.
fn given_up_epoch(random: &mut StdRng) -> [(Millis, Deed); 3] {
    then_crash(random, 3_000, |_| Deed::Store(Mood::FailsOnce))
}

/// A deed, and soon an executor dies.
fn then_crash(
    random: &mut StdRng,
    within_ms: u64,
    first: impl FnOnce(&'static str) -> Deed,
) -> [(Millis, Deed); 3] {
    let begin = random.random_range(CALM.0 + 1_000..HEALED.0 - 3_000);
    let crash = begin + random.random_range(5..within_ms);
    let executor = *EXECUTORS.choose(random).unwrap_or(&EXECUTORS[0]);
    [
        (Millis(begin), first(executor)),
        (Millis(crash), Deed::Crash(executor)),
        (Millis(crash + 2_000), Deed::Restart(executor)),
    ]
}

fn loss(random: &mut StdRng) -> Deed {
    if random.random() {
        Deed::Empty
    } else {
        Deed::FailOver(Millis(random.random_range(50..2_000)))
    }
}

fn errand(random: &mut StdRng) -> Errand {
    let at_once = random.random();
    match random.random_range(0..7) {
        0 => Errand::Savepoint,
        1 => Errand::BackToSavepoint,
        2 => Errand::RewindToEpoch { at_once },
        3 => Errand::RewindToEarliest { at_once },
        4 => Errand::StopAndGoOn,
        5 => Errand::Replace,
        _ => Errand::RollBack,
    }
}

/// What begins a fault, and what ends it.
fn fault(random: &mut StdRng, time: Millis, slow: &'static str) -> (Deed, Option<Deed>) {
    let executor = *EXECUTORS.choose(random).unwrap_or(&EXECUTORS[0]);
    let link = *LINKS.choose(random).unwrap_or(&LINKS[0]);
    match random.random_range(0..19) {
        0 | 1 => (Deed::Crash(executor), Some(Deed::Restart(executor))),
        2 => (Deed::Crash("master"), Some(Deed::Restart("master"))),
        3 => (Deed::Crash("redis"), Some(Deed::Restart("redis"))),
        4 => (Deed::Leave(executor), Some(Deed::Restart(executor))),
        5 | 6 => (Deed::Hold(link), Some(Deed::Release(link))),
        7 | 8 => (Deed::Sever(link), Some(Deed::Mend(link))),
        9 => {
            let latency = Duration::from_millis(random.random_range(100..1_000));
            let usual = Duration::from_millis(5);
            (Deed::Slow(link, latency), Some(Deed::Slow(link, usual)))
        }
        10 | 11 => (loss(random), None),
        12 => (Deed::Freeze(time), None),
        13 => (Deed::Repeats(true), Some(Deed::Repeats(false))),
        14 => {
            let slow = Mood::Slow(Duration::from_millis(random.random_range(200..4_000)));
            let mood = *[slow, Mood::Failing].choose(random).unwrap_or(&slow);
            (Deed::Store(mood), Some(Deed::Store(Mood::Well)))
        }
        15 => (Deed::Away(true), Some(Deed::Away(false))),
        16 | 17 => {
            let host = if random.random() { MASTER } else { executor };
            let steps = if host == slow {
                &STEPS[..]
            } else {
                &STEPS[1..]
            };
            let step = *steps.choose(random).unwrap_or(&STEPS[1]);
            (Deed::SetClock(host, step), Some(Deed::SetClock(host, 0)))
        }
        _ => (Deed::Ahead(random.random_range(0..PARTITIONS)), None),
    }
}
