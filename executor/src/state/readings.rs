//! The last reading of every video and profile of a partition.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use kol_common::checkpoint::{FallenRecord, ReadingRecord, Record, VideoId};

use super::changes::Changes;
use super::kols::KolIndex;

/// A counter that no reading has shown yet.
pub const MISSING: u64 = u64::MAX;

/// One observation of an entity's lifetime counters: likes, comments, shares and views of a video;
/// followers (first place) of a profile. Fills one cache line.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    entity: EntityKey,
    /// Event time of the newest reading, ms.
    pub time: u64,
    /// Counters, [`MISSING`] where none was seen.
    pub counters: [u64; 4],
    kol: KolIndex,
    /// Bit i: the newest reading that had counter i showed less than half of it, and was not believed.
    fallen: u8,
}

impl Reading {
    /// A baseline: nothing that was known of the counters counts any more.
    pub fn begin(&mut self, counters: [u64; 4]) {
        self.counters = counters;
        self.fallen = 0;
    }

    /// Takes the counters of a newer reading over: what each gained.
    ///
    /// A counter below half of its last value is not believed, as if it were missing, unless the
    /// reading before that had it showed so, too: then it is the last value from now on, without a
    /// gain (`docs/protocol/scoring.md`, "Missing counters and falling counters").
    pub fn advance(&mut self, now: [u64; 4]) -> [u64; 4] {
        let mut gains = [0; 4];
        for (i, (last, now)) in self.counters.iter_mut().zip(now).enumerate() {
            if now == MISSING {
                continue;
            }
            let mark = 1 << i;
            let falls = *last != MISSING && now < last.div_ceil(2);
            if falls && self.fallen & mark == 0 {
                self.fallen |= mark;
                continue;
            }
            self.fallen &= !mark;
            if *last != MISSING {
                gains[i] = now.saturating_sub(*last);
            }
            *last = now;
        }
        gains
    }
}

/// An entity in 16 bytes: the upper byte says how to read the rest. Videos of the large platforms
/// have ids of 19 digits or of 11 characters; both fit, longer ones are interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct EntityKey(u128);

/// What a reading is of, apart from its KOL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity<'a> {
    /// The KOL itself.
    Profile,
    /// A video with an id that fits a key.
    Key(u128),
    /// Another video.
    Long(&'a str),
}

const PROFILE: u128 = 0;
const DIGITS: u128 = 1 << 120;
const SHORT: u128 = 2 << 120;
const LONG: u128 = 3 << 120;
const FREE: u128 = 4 << 120;
/// Longest id that fits beside its length.
const SHORT_LEN: usize = 14;

/// All readings of a partition.
#[derive(Debug, Default)]
pub struct Readings {
    table: HashTable<u32>,
    hasher: RandomState,
    list: Vec<Reading>,
    free: Vec<u32>,
    long: LongIds,
    sweep_at: usize,
    changes: Changes,
}

/// Ids that do not fit a key, counted by the readings that use them.
#[derive(Debug, Default)]
struct LongIds {
    numbers: HashMap<Box<str>, u32, RandomState>,
    texts: Vec<(Box<str>, u32)>,
    free: Vec<u32>,
    /// Bytes of all texts; each is there twice.
    text_bytes: usize,
}

impl Readings {
    /// Index of the reading of an entity (`None` = the KOL's profile), if there is one.
    pub fn find(&self, kol: KolIndex, video: Option<&str>) -> Option<u32> {
        let entity = self.key(video)?;
        let hash = self.hasher.hash_one((kol, entity));
        let list = &self.list;
        let same = |&i: &u32| list[i as usize].kol == kol && list[i as usize].entity == entity;
        self.table.find(hash, same).copied()
    }

    /// The reading at an index.
    pub fn get(&self, index: u32) -> &Reading {
        &self.list[index as usize]
    }

    /// The reading at an index, to change it; a capture's copy goes to `copies` first.
    pub fn change(&mut self, index: u32, copies: &mut Vec<u8>) -> &mut Reading {
        if self.changes.note(index) {
            self.copy(index, copies);
        }
        &mut self.list[index as usize]
    }

