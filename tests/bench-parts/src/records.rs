//! Records in memory, handed over in batches as a log hands them over.

use std::sync::Arc;

use kol_common::Millis;
use kol_executor::source::{Batch, Chunk, Record, Storage};

use crate::crawl::{Crawl, Options};

/// Records of a batch, as many as the executor takes at once.
const BATCH: usize = 1_024;

/// The records of a log, from offset 0 on.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Key and value of each record, one behind the other.
    bytes: Vec<u8>,
    /// Where the value of each begins, and where it ends.
    values: Vec<(usize, usize)>,
    timestamp: Millis,
}

impl Records {
    /// The first events of a crawl, all appended when it has ended.
    pub(crate) fn of(options: Options) -> Self {
        let mut crawl = Crawl::new(options);
        let mut records = Self {
            timestamp: options.end,
            ..Self::default()
        };
        let mut value = Vec::new();
        for _ in 0..options.events {
            let kol = crawl.next_into(&mut value);
            records.bytes.extend(Crawl::username(kol).bytes());
            let begin = records.bytes.len();
            records.bytes.extend_from_slice(&value);
            records.values.push((begin, records.bytes.len()));
        }
        records
    }

    /// Records with one event alone.
    pub(crate) fn one(timestamp: Millis, key: &str, value: &str) -> Self {
        Self {
            bytes: [key, value].concat().into_bytes(),
            values: vec![(key.len(), key.len() + value.len())],
            timestamp,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn record(&self, at: usize) -> Record<'_> {
        let (begin, end) = self.values[at];
        let before = at.checked_sub(1).map_or(0, |before| self.values[before].1);
        Record {
            offset: at as u64,
            key: Some(&self.bytes[before..begin]),
            value: Some(&self.bytes[begin..end]),
            timestamp: Some(self.timestamp),
            headers: None,
        }
    }
}

/// Fills a batch with one part of the records after the other.
pub(crate) struct Batches {
    records: Arc<Records>,
    next: usize,
    batch: Batch,
}

impl Batches {
    pub(crate) fn of(records: &Arc<Records>) -> Self {
        Self {
            records: Arc::clone(records),
            next: 0,
            batch: Batch::with_capacity(BATCH),
        }
    }

    /// The next batch; `None` after the last.
    pub(crate) fn next(&mut self) -> Option<&Batch> {
        let (records, next) = (&self.records, self.next);
        self.batch.refill(BATCH, |slice: &mut Slice, limit| {
            slice.records = Arc::clone(records);
            slice.range = next..records.values.len().min(next + limit);
        });
        self.next += self.batch.len();
        (!self.batch.is_empty()).then_some(&self.batch)
    }
}

/// Some of the records.
#[derive(Debug, Default)]
struct Slice {
    records: Arc<Records>,
    range: std::ops::Range<usize>,
}

impl Storage for Slice {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn clear(&mut self) {
        self.range = 0..0;
    }

    fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>) {
        let rest = self.range.clone().skip(from);
        chunk.fill(rest.map(|at| Ok(self.records.record(at))));
    }
}
