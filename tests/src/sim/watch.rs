//! A reader that looks at Redis after every command: within a generation no slot may go back, neither
//! its window end nor, at one window end, what it counts. Only where Redis itself lost data may it.

use std::collections::BTreeMap;

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
    problems: Vec<String>,
}

impl Watch {
    /// Compares with what was seen before.
    pub fn look(&mut self, db: &Db) {
        for (key, packed) in db.slots() {
            if self.packed.get(key).is_some_and(|before| before == packed) {
                continue;
            }
            self.packed.insert(key.to_vec(), packed.to_vec());
            let name = String::from_utf8_lossy(key).into_owned();
            let Ok(slots) = unpack_slots(packed) else {
                self.problem(format!("{name}: slots that cannot be read"));
                continue;
            };
            for slot in slots {
                let id = (key.to_vec(), slot.partition, slot.generation);
                if let Some(before) = self.seen.insert(id, slot)
                    && goes_back(&before, &slot)
                {
                    self.problem(format!("{name} went back from {before:?} to {slot:?}"));
                }
            }
        }
    }

    /// From here on everything may be seen anew.
    pub fn data_was_lost(&mut self) {
        self.packed.clear();
        self.seen.clear();
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