    /// Adds the first reading of an entity that `find` did not find.
    pub fn insert(
        &mut self,
        kol: KolIndex,
        video: Option<&str>,
        time: u64,
        counters: [u64; 4],
        copies: &mut Vec<u8>,
    ) {
        let entity = match self.key(video) {
            Some(key) if key.0 & (7 << 120) != LONG => key,
            _ => EntityKey(LONG | u128::from(self.long.hold(video.unwrap_or_default()))),
        };
        let reading = Reading {
            entity,
            time,
            counters,
            kol,
            fallen: 0,
        };
        let index = if let Some(index) = self.free.pop() {
            self.list[index as usize] = reading;
            index
        } else {
            self.list.push(reading);
            self.list.len() as u32 - 1
        };
        if self.changes.note(index) {
            // Its place was free when the capture began.
            Record::NoReading(index).append(copies);
        }
        self.enter(index);
    }

    fn enter(&mut self, index: u32) {
        let (list, hasher) = (&self.list, &self.hasher);
        let hash = |&i: &u32| {
            let r = &list[i as usize];
            hasher.hash_one((r.kol, r.entity))
        };
        self.table.insert_unique(hash(&index), index, hash);
    }

    /// Looks at the next `count` readings and drops those not newer than `dead_before`.
    pub fn sweep(&mut self, count: usize, dead_before: u64, copies: &mut Vec<u8>) {
        for _ in 0..count.min(self.list.len()) {
            self.sweep_at = (self.sweep_at + 1) % self.list.len();
            let reading = self.list[self.sweep_at];
            if reading.entity.0 != FREE && reading.time < dead_before {
                let index = self.sweep_at as u32;
                if self.changes.note(index) {
                    self.copy(index, copies);
                }
                self.remove(index, reading);
            }
        }
    }

    /// What changed, for captures.
    pub fn changes(&mut self) -> &mut Changes {
        &mut self.changes
    }

    /// One past the largest index in use.
    pub fn bound(&self) -> u32 {
        self.list.len() as u32
    }

    /// Appends the record of a reading as it stands.
    pub fn copy(&self, index: u32, copies: &mut Vec<u8>) {
        let reading = &self.list[index as usize];
        let key = reading.entity.0;
        if key == FREE {
            return Record::NoReading(index).append(copies);
        }
        let text;
        let video = match key & (7 << 120) {
            PROFILE => None,
            DIGITS => Some(VideoId::Number(key as u64)),
            _ => {
                text = self.text(reading.entity);
                Some(VideoId::Text(text.as_str().into()))
            }
        };
        let record = ReadingRecord {
            index,
            kol: reading.kol,
            video,
            time: reading.time,
            counters: reading.counters.map(|c| (c != MISSING).then_some(c)),
        };
        let record = match reading.fallen {
            0 => Record::Reading(record),
            fallen => Record::FallenReading(FallenRecord {
                reading: record,
                fallen,
            }),
        };
        record.append(copies);
    }

    /// Puts what a record says in its place.
    pub fn restore(&mut self, index: u32, record: Option<(&ReadingRecord<'_>, u8)>) {
        let at = index as usize;
        if at >= self.list.len() {
            let free = Reading {
                entity: EntityKey(FREE),
                time: 0,
                counters: [MISSING; 4],
                kol: 0,
                fallen: 0,
            };
            let first = self.list.len() as u32;
            self.list.resize(at + 1, free);
            // Free until a record says otherwise.
            self.free.extend(first..=index);
        }
        let before = self.list[at];
        if before.entity.0 != FREE {
            self.remove(index, before);
        }
        let Some((record, fallen)) = record else {
            return;
        };
        let number;
        let video = match &record.video {
            None => None,
            Some(VideoId::Text(text)) => Some(&**text),
            Some(VideoId::Number(id)) => {
                number = id.to_string();
                Some(number.as_str())
            }
        };
        let entity = match self.key(video) {
            Some(key) if key.0 & (7 << 120) != LONG => key,
            _ => EntityKey(LONG | u128::from(self.long.hold(video.unwrap_or_default()))),
        };
        self.list[at] = Reading {
            entity,
            time: record.time,
            counters: record.counters.map(|c| c.unwrap_or(MISSING)),
            kol: record.kol,
            fallen,
        };
        self.enter(index);
    }

    /// The records of a file were put in place: indexes that were free in between and no longer are, are not.
    pub fn settle(&mut self) {
        self.free.sort_unstable();
        self.free.dedup();
        self.free
            .retain(|index| self.list[*index as usize].entity.0 == FREE);
    }

    /// The readings of one KOL with their video ids (empty = profile), of those at these indexes.
    pub fn of_kol(
        &self,
        kol: KolIndex,
        indexes: std::ops::Range<usize>,
    ) -> impl Iterator<Item = (String, &Reading)> {
        let end = indexes.end.min(self.list.len());
        self.list[indexes.start.min(end)..end]
            .iter()
            .filter(move |r| r.kol == kol && r.entity.0 != FREE)
            .map(|r| (self.text(r.entity), r))
    }

    /// What the reading at an index is of; `None` where there is none.
    pub fn entity(&self, index: u32) -> Option<(KolIndex, Entity<'_>)> {
        let reading = self.list.get(index as usize)?;
        let key = reading.entity.0;
        let entity = match key & (7 << 120) {
            PROFILE => Entity::Profile,
            DIGITS | SHORT => Entity::Key(key),
            LONG => Entity::Long(&self.long.texts[key as u32 as usize].0),
            _ => return None,
        };
        Some((reading.kol, entity))
    }

    /// The video id of the reading at an index; empty for a profile.
    pub fn video(&self, index: u32) -> String {
        self.text(self.list[index as usize].entity)
    }

    /// How many entities have a reading.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Memory held, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<Reading>()
            + self.table.capacity() * 5
            + self.changes.bytes()
            + self.free.capacity() * size_of::<u32>()
            + self.long.bytes()
    }

