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

    /// Puts what a record says in its place; `restored` makes the table whole afterwards.
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
            self.list.resize(at + 1, free);
        }
        let before = self.list[at].entity.0;
        if before & (7 << 120) == LONG {
            self.long.release(before as u32);
        }
        let Some((record, fallen)) = record else {
            self.list[at].entity = EntityKey(FREE);
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
    }

    /// All records were put in place.
    pub fn restored(&mut self) {
        self.table = HashTable::with_capacity(self.list.len());
        self.free.clear();
        for index in 0..self.list.len() as u32 {
            if self.list[index as usize].entity.0 == FREE {
                self.free.push(index);
            } else {
                self.enter(index);
            }
        }
    }

    /// The readings of one KOL with their video ids (empty = profile). Looks at all readings.
    pub fn of_kol(&self, kol: KolIndex) -> impl Iterator<Item = (String, &Reading)> {
        self.list
            .iter()
            .filter(move |r| r.kol == kol && r.entity.0 != FREE)
            .map(|r| (self.text(r.entity), r))
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
            + self
                .long
                .texts
                .iter()
                .map(|t| t.0.len() + 64)
                .sum::<usize>()
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
    fn hold(&mut self, id: &str) -> u32 {
        if let Some(&number) = self.numbers.get(id) {
            self.texts[number as usize].1 += 1;
            return number;
        }
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
mod tests {
    use super::*;

    const IDS: [&str; 7] = [
        "7518376794681117970",
        "dQw4w9WgXcQ",
        "0",
        "007",
        "",
        "exactly14bytes",
        "an id that is longer than the others are",
    ];

    #[test]
    fn a_reading_fills_one_cache_line() {
        assert_eq!(size_of::<Reading>(), 64);
    }

    #[test]
    fn a_counter_that_falls_by_more_than_half_is_believed_the_second_time() {
        const M: u64 = MISSING;
        for (values, gains, last) in [
            // A glitch, also one that lasts while the counter is hidden.
            (&[50_000, 0, 50_010][..], &[0, 0, 10][..], 50_010),
            (&[50_000, 0, M, 50_010], &[0, 0, 0, 10], 50_010),
            // The second low value is the last value; what comes after it is gain.
            (&[50_000, 1_000, 1_010, 1_050], &[0, 0, 0, 40], 1_050),
            (&[50_000, 1_000, M, 900, 905], &[0, 0, 0, 0, 5], 905),
            // Any value of half or more clears the mark.
            (&[100, 40, 60, 20, 61], &[0, 0, 0, 0, 1], 61),
            // Half is no glitch, less than half is; of odd values, too.
            (&[100, 50, 51], &[0, 0, 1], 51),
            (&[101, 51, 52], &[0, 0, 1], 52),
            (&[101, 50, 102], &[0, 0, 1], 102),
            // A smaller fall is real.
            (&[50_000, 49_500, 49_600], &[0, 0, 100], 49_600),
            (&[M, 7, 9], &[0, 0, 2], 9),
            (&[0, 0, 5], &[0, 0, 5], 5),
        ] {
            let mut readings = Readings::default();
            let copies = &mut Vec::new();
            readings.insert(0, None, 1, [values[0]; 4], copies);
            for (now, gain) in values.iter().zip(gains).skip(1) {
                let reading = readings.change(0, copies);
                assert_eq!(
                    reading.advance([*now; 4]),
                    [*gain; 4],
                    "{values:?} at {now}"
                );
            }
            assert_eq!(readings.get(0).counters, [last; 4], "{values:?}");
        }
    }

    #[test]
    fn every_shape_of_id_is_an_entity_of_its_own() {
        let mut readings = Readings::default();
        let copies = &mut Vec::new();
        readings.insert(1, None, 5, [MISSING; 4], copies);
        for (i, id) in IDS.iter().enumerate() {
            assert!(readings.find(1, Some(id)).is_none());
            readings.insert(1, Some(id), 10 + i as u64, [i as u64; 4], copies);
            assert!(readings.find(2, Some(id)).is_none());
        }
        for (i, id) in IDS.iter().enumerate() {
            let found = readings.find(1, Some(id)).unwrap();
            assert_eq!(readings.get(found).time, 10 + i as u64);
        }
        let mut texts: Vec<_> = readings.of_kol(1).map(|(id, _)| id).collect();
        texts.sort();
        let mut expected: Vec<_> = IDS.iter().map(|s| (*s).to_owned()).collect();
        expected.push(String::new());
        expected.sort();
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_sweep_drops_old_readings_and_reuses_their_places() {
        let mut readings = Readings::default();
        let copies = &mut Vec::new();
        for (i, id) in IDS.iter().enumerate() {
            readings.insert(0, Some(id), i as u64, [0; 4], copies);
        }
        readings.sweep(100, 5, copies);
        assert_eq!(readings.len(), 2);
        assert!(readings.find(0, Some(IDS[6])).is_some());
        readings.sweep(100, 50, copies);
        assert_eq!(readings.len(), 0);
        readings.insert(3, Some(IDS[6]), 60, [0; 4], copies);
        assert_eq!(readings.list.len(), IDS.len());
        assert_eq!(readings.long.texts.len(), 1);
    }
}
