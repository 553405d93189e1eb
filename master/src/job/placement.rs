//! Which executor should have which partition: a pure function of what partitions take and executors have.
//!
//! 1. Sticky: a partition stays where it is, unless its holder may have none, or rule 4 moves it.
//! 2. A partition without a place goes where that is the least full with it, heaviest first; among equals to the
//!    executor with the fewest partitions, then to the lower id: the same input always gives the same plan.
//! 3. Before that counts where it failed lately: another zone comes before another host, and that before the same host.
//! 4. Balanced: a partition moves to another executor if that is, with it, still at least a tenth less full than the
//!    present one is with it, and the present one becomes less full. What an executor is given in this way must together be
//!    a tenth of what executors have on average, or it is left.
//!
//! By rule 4 the executors' fills, sorted, the fullest first, become smaller with each move: so moves end, and loads that
//! change by less than a twentieth bring no partition back.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use kol_common::ExecutorId;

use super::load::{Load, Room};

/// How much less full, and how much of the average, in percent: see rule 4.
const GAIN: u64 = 10;

/// Where an executor is, as far as failures are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Name of its host.
    pub host: String,
    /// What the host fails together with; empty where nobody said.
    pub zone: String,
}

/// How close an executor is to where a partition failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Near {
    Elsewhere,
    SameZone,
    SameHost,
}

/// One partition that may be placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Movable {
    /// Its number within the job.
    pub ordinal: u32,
    /// Who has it and may keep it; `None` when it needs a place.
    pub holder: Option<ExecutorId>,
    /// What it takes.
    pub load: Load,
    /// Where it failed lately.
    pub failed: Vec<Site>,
}

/// One executor that may have partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// What it has.
    pub room: Room,
    /// What the partitions of other jobs take there.
    pub others: Load,
    /// Where it is.
    pub site: Site,
}

/// A move for balance: from whom, and how full the two were before it and are after it, in millionths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relief {
    /// Who had it.
    pub from: ExecutorId,
    /// How full that executor was.
    pub before: u64,
    /// How full the other one is with it.
    pub with: u64,
}

/// What would move a partition from where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// Where it would go.
    pub executor: ExecutorId,
    /// How full that one would be with it.
    pub with: u64,
    /// How full the present one must be for that.
    pub needs: u64,
}

/// Who should have what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The executor that each partition should be on, by ordinal; empty when there are no executors.
    pub targets: BTreeMap<u32, ExecutorId>,
    /// Why those move that could stay.
    pub reliefs: BTreeMap<u32, Relief>,
    seats: BTreeMap<ExecutorId, Taken>,
    partitions: BTreeMap<u32, Movable>,
}

#[derive(Clone, Debug)]
struct Taken {
    seat: Seat,
    load: Load,
    count: usize,
}

impl Taken {
    fn fill(&self) -> u64 {
        self.seat.room.fill(self.load)
    }

    fn with(&self, load: Load) -> u64 {
        self.seat.room.fill(self.load + load)
    }

    fn without(&self, load: Load) -> u64 {
        self.seat.room.fill(self.load - load)
    }

    fn near(&self, partition: &Movable) -> Near {
        let near = |failed: &Site| {
            let site = &self.seat.site;
            if failed.host == site.host {
                Near::SameHost
            } else if failed.zone == site.zone && !site.zone.is_empty() {
                Near::SameZone
            } else {
                Near::Elsewhere
            }
        };
        let sites = partition.failed.iter().map(near);
        sites.max().unwrap_or(Near::Elsewhere)
    }
}

/// The plan for these partitions on these executors. A holder that is not among them loses its partitions. Unless
/// `balances` nothing moves that can stay.
pub fn place(
    partitions: Vec<Movable>,
    executors: BTreeMap<ExecutorId, Seat>,
    balances: bool,
) -> Plan {
    let seats = executors.into_iter().map(|(id, seat)| {
        let (load, count) = (seat.others, 0);
        (id, Taken { seat, load, count })
    });
    let mut plan = Plan {
        targets: BTreeMap::new(),
        reliefs: BTreeMap::new(),
        seats: seats.collect(),
        partitions: partitions.into_iter().map(|p| (p.ordinal, p)).collect(),
    };
    plan.keep();
    plan.house();
    if balances {
        plan.balance();
    }
    plan
}

impl Plan {
    /// Partitions stay where they are, by rule 1.
    fn keep(&mut self) {
        for (ordinal, partition) in &self.partitions {
            let holder = partition.holder.as_ref();
            if let Some(holder) = holder.filter(|h| self.seats.contains_key(*h)) {
                self.targets.insert(*ordinal, holder.clone());
                put(&mut self.seats, holder, partition.load);
            }
        }
    }

    /// Rules 2 and 3.
    fn house(&mut self) {
        let homeless = self.partitions.values();
        let mut homeless: Vec<_> = homeless
            .filter(|p| !self.targets.contains_key(&p.ordinal))
            .collect();
        homeless.sort_by_key(|p| (Reverse(p.load), p.ordinal));
        for partition in homeless {
            let best = self.seats.iter().min_by_key(|(id, taken)| {
                let fill = taken.with(partition.load);
                (taken.near(partition), fill, taken.count, *id)
            });
            let Some(best) = best.map(|(id, _)| id.clone()) else {
                return;
            };
            put(&mut self.seats, &best, partition.load);
            self.targets.insert(partition.ordinal, best);
        }
    }

    /// Rule 4, until nothing moves any more.
    fn balance(&mut self) {
        if self.best_move(&BTreeSet::new()).is_none() {
            return;
        }
        let start = self.clone();
        while let Some(moved) = self.relieved(&start) {
            *self = moved;
        }
    }

