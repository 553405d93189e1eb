//! A reader that looks at Redis after every command. Only where Redis itself lost data may it see one of
//! these broken, and the first one by a partition whose log lost its tail:
//!
//! 1. Within a generation no slot goes back, neither its window end nor, at one window end, what it
//!    counts.
//! 2. A hash is of one generation, in all its slots, and never of an older one than before.
//! 3. A ranking is of one generation, in all its entries, and never of an older one than before.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::scoring::{Slot, unpack_slots};

use super::redis::Db;

/// Problems that are kept.
const MOST: usize = 20;

/// What the reader saw last.
#[derive(Debug, Default)]
pub struct Watch {
    /// Packed slots of each creator, so that only what changed is looked at.
    packed: BTreeMap<Vec<u8>, Vec<u8>>,
    /// By creator, partition and generation.
    seen: BTreeMap<(Vec<u8>, u32, u32), Slot>,
    /// The newest generation of each hash and ranking.
    generations: BTreeMap<Vec<u8>, u64>,
    /// Slots of a partition whose fence record Redis lost, as they were then: the next owner may write one that is older.
    unguarded: BTreeMap<(Vec<u8>, u32, u32), Slot>,
    /// Partitions whose log lost its tail.
    cut: BTreeSet<u32>,
    problems: Vec<String>,
}

impl Watch {
    /// Compares with what was seen before.
    pub fn look(&mut self, db: &Db) {
        for (key, packed, generation) in db.slots() {
            if self.packed.get(&key).is_none_or(|before| before != packed) {
                self.look_at_hash(&key, packed, generation);
                self.packed.insert(key, packed.to_vec());
            }
        }
        for (key, oldest, newest) in db.writers("ranking:") {
            if oldest != newest {
                let name = String::from_utf8_lossy(key);
                self.problem(format!("{name} is of generations {oldest} to {newest}"));
            }
            self.look_at_generation(key, newest);
        }
    }

    fn look_at_hash(&mut self, key: &[u8], packed: &[u8], generation: &[u8]) {
        let name = String::from_utf8_lossy(key).into_owned();
        let Ok(slots) = unpack_slots(packed) else {
            return self.problem(format!("{name}: slots that cannot be read"));
        };
        let named = std::str::from_utf8(generation).ok();
        let named: u64 = named.and_then(|g| g.parse().ok()).unwrap_or_default();
        self.look_at_generation(key, named);
        for slot in slots {
            if u64::from(slot.generation) != named {
                self.problem(format!("{name} of generation {named} has {slot:?}"));
            }
            let id = (key.to_vec(), slot.partition, slot.generation);
            if self.unguarded.get(&id) == Some(&slot) {
                continue;
            }
            self.unguarded.remove(&id);
            if let Some(before) = self.seen.insert(id, slot)
                && goes_back(&before, &slot)
                && !self.cut.contains(&slot.partition)
            {
                self.problem(format!("{name} went back from {before:?} to {slot:?}"));
            }
        }
    }

    fn look_at_generation(&mut self, key: &[u8], now: u64) {
        let Some(before) = self.generations.get_mut(key) else {
            self.generations.insert(key.to_vec(), now);
            return;
        };
        let was = std::mem::replace(before, now.max(*before));
        if now < was {
            let name = String::from_utf8_lossy(key);
            self.problem(format!("{name} went back from generation {was} to {now}"));
        }
    }

    /// From here on everything may be seen again.
    pub fn data_was_lost(&mut self) {
        self.unguarded.clear();
        self.forget();
    }

    fn forget(&mut self) {
        self.packed.clear();
        self.seen.clear();
        self.generations.clear();
    }

    /// The fence record of a partition is gone: until the next owner has written a slot, nothing keeps it from writing
    /// one that is older than what is there.
    pub fn fence_was_lost(&mut self, partition: u32) {
        let of_partition = self.seen.iter().filter(|((_, of, _), _)| *of == partition);
        let slots = of_partition.map(|(id, slot)| (id.clone(), *slot));
        self.unguarded.extend(slots.collect::<Vec<_>>());
        self.forget();
    }

    /// The log of a partition lost its tail.
    pub fn log_was_cut(&mut self, partition: u32) {
        self.cut.insert(partition);
    }

    /// What it should not have seen.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    fn problem(&mut self, what: String) {
        if self.problems.len() < MOST {
            self.problems.push(what);
        }
    }
}

fn goes_back(before: &Slot, now: &Slot) -> bool {
    if now.window_end != before.window_end {
        return now.window_end < before.window_end;
    }
    now.engagement_e6 < before.engagement_e6
        || now.events < before.events
        || now.previous_engagement_e6 < before.previous_engagement_e6
        || now.previous_events < before.previous_events
}
