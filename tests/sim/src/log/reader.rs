//! How partitions read the topic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::proto::RecordMark;
use kol_common::{KolError, SourcePartition};
use kol_executor::source::{
    Batch, Chunk, Identity, Log, LogEnd, Mark, PartitionQueue, Place, Queue, ReadError, Storage,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::topic::{MemoryLog, Stored, TOPIC, unreachable};

/// How old the end of a log may be that a reader knows.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// Records of one batch, shared with the log, and why there are no more.
#[derive(Debug, Default)]
struct Shared {
    records: Vec<Arc<Stored>>,
    mark: Option<Mark>,
}

impl Storage for Shared {
    fn len(&self) -> usize {
        self.records.len() + usize::from(self.mark.is_some())
    }

    fn clear(&mut self) {
        self.records.clear();
        self.mark = None;
    }

    fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>) {
        let records = self.records.iter().map(|stored| Ok(stored.record()));
        let marks = self.mark.iter().cloned().map(Err);
        chunk.fill(records.chain(marks).skip(from));
    }

    fn leader_epoch(&self) -> Option<i32> {
        self.records.last().map(|stored| stored.leader_epoch)
    }
}

/// The log as one job on one executor sees it.
#[derive(Debug)]
pub(super) struct Reader {
    log: MemoryLog,
    ends: Mutex<BTreeMap<SourcePartition, Option<LogEnd>>>,
}

impl Reader {
    pub(super) fn new(log: MemoryLog) -> Self {
        Self {
            log,
            ends: Mutex::default(),
        }
    }

    fn ends(&self) -> MutexGuard<'_, BTreeMap<SourcePartition, Option<LogEnd>>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Reader {
    fn open(&self, partition: &SourcePartition, from: Place) -> Result<PartitionQueue, KolError> {
        self.ends().entry(partition.clone()).or_default();
        let arrived = Arc::new(Notify::new());
        let number = partition.partition;
        let mut inner = self.log.lock();
        inner.readers.push((number, Arc::clone(&arrived)));
        Ok(Box::new(MemoryQueue {
            log: self.log.clone(),
            number,
            offset: from.offset,
            leader_epoch: from.leader_epoch,
            opened_in: inner.starts,
            taken_in: inner.starts,
            failed: false,
            ended: None,
            arrived,
        }))
    }

    fn pause(&self, partition: &SourcePartition) {
        self.ends().entry(partition.clone()).or_default();
    }

    fn close(&self, partition: &SourcePartition) {
        self.ends().remove(partition);
    }

    fn end(&self, partition: &SourcePartition) -> Option<LogEnd> {
        let now = Instant::now();
        let inner = self.log.lock();
        let mut ends = self.ends();
        let known = ends.get_mut(partition)?;
        let fresh = known.is_some_and(|end| now < end.requested + PROBE_EVERY);
        if !fresh && !inner.away {
            let end = inner.partitions[partition.partition as usize].len() as u64;
            *known = Some(LogEnd {
                end,
                requested: now,
            });
        }
        *known
    }

    fn identity(&self, _partition: &SourcePartition) -> Option<Identity> {
        Some(Identity {
            topic: TOPIC,
            requested: Instant::now(),
        })
    }

    fn watermarks(
        &self,
        partition: &SourcePartition,
    ) -> BoxFuture<'static, Result<(u64, u64), KolError>> {
        let inner = self.log.lock();
        let end = inner.partitions[partition.partition as usize].len() as u64;
        let answer = if inner.away {
            Err(unreachable())
        } else {
            Ok((0, end))
        };
        Box::pin(std::future::ready(answer))
    }

    fn records(
        &self,
        partition: &SourcePartition,
        offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<RecordMark>>, KolError>> {
        let inner = self.log.lock();
        let log = &inner.partitions[partition.partition as usize];
        let record = |offset: u64| Some(log.get(offset as usize)?.record().mark());
        let answer = if inner.away {
            Err(unreachable())
        } else {
            Ok(offsets.into_iter().map(record).collect())
        };
        Box::pin(std::future::ready(answer))
    }

    fn problem(&self) -> Option<KolError> {
        self.log.lock().away.then(unreachable)
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Where one partition is read.
#[derive(Debug)]
struct MemoryQueue {
    log: MemoryLog,
    number: u32,
    offset: u64,
    /// Of a record there or before, if it is known.
    leader_epoch: Option<i32>,
    /// How often the broker had started then, and when the last batch was taken.
    opened_in: u64,
    taken_in: u64,
    /// Whether it said already that the log does not have its place, or that it ends there.
    failed: bool,
    ended: Option<u64>,
    arrived: Arc<Notify>,
}

impl MemoryQueue {
    /// Why a log cannot be read on at the place: it ends before it, or where the leader changed after the record
    /// before the place there are fewer records.
    fn failure(&self, log: &[Arc<Stored>]) -> Option<ReadError> {
        if (log.len() as u64) < self.offset {
            return Some(ReadError::OffsetOutOfRange);
        }
        let known = self.leader_epoch?;
        let left = log.partition_point(|stored| stored.leader_epoch <= known) as u64;
        (left < self.offset).then_some(ReadError::Truncated { end: left })
    }
}

impl Queue for MemoryQueue {
    fn arrived(&self) -> &Notify {
        &self.arrived
    }

    fn take(&mut self, batch: &mut Batch, limit: usize) {
        let inner = self.log.lock();
        let log = &inner.partitions[self.number as usize];
        let failure = self.failure(log).filter(|_| !inner.away);
        let readable = failure.is_none() && !inner.away;
        let from = if readable {
            self.offset as usize
        } else {
            usize::MAX
        };
        let news = failure.filter(|_| !std::mem::replace(&mut self.failed, true));
        batch.refill(limit, |shared: &mut Shared, limit| {
            shared.clear();
            let records = log.iter().skip(from).take(limit);
            shared.records.extend(records.map(Arc::clone));
            self.offset += shared.records.len() as u64;
            let offset = self.offset;
            let at_end = readable && shared.records.len() < limit && self.ended != Some(offset);
            let end = at_end.then_some(Mark::EndOfPartition { offset });
            self.ended = end.as_ref().map(|_| offset).or(self.ended);
            shared.mark = news.map(Mark::Failed).or(end);
        });
        self.taken_in = inner.starts;
        self.leader_epoch = batch.leader_epoch().or(self.leader_epoch);
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn is_reconnected(&self) -> bool {
        self.taken_in > self.opened_in
    }

    fn is_outgrown(&self) -> bool {
        false
    }
}
