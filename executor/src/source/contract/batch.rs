//! What a queue hands to a partition: records in batches, whatever keeps their bytes. The reader calls
//! the storage once every [`CHUNK`] records, never for each.

use std::any::Any;
use std::ffi::CStr;
use std::fmt::Debug;

use kol_common::proto::RecordMark;
use kol_common::{KolError, Millis, SourcePartition};

/// Entries of a batch that are read from its storage at once.
pub const CHUNK: usize = 16;

/// One record of a log, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: u64,
    /// Its key; `None`: it has none.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// When it was appended or created, whichever the log keeps; `None` if it keeps neither.
    pub timestamp: Option<Millis>,
    /// Its headers; `None`: it has none.
    pub headers: Option<&'a dyn Headers>,
}

/// Headers of a record. Most are never looked at.
pub trait Headers: Debug + Sync {
    /// The value of the last header of this name.
    fn value(&self, name: &CStr) -> Option<&[u8]>;
}

impl Record<'_> {
    /// Where the record was that this one was made of, as the first stage of a job that re-keys notes it.
    pub fn origin(&self) -> Option<(SourcePartition, u64)> {
        let text = |name| std::str::from_utf8(self.headers?.value(name)?).ok();
        let partition = text(c"kol-partition")?.parse().ok()?;
        let offset = text(c"kol-offset")?.parse().ok()?;
        Some((SourcePartition::new(text(c"kol-topic")?, partition), offset))
    }

    /// What tells it from another record at the same offset.
    pub fn mark(&self) -> RecordMark {
        let part = |crc, bytes: Option<&[u8]>| {
            // With its length, so that a byte of the key is none of the value.
            let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
            let crc = crc32c::crc32c_append(crc, &length.to_le_bytes());
            crc32c::crc32c_append(crc, bytes.unwrap_or_default())
        };
        RecordMark {
            offset: self.offset,
            timestamp_ms: self.timestamp.map(|time| time.0),
            crc32c: part(part(0, self.key), self.value),
        }
    }
}

/// What stands in a batch in place of a record.
#[derive(Clone, Debug)]
pub enum Mark {
    /// Everything before this offset was read, and nothing follows yet.
    EndOfPartition {
        /// One past the last record, or past what the log keeps for itself behind it.
        offset: u64,
    },
    /// Reading failed, for this reason.
    Failed(ReadError),
}

/// Why a partition cannot be read.
#[derive(Clone, Debug)]
pub enum ReadError {
    /// The log does not have the offset: its watermarks say what it has; then seek.
    OffsetOutOfRange,
    /// The log lost records that were read: it was cut off, and has grown again since.
    Truncated {
        /// Where the part ends that is left of what was read; 0 if none is.
        end: u64,
    },
    /// Something else; the client tries again by itself.
    Client(Box<KolError>),
}

/// One place of a batch.
pub type Entry<'a> = Result<Record<'a>, Mark>;

/// What keeps the records of a batch: memory of a client, or of this process.
pub trait Storage: Any + Debug + Send {
    /// How many entries it holds.
    fn len(&self) -> usize;

    /// Whether it holds none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the entries; room for as many may be kept.
    fn clear(&mut self);

    /// Fills the chunk with the entries from number `from` on, in offset order, until the chunk is full
    /// or no entry is left.
    fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>);

    /// Leader epoch of the last record, if there is a record and it has one.
    fn leader_epoch(&self) -> Option<i32> {
        None
    }
}

/// Some entries of a batch on their way from storage to reader.
#[derive(Debug)]
pub struct Chunk<'a> {
    entries: [Option<Entry<'a>>; CHUNK],
    filled: usize,
}

impl<'a> Chunk<'a> {
    fn empty() -> Self {
        Self {
            entries: [const { None }; CHUNK],
            filled: 0,
        }
    }