    /// After all moves that there are, without those to executors that would be given too little since the `start`;
    /// `None` if nothing is left of them.
    fn relieved(&self, start: &Self) -> Option<Self> {
        let mut left = BTreeSet::new();
        loop {
            let mut moved = self.clone();
            moved.relieve(&left);
            let too_little = moved.given_too_little(start);
            if too_little.is_empty() {
                return (moved.targets != self.targets).then_some(moved);
            }
            let known = left.len();
            left.extend(too_little);
            if left.len() == known {
                return None;
            }
        }
    }

    /// Moves as long as there is a move, to others than those that are `left`.
    fn relieve(&mut self, left: &BTreeSet<ExecutorId>) {
        while let Some((ordinal, to, relief)) = self.best_move(left) {
            let Some(load) = self.partitions.get(&ordinal).map(|p| p.load) else {
                return;
            };
            if let Some(giver) = self.seats.get_mut(&relief.from) {
                giver.load = giver.load - load;
                giver.count -= 1;
            }
            put(&mut self.seats, &to, load);
            self.targets.insert(ordinal, to);
            self.reliefs.entry(ordinal).or_insert(relief);
        }
    }

    /// From the fullest executor that has something to give, to the emptiest that takes it; of its partitions the one
    /// after which the fuller of the two is the least full.
    fn best_move(&self, left: &BTreeSet<ExecutorId>) -> Option<(u32, ExecutorId, Relief)> {
        let mut by_fill: Vec<_> = self.seats.iter().map(|(id, t)| (t.fill(), id, t)).collect();
        by_fill.sort_by_key(|(fill, id, _)| (*fill, *id));
        let mut held: BTreeMap<&ExecutorId, Vec<u32>> = BTreeMap::new();
        for (ordinal, holder) in &self.targets {
            held.entry(holder).or_default().push(*ordinal);
        }
        for (before, from, giver) in by_fill.iter().rev() {
            for (fill, to, taker) in &by_fill {
                if !is_gain(*fill, *before) {
                    break;
                }
                if left.contains(*to) {
                    continue;
                }
                let mine = held.get(*from).into_iter().flatten();
                let moves = mine.filter_map(|ordinal| {
                    let partition = self.partitions.get(ordinal)?;
                    let with = taker.with(partition.load);
                    let without = giver.without(partition.load);
                    let nearer = taker.near(partition) > giver.near(partition);
                    let gains = is_gain(with, *before) && without < *before && !nearer;
                    gains.then_some((with.max(without), *ordinal, with))
                });
                if let Some((_, ordinal, with)) = moves.min() {
                    let relief = Relief {
                        from: (*from).clone(),
                        before: *before,
                        with,
                    };
                    return Some((ordinal, (*to).clone(), relief));
                }
            }
        }
        None
    }

    /// Those that were given something since `before`, and too little for that.
    fn given_too_little(&self, before: &Self) -> Vec<ExecutorId> {
        let fills = before.seats.values().map(|t| u128::from(t.fill()));
        let average = fills.sum::<u128>() / before.seats.len().max(1) as u128;
        let moved = self.targets.iter();
        let moved = moved.filter(|(ordinal, to)| before.targets.get(ordinal) != Some(to));
        let mut given: BTreeMap<&ExecutorId, Load> = BTreeMap::new();
        for (ordinal, to) in moved {
            let load = self.partitions.get(ordinal).map(|p| p.load);
            let sum = given.entry(to).or_default();
            *sum = *sum + load.unwrap_or_default();
        }
        let little = |(id, load): &(&ExecutorId, Load)| {
            let fill = self.seats.get(*id).map_or(0, |t| t.seat.room.fill(*load));
            u128::from(fill) * 100 < average * u128::from(GAIN)
        };
        let given = given.into_iter().filter(little);
        given.map(|(id, _)| id.clone()).collect()
    }

    /// How full an executor is by this plan.
    pub fn fill(&self, executor: &ExecutorId) -> Option<u64> {
        self.seats.get(executor).map(Taken::fill)
    }

    /// How full an executor is with nothing but one partition.
    pub fn fill_of(&self, ordinal: u32, executor: &ExecutorId) -> Option<u64> {
        let load = self.partitions.get(&ordinal)?.load;
        Some(self.seats.get(executor)?.seat.room.fill(load))
    }

    /// Whether any executor may have partitions.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// What would move a partition from where the plan has it; `None` if no load of that executor would.
    pub fn alternative(&self, ordinal: u32) -> Option<Alternative> {
        let partition = self.partitions.get(&ordinal)?;
        let here = self.targets.get(&ordinal)?;
        let near = self.seats.get(here)?.near(partition);
        let others = self.seats.iter();
        let others = others.filter(|(id, taken)| *id != here && taken.near(partition) <= near);
        let with = others.map(|(id, taken)| (taken.with(partition.load), id));
        let (with, executor) = with.min()?;
        Some(Alternative {
            executor: executor.clone(),
            with,
            needs: with.saturating_mul(100).div_ceil(100 - GAIN),
        })
    }
}

/// Whether an executor that is `with` full is so much less full than one that is `before` full.
fn is_gain(with: u64, before: u64) -> bool {
    u128::from(with) * 100 <= u128::from(before) * u128::from(100 - GAIN)
}

fn put(seats: &mut BTreeMap<ExecutorId, Taken>, executor: &ExecutorId, load: Load) {
    if let Some(taken) = seats.get_mut(executor) {
        taken.load = taken.load + load;
        taken.count += 1;
    }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
