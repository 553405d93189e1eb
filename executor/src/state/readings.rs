//! The last reading of every video and profile of a partition.

use std::hash::BuildHasher as _;

use kol_common::checkpoint::{CarriedRecord, FallenRecord, ReadingRecord, Record, VideoId};

use super::changes::Changes;
use super::consumers::KolIndex;
use super::index::{Index, Table};
use super::long_ids::LongIds;
use super::prefetch::prefetch;
use super::rates::{Rate, Rates};
use super::reading::{Entity, EntityKey, Kind, MISSING, Reading};
use super::seed::Seeded;
use super::slab::Slab;

/// All readings of a partition.
#[derive(Debug, Default)]
pub struct Readings {
    index: Index,
    hasher: Seeded,
    list: Slab<Reading>,
    free: Vec<u32>,
    long: LongIds,
    sweep_at: u32,
    rates: Rates,
    changes: Changes,
}

impl Table for (&Slab<Reading>, &Seeded) {
    fn hash_of(&self, index: u32) -> u64 {
        let reading = &self.0[index];
        self.1.hash_one((reading.kol, reading.entity))
    }

    fn prefetch(&self, index: u32) {
        prefetch(&self.0[index]);
    }
}

impl Readings {
    /// Index of the reading of an entity of a KOL, if there is one.
    #[inline]
    pub fn find(&self, kol: KolIndex, entity: Entity<'_>) -> Option<u32> {
        let entity = self.key(entity)?;
        let hash = self.hasher.hash_one((kol, entity));
        self.index.find(hash, |i| self.list[i].is_of(kol, entity))
    }

    /// By what an entity of a KOL is found; `None` if it has no reading.
    #[inline]
    pub fn hash(&self, kol: KolIndex, entity: Entity<'_>) -> Option<u64> {
        Some(self.hasher.hash_one((kol, self.key(entity)?)))
    }

