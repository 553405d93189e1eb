//! The contract between a partition and the log that it reads, whichever system keeps the log. Nothing
//! here knows a client of such a system, or any other part of this crate.
//!
//! A partition opens its part of a [`Log`] at an offset and takes [`Batch`]es out of the
//! [`PartitionQueue`] that it gets. Calls come once a batch, and once every [`CHUNK`] records of it,
//! never for each record.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::event::Reject;
use kol_common::job::SourceSpec;
use kol_common::secrets::Secrets;
use kol_common::{KolError, Millis, SourcePartition};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

/// Entries of a batch that are read from its storage at once.
pub const CHUNK: usize = 16;

/// Opens the logs of jobs.
pub trait Logs: Debug + Send + Sync {
    /// Opens the log of one job without waiting for it: a log that cannot be reached is reported by
    /// [`Log::problem`], not as an error here. `client_id` is what its servers log; `memory` is what the
    /// whole process may use, in bytes.
    ///
    /// # Errors
    /// Properties that the client refuses, secrets that are missing.
    fn open(
        &self,
        spec: &SourceSpec,
        secrets: &Secrets,
        client_id: &str,
        memory: u64,
    ) -> Result<Source, KolError>;

    /// Opens the place for records that cannot be used; `None` when the job wants none.
    ///
    /// # Errors
    /// As [`Logs::open`].
    fn dead_letters(
        &self,
        spec: &SourceSpec,
        secrets: &Secrets,
    ) -> Result<Option<Arc<dyn DeadLetterTopic>>, KolError>;
}

/// The log of one job, shared by its partitions.
pub type Source = Arc<dyn Log>;

/// See [`Source`].
pub trait Log: Debug + Send + Sync {
    /// Starts to read a partition at an offset. A partition that is open already is closed first.
    ///
    /// # Errors
    /// The client refuses the assignment.
    fn open(&self, partition: &SourcePartition, offset: u64) -> Result<PartitionQueue, KolError>;

    /// Stops reading a partition.
    fn close(&self, partition: &SourcePartition);

    /// The end of a partition's log, as last answered.
    fn end(&self, partition: &SourcePartition) -> Option<LogEnd>;

    /// Which log a partition reads, as last answered; `None` while that is not known, or where logs have
    /// no identity.
    fn identity(&self, partition: &SourcePartition) -> Option<Identity>;

    /// The oldest offset that still exists, and one past the newest.
    ///
    /// # Errors
    /// The log did not answer, or knows no such partition.
    fn watermarks(
        &self,
        partition: &SourcePartition,
    ) -> BoxFuture<'static, Result<(u64, u64), KolError>>;

    /// Why the log cannot be read, if it cannot.
    fn problem(&self) -> Option<KolError>;

    /// Ends what works for this log in the background; the future waits for that end, within a deadline
    /// of its own. The client itself ends with its last partition.
    fn stop(&self) -> BoxFuture<'static, ()>;

    /// Continues at another offset; what is queued already is dropped.
    ///
    /// # Errors
    /// The client refuses.
    fn seek(&self, partition: &SourcePartition, offset: u64) -> Result<PartitionQueue, KolError> {
        self.close(partition);
        self.open(partition, offset)
    }
}

/// Where the log of a partition ends.
#[derive(Clone, Copy, Debug)]
pub struct LogEnd {
    /// One past the newest record.
    pub end: u64,
    /// When the request was sent.
    pub asked: Instant,
}

/// Which log the name of a topic stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Id of the topic: a topic that was deleted and recreated has another one.
    pub topic: Uuid,
    /// When the request was sent.
    pub asked: Instant,
}

/// Where the records of one partition arrive. Dropping it returns the queue to the client; the
/// assignment is ended by [`Log::close`].
pub type PartitionQueue = Box<dyn Queue>;

/// See [`PartitionQueue`].
pub trait Queue: Debug + Send + Sync {
    /// Notified when records may have arrived since the queue was last found empty.
    fn arrived(&self) -> &Notify;

    /// Replaces the content of a batch with what has arrived, up to `limit` entries, without waiting.
    fn take(&mut self, batch: &mut Batch, limit: usize);
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: u64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// When it was appended or created, whichever the log keeps; `None` if it keeps neither.
    pub timestamp: Option<Millis>,
}

/// What stands in a batch in place of a record.
#[derive(Clone, Debug)]
pub enum Mark {
    /// Everything before this offset was read, and nothing follows yet.
    EndOfPartition {
        /// One past the last record, or past what the log keeps for itself behind it.
        offset: u64,
    },
    /// Reading failed.
    Failed(ReadError),
}

/// Why a partition cannot be read.
#[derive(Clone, Debug)]
pub enum ReadError {
    /// The log does not have the offset: see [`Log::watermarks`] for what it has, then [`Log::seek`].
    OffsetOutOfRange,
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

    /// Fills the chunk with the entries from number `from` on, in offset order, until the chunk is full
    /// or no entry is left.
    fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>);
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

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.storage.as_ref().map_or(0, |storage| storage.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

/// A record that cannot be used.
#[derive(Clone, Copy, Debug)]
pub struct Rejected<'a> {
    /// Its offset.
    pub offset: u64,
    /// Its key as it came.
    pub key: Option<&'a [u8]>,
    /// Its value as it came.
    pub value: Option<&'a [u8]>,
    /// Why: a stable code.
    pub reason: Reject,
}

/// What became of a record that was offered to a [`DeadLetterTopic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// Taken. Whether it is written shows later, in [`DeadLetterTopic::problem`].
    Taken,
    /// There is no room: the caller keeps the record and offers it again.
    NoRoom,
}

/// Where records that cannot be used are kept as they came, with their origin.
pub trait DeadLetterTopic: Debug + Send + Sync {
    /// Offers one record of partition `origin`.
    fn offer(&self, origin: &SourcePartition, rejected: &Rejected<'_>) -> Offered;

    /// Why the newest records could not be written, if so.
    fn problem(&self) -> Option<KolError>;

    /// Waits until everything that was taken is written, or the deadline has passed.
    fn flush(&self, deadline: Duration) -> BoxFuture<'static, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets alone.
    #[derive(Debug, Default)]
    struct Offsets(Vec<u64>);

    /// Nothing but the end.
    #[derive(Debug, Default)]
    struct End;

    fn record(offset: u64) -> Entry<'static> {
        Ok(Record {
            offset,
            key: None,
            value: None,
            timestamp: None,
        })
    }

    impl Storage for Offsets {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>) {
            chunk.fill(self.0[from..].iter().map(|offset| record(*offset)));
        }
    }

    impl Storage for End {
        fn len(&self) -> usize {
            1
        }

        fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>) {
            let end = Err(Mark::EndOfPartition { offset: 7 });
            chunk.fill(std::iter::once(end).skip(from));
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