    fn remove(&mut self, index: u32, reading: Reading) {
        let hash = self.hasher.hash_one((reading.kol, reading.entity));
        if let Ok(entry) = self.table.find_entry(hash, |&i| i == index) {
            entry.remove();
        }
        if reading.entity.0 & (7 << 120) == LONG {
            self.long.release(reading.entity.0 as u32);
        }
        self.list[index as usize].entity = EntityKey(FREE);
        self.free.push(index);
    }

    /// The key of an entity; `None` for a long id that nobody holds.
    fn key(&self, video: Option<&str>) -> Option<EntityKey> {
        let Some(id) = video else {
            return Some(EntityKey(PROFILE));
        };
        if let Some(number) = digits(id) {
            return Some(EntityKey(DIGITS | u128::from(number)));
        }
        if id.len() <= SHORT_LEN {
            let mut bytes = [0; 16];
            bytes[..id.len()].copy_from_slice(id.as_bytes());
            bytes[14] = id.len() as u8;
            return Some(EntityKey(SHORT | u128::from_le_bytes(bytes)));
        }
        let number = self.long.numbers.get(id)?;
        Some(EntityKey(LONG | u128::from(*number)))
    }

    fn text(&self, key: EntityKey) -> String {
        match key.0 & (7 << 120) {
            DIGITS => (key.0 as u64).to_string(),
            SHORT => {
                let bytes = key.0.to_le_bytes();
                let length = usize::from(bytes[14]).min(SHORT_LEN);
                String::from_utf8_lossy(&bytes[..length]).into_owned()
            }
            LONG => self.long.texts[key.0 as u32 as usize].0.to_string(),
            _ => String::new(),
        }
    }
}

impl LongIds {
    fn bytes(&self) -> usize {
        // Of each text the allocator and the table keep some words.
        2 * self.text_bytes + self.texts.capacity() * 24 + self.numbers.capacity() * 48
    }

    fn hold(&mut self, id: &str) -> u32 {
        if let Some(&number) = self.numbers.get(id) {
            self.texts[number as usize].1 += 1;
            return number;
        }
        self.text_bytes += id.len();
        let number = if let Some(number) = self.free.pop() {
            self.texts[number as usize] = (id.into(), 1);
            number
        } else {
            self.texts.push((id.into(), 1));
            self.texts.len() as u32 - 1
        };
        self.numbers.insert(id.into(), number);
        number
    }

    fn release(&mut self, number: u32) {
        let (text, uses) = &mut self.texts[number as usize];
        *uses -= 1;
        if *uses == 0 {
            self.numbers.remove(text);
            self.text_bytes -= text.len();
            *text = "".into();
            self.free.push(number);
        }
    }
}

/// A decimal number that is written in its one canonical way, so that text and number are the same
/// id.
fn digits(id: &str) -> Option<u64> {
    let bytes = id.as_bytes();
    let canonical = match bytes {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 19 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { id.parse().ok() } else { None }
}

#[cfg(test)]
#[path = "readings_tests.rs"]
mod tests;