    /// See [`Index::prefetch`].
    #[inline]
    pub fn prefetch_index(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// See [`Index::guess`].
    #[inline]
    pub fn guess(&self, hash: u64) -> Option<u32> {
        self.index.guess(hash)
    }

    /// Whether an index is that of the reading of an entity of a KOL.
    #[inline]
    pub fn is(&self, index: u32, kol: KolIndex, entity: Entity<'_>) -> bool {
        let entity = self.key(entity);
        entity.is_some_and(|entity| self.list[index].is_of(kol, entity))
    }

    /// The key of an entity; `None` for a long id that nobody holds.
    #[inline]
    fn key(&self, entity: Entity<'_>) -> Option<EntityKey> {
        Some(match entity {
            Entity::Profile => EntityKey::PROFILE,
            Entity::Key(key) => EntityKey::of_key(key),
            Entity::Long(id) => EntityKey::long(self.long.find(id)?),
        })
    }

    /// The reading at an index.
    pub fn get(&self, index: u32) -> &Reading {
        &self.list[index]
    }

    /// The reading at an index, to change it; a capture's copy goes to `copies` first.
    #[inline]
    pub fn change(&mut self, index: u32, copies: &mut Vec<u8>) -> &mut Reading {
        if self.changes.note(index) {
            self.copy(index, copies);
        }
        &mut self.list[index]
    }

    /// The rate that is carried on from the reading at an index.
    pub fn rate(&self, index: u32) -> Rate {
        self.rates.get(index)
    }

    /// Has a rate carried on from the reading at an index, which is about to change, or was just put there.
    pub fn set_rate(&mut self, index: u32, rate: Rate) {
        self.rates.set(index, rate);
    }

    /// Adds the first reading of an entity that `find` did not find; answers its index.
    pub fn insert(
        &mut self,
        kol: KolIndex,
        entity: Entity<'_>,
        time: u64,
        counters: [u64; 4],
        copies: &mut Vec<u8>,
    ) -> u32 {
        let reading = Reading::new(self.hold(entity), kol, time, counters);
        let index = match self.free.pop() {
            Some(index) => {
                self.list[index] = reading;
                index
            }
            None => self.list.push(reading),
        };
        if self.changes.note(index) {
            // Its place was free when the capture began.
            Record::NoReading(index).append(copies);
        }
        self.enter(index);
        index
    }

    /// The key of an entity that gets a reading.
    fn hold(&mut self, entity: Entity<'_>) -> EntityKey {
        match entity {
            Entity::Profile => EntityKey::PROFILE,
            Entity::Key(key) => EntityKey::of_key(key),
            Entity::Long(id) => EntityKey::long(self.long.hold(id)),
        }
    }

    fn enter(&mut self, index: u32) {
        let table = (&self.list, &self.hasher);
        self.index.insert(table.hash_of(index), index, &table);
    }

    /// Looks at the next `count` readings and drops those not newer than `dead_before`.
    pub fn sweep(&mut self, count: usize, dead_before: u64, copies: &mut Vec<u8>) {
        for _ in 0..count.min(self.list.len()) {
            self.sweep_at = (self.sweep_at + 1) % self.bound();
            let index = self.sweep_at;
            let reading = self.list[index];
            if !reading.is_free() && reading.time() < dead_before {
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

    /// Has the reading at an index brought into the cache.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        prefetch(&self.list[index]);
    }

    /// Appends the record of a reading as it stands.
    pub fn copy(&self, index: u32, copies: &mut Vec<u8>) {
        let reading = &self.list[index];
        let text;
        let video = match reading.entity.kind() {
            Kind::Free => return Record::NoReading(index).append(copies),
            Kind::Profile => None,
            Kind::Number(number) => Some(VideoId::Number(number)),
            Kind::Long(number) => Some(VideoId::Text(self.long.text(number).into())),
            Kind::Short => {
                text = reading.entity.short();
                Some(VideoId::Text(text.as_str().into()))
            }
        };
        let record = ReadingRecord {
            index,
            kol: reading.kol,
            video,
            time: reading.time(),
            counters: reading.counters().map(|c| (c != MISSING).then_some(c)),
        };
        let rate = self.rates.get(index);
        let record = match reading.fallen() {
            fallen if !rate.is_none() => Record::CarriedReading(CarriedRecord {
                reading: FallenRecord {
                    reading: record,
                    fallen,
                },
                gain: rate.gain(),
                span: rate.span(),
            }),
            0 => Record::Reading(record),
            fallen => Record::FallenReading(FallenRecord {
                reading: record,
                fallen,
            }),
        };
        record.append(copies);
    }

    /// Puts what a record says in its place.
    pub fn restore(&mut self, index: u32, record: Option<(&ReadingRecord<'_>, u8, Rate)>) {
        let first = self.bound();
        self.list.extend_to(index as usize + 1, Reading::free);
        // Free until a record says otherwise.
        self.free.extend(first..=index);
        let before = self.list[index];
        if !before.is_free() {
            self.remove(index, before);
        }
        let Some((record, fallen, rate)) = record else {
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
        let counters = record.counters.map(|c| c.unwrap_or(MISSING));
        let entity = self.hold(Entity::of(video));
        let mut reading = Reading::new(entity, record.kol, record.time, counters);
        reading.set_fallen(fallen);
        self.list[index] = reading;
        self.rates.set(index, rate);
        self.enter(index);
    }

    /// The records of a file were put in place: indexes that were free in between and no longer are, are not.
    pub fn settle(&mut self) {
        self.free.sort_unstable();
        self.free.dedup();
        self.free.retain(|index| self.list[*index].is_free());
    }

    /// The readings of one KOL with their video ids (empty = profile), of those at these indexes.
    pub fn of_kol(
        &self,
        kol: KolIndex,
        indexes: std::ops::Range<usize>,
    ) -> impl Iterator<Item = (String, &Reading, Rate)> {
        let end = indexes.end.min(self.list.len());
        (indexes.start.min(end)..end)
            .map(|index| (&self.list[index as u32], self.rates.get(index as u32)))
            .filter(move |(r, _)| r.kol == kol && !r.is_free())
            .map(|(r, rate)| (self.text(r.entity), r, rate))
    }

    /// What the reading at an index is of; `None` where there is none.
    pub fn entity(&self, index: u32) -> Option<(KolIndex, Entity<'_>)> {
        let reading = self.list.get(index)?;
        let entity = match reading.entity.kind() {
            Kind::Free => return None,
            Kind::Profile => Entity::Profile,
            Kind::Number(_) | Kind::Short => Entity::Key(reading.entity.key()),
            Kind::Long(number) => Entity::Long(self.long.text(number)),
        };
        Some((reading.kol, entity))
    }

    /// The video id of the reading at an index; empty for a profile.
    pub fn video(&self, index: u32) -> String {
        self.text(self.list[index].entity)
    }

    /// How many entities have a reading.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Memory held, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.list.bytes()
            + self.index.bytes()
            + self.rates.bytes()
            + self.changes.bytes()
            + self.free.capacity() * size_of::<u32>()
            + self.long.bytes()
    }

    fn remove(&mut self, index: u32, reading: Reading) {
        let hash = self.hasher.hash_one((reading.kol, reading.entity));
        self.index.remove(hash, index);
        if let Kind::Long(number) = reading.entity.kind() {
            self.long.release(number);
        }
        self.rates.set(index, Rate::default());
        self.list[index].entity = EntityKey::FREE;
        self.free.push(index);
    }

    fn text(&self, key: EntityKey) -> String {
        match key.kind() {
            Kind::Number(number) => number.to_string(),
            Kind::Short => key.short(),
            Kind::Long(number) => self.long.text(number).to_owned(),
            Kind::Profile | Kind::Free => String::new(),
        }
    }
}

#[cfg(test)]
#[path = "readings_tests.rs"]
mod tests;
