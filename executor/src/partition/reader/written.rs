//! A log in memory for tests, under one leader epoch, that may lose its tail and grow again.

use std::sync::{Arc, Mutex, MutexGuard};

use futures::future::{BoxFuture, ready};
use kol_common::proto::RecordMark;
use kol_common::{KolError, SourcePartition};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::source::{
    Batch, Chunk, Identity, Log, LogEnd, Mark, PartitionQueue, Place, Queue, ReadError, Record,
    Storage,
};

/// The topic that it is of.
pub(super) const TOPIC: Uuid = Uuid::from_u128(1);

/// Records with their offsets, in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Written(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) records: Vec<(u64, String)>,
    /// One past the newest offset; behind the newest record where a marker is.
    end: u64,
    pub(super) oldest: u64,
    /// How often the broker started.
    pub(super) starts: u64,
    pub(super) opened: Vec<u64>,
}

#[derive(Debug)]
struct Lines {
    log: Written,
    at: u64,
    /// The end that it has said.
    ended: Option<u64>,
    opened_in: u64,
    arrived: Notify,
}

/// Some records, and what comes in place of the next one.
#[derive(Debug, Default)]
struct Held(Vec<(u64, String)>, Option<Mark>);

impl Storage for Held {
    fn len(&self) -> usize {
        self.0.len() + usize::from(self.1.is_some())
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>) {
        let records = self
            .0
            .iter()
            .map(|(offset, value)| Ok(record(*offset, value)));
        chunk.fill(records.chain(self.1.iter().cloned().map(Err)).skip(from));
    }
}

pub(super) fn record(offset: u64, value: &str) -> Record<'_> {
    Record {
        offset,
        key: None,
        value: Some(value.as_bytes()),
        timestamp: None,
        headers: None,
    }
}

impl Queue for Lines {
    fn arrived(&self) -> &Notify {
        &self.arrived
    }

    fn take(&mut self, batch: &mut Batch, limit: usize) {
        let log = self.log.lock();
        batch.refill(limit, |held: &mut Held, limit| {
            held.clear();
            if self.at < log.oldest || self.at > log.end {
                held.1 = Some(Mark::Failed(ReadError::OffsetOutOfRange));
                return;
            }
            let records = log.records.iter().filter(|(offset, _)| *offset >= self.at);
            held.0 = records.take(limit).cloned().collect();
            if held.0.is_empty() && self.ended != Some(log.end) {
                held.1 = Some(Mark::EndOfPartition { offset: log.end });
                self.ended = Some(log.end);
            }
        });
        if let Some(last) = batch.last_record() {
            self.at = last.offset + 1;
        }
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn is_reconnected(&self) -> bool {
        self.log.lock().starts > self.opened_in
    }

    fn is_outgrown(&self) -> bool {
        false
    }
}

impl Written {
    pub(super) fn of(values: &[&str]) -> Self {
        let log = Self::default();
        log.append(values);
        log
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(super) fn append(&self, values: &[&str]) {
        let mut log = self.lock();
        for value in values {
            let offset = log.end;
            log.records.push((offset, (*value).to_owned()));
            log.end += 1;
        }
    }

    /// The broker starts again without the records from this offset on.
    pub(super) fn lose_from(&self, from: u64) {
        let mut log = self.lock();
        log.records.retain(|(offset, _)| *offset < from);
        (log.end, log.starts) = (from, log.starts + 1);
    }
}

impl Log for Written {
    fn open(&self, _partition: &SourcePartition, from: Place) -> Result<PartitionQueue, KolError> {
        let mut log = self.lock();
        log.opened.push(from.offset);
        Ok(Box::new(Lines {
            log: self.clone(),
            at: from.offset,
            ended: None,
            opened_in: log.starts,
            arrived: Notify::new(),
        }))
    }

    fn pause(&self, _partition: &SourcePartition) {}

    fn close(&self, _partition: &SourcePartition) {}

    fn end(&self, _partition: &SourcePartition) -> Option<LogEnd> {
        None
    }

    fn identity(&self, _partition: &SourcePartition) -> Option<Identity> {
        let (topic, requested) = (TOPIC, Instant::now());
        Some(Identity { topic, requested })
    }

    fn watermarks(
        &self,
        _partition: &SourcePartition,
    ) -> BoxFuture<'static, Result<(u64, u64), KolError>> {
        let log = self.lock();
        Box::pin(ready(Ok((log.oldest, log.end))))
    }

    fn records(
        &self,
        _partition: &SourcePartition,
        offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<RecordMark>>, KolError>> {
        let log = self.lock();
        let mark = |at: u64| {
            let found = log.records.iter().find(|(offset, _)| *offset == at);
            found.map(|(offset, value)| record(*offset, value).mark())
        };
        Box::pin(ready(Ok(offsets.into_iter().map(mark).collect())))
    }

    fn problem(&self) -> Option<KolError> {
        None
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        Box::pin(ready(()))
    }
}