    /// Puts entries in the places that are free; entries without a place are not consumed.
    #[inline]
    pub fn fill(&mut self, entries: impl Iterator<Item = Entry<'a>>) {
        let free = &mut self.entries[self.filled..];
        let mut added = 0;
        for (place, entry) in free.iter_mut().zip(entries) {
            *place = Some(entry);
            added += 1;
        }
        self.filled += added;
    }
}

/// Entries of one partition, in offset order. One batch is filled again and again.
#[derive(Debug)]
pub struct Batch {
    capacity: usize,
    storage: Option<Box<dyn Storage>>,
}

impl Batch {
    /// An empty batch that takes up to `capacity` entries.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity,
            storage: None,
        }
    }

    /// For queues: lets `fill` replace the content, given the number of entries that it may put in. The
    /// storage is the one of the last time, so that its memory is used again.
    pub fn refill<S: Storage + Default>(&mut self, limit: usize, fill: impl FnOnce(&mut S, usize)) {
        let storage = self.storage.take().map(|storage| storage as Box<dyn Any>);
        let mut storage = match storage.map(Box::<dyn Any>::downcast::<S>) {
            Some(Ok(storage)) => storage,
            // The first time, or filled by a queue of another kind before.
            Some(Err(_)) | None => Box::default(),
        };
        fill(&mut storage, limit.min(self.capacity));
        self.storage = Some(storage);
    }

    /// Drops the entries: what keeps their bytes can be used again.
    pub fn clear(&mut self) {
        if let Some(storage) = &mut self.storage {
            storage.clear();
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.storage.as_ref().map_or(0, |storage| storage.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Leader epoch of the last record, if there is a record and it has one.
    pub fn leader_epoch(&self) -> Option<i32> {
        self.storage.as_ref()?.leader_epoch()
    }

    /// The last record, if there is one.
    pub fn last_record(&self) -> Option<Record<'_>> {
        let storage = self.storage.as_deref()?;
        let entry = |at| {
            let mut chunk = Chunk::empty();
            storage.read(at, &mut chunk);
            chunk.entries[0].take()
        };
        (0..storage.len()).rev().find_map(|at| entry(at)?.ok())
    }

    /// The records, and marks in their places.
    pub fn records(&self) -> Records<'_> {
        Records {
            storage: self.storage.as_deref(),
            next: 0,
            chunk: Chunk::empty(),
            at: 0,
        }
    }
}

/// See [`Batch::records`]. `for_each` is the fastest way through.
#[derive(Debug)]
pub struct Records<'a> {
    storage: Option<&'a dyn Storage>,
    /// Number of the entry after the chunk.
    next: usize,
    chunk: Chunk<'a>,
    at: usize,
}

impl Records<'_> {
    /// Whether the next chunk has an entry.
    fn advance(&mut self) -> bool {
        (self.at, self.chunk.filled) = (0, 0);
        if let Some(storage) = self.storage {
            storage.read(self.next, &mut self.chunk);
            self.next += self.chunk.filled;
        }
        self.chunk.filled > 0
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.at == self.chunk.filled && !self.advance() {
            return None;
        }
        self.at += 1;
        self.chunk.entries[self.at - 1].take()
    }

    fn fold<B, F: FnMut(B, Entry<'a>) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        loop {
            let entries = &mut self.chunk.entries[self.at..self.chunk.filled];
            for entry in entries {
                if let Some(entry) = entry.take() {
                    folded = f(folded, entry);
                }
            }
            if !self.advance() {
                return folded;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of which only the offsets are known.
    #[derive(Debug, Default)]
    struct Offsets(Vec<u64>);

    /// Nothing but the end.
    #[derive(Debug, Default)]
    struct End;

    /// A record at offset 6 and so many ends behind it.
    #[derive(Debug, Default)]
    struct RecordAndEnd(usize);

    fn record(offset: u64) -> Entry<'static> {
        Ok(Record {
            offset,
            key: None,
            value: None,
            timestamp: None,
            headers: None,
        })
    }

    impl Storage for Offsets {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn clear(&mut self) {
            self.0.clear();
        }

        fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>) {
            chunk.fill(self.0[from..].iter().map(|offset| record(*offset)));
        }
    }

    impl Storage for End {
        fn len(&self) -> usize {
            1
        }

        fn clear(&mut self) {}

        fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>) {
            let end = Err(Mark::EndOfPartition { offset: 7 });
            chunk.fill(std::iter::once(end).skip(from));
        }
    }

    impl Storage for RecordAndEnd {
        fn len(&self) -> usize {
            1 + self.0
        }

        fn clear(&mut self) {}

        fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>) {
            let ends = std::iter::repeat_n(Mark::EndOfPartition { offset: 7 }, self.0);
            let all = std::iter::once(record(6)).chain(ends.map(Err));
            chunk.fill(all.skip(from));
        }
    }

    #[test]
    fn every_entry_comes_once_and_in_order_however_the_batch_is_read() {
        let mut batch = Batch::with_capacity(1_000);
        assert_eq!(batch.records().count(), 0);
        for size in [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 100] {
            let wanted: Vec<u64> = (0..size as u64).collect();
            batch.refill(1_000, |held: &mut Offsets, _| held.0.clone_from(&wanted));
            assert_eq!(batch.len(), size);
            let mut one_by_one = Vec::new();
            for entry in batch.records() {
                one_by_one.push(entry.unwrap().offset);
            }
            assert_eq!(one_by_one, wanted);
            let mut at_once = Vec::new();
            let mut records = batch.records();
            at_once.extend(records.next().map(|entry| entry.unwrap().offset));
            records.for_each(|entry| at_once.push(entry.unwrap().offset));
            assert_eq!(at_once, wanted, "from the second on by `for_each`");
        }
    }

    #[test]
    fn the_last_record_of_a_batch_is_found_before_the_marks_that_follow_it() {
        let mut batch = Batch::with_capacity(9);
        assert!(batch.last_record().is_none());
        batch.refill(9, |held: &mut Offsets, _| held.0 = (3..8).collect());
        assert_eq!(batch.last_record().map(|record| record.offset), Some(7));
        batch.refill(9, |_: &mut End, _| {});
        assert!(batch.last_record().is_none());
        batch.refill(9, |held: &mut RecordAndEnd, _| held.0 = 2);
        assert_eq!(batch.last_record().map(|record| record.offset), Some(6));
    }

    #[test]
    fn records_at_the_same_offset_differ_in_their_marks_by_key_value_and_time() {
        let of = |key: Option<&'static str>, value: Option<&'static str>, time| {
            let record = Record {
                offset: 5,
                key: key.map(str::as_bytes),
                value: value.map(str::as_bytes),
                timestamp: Some(Millis(time)),
                headers: None,
            };
            record.mark()
        };
        let one = of(Some("ab"), Some("c"), 1);
        assert_eq!(of(Some("ab"), Some("c"), 1), one);
        for other in [
            of(Some("a"), Some("bc"), 1),
            of(Some("ab"), Some("d"), 1),
            of(Some("ab"), Some("c"), 2),
            of(Some("ab"), None, 1),
            of(None, Some("abc"), 1),
        ] {
            assert_ne!(other, one);
        }
        assert_ne!(of(Some(""), None, 1), of(None, Some(""), 1));
    }

    #[test]
    fn a_batch_is_filled_up_to_its_capacity_and_by_another_kind_of_queue() {
        let mut batch = Batch::with_capacity(3);
        let fill = |held: &mut Offsets, limit: usize| held.0 = (0..limit as u64).collect();
        batch.refill(100, fill);
        assert_eq!(batch.len(), 3);
        batch.refill(2, fill);
        assert_eq!(batch.len(), 2);
        batch.refill(9, |_: &mut End, _| {});
        let marks: Vec<_> = batch.records().collect();
        assert!(matches!(
            marks[..],
            [Err(Mark::EndOfPartition { offset: 7 })]
        ));
    }
}
