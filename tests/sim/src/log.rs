//! The log: topics in memory, read by the executors' partitions without a network between. Its brokers
//! may be away for a while; the ends that readers know are as old as Kafka's would be. A partition may lose its
//! tail: its client notices when it reads on, by the leader epochs of records; if the same leader lost it, nobody
//! notices but by the records themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::actor::Group;
use kol_common::job::{SourceSpec, StartingOffsets};
use kol_common::proto::RecordMark;
use kol_common::secrets::Secrets;
use kol_common::{KolError, Millis, SourcePartition};
use kol_executor::source::{
    Batch, Chunk, DeadLetterTopic, Identity, Log, LogEnd, Logs, Mark, PartitionQueue, Place, Queue,
    ReadError, Record, Source, Storage,
};
use kol_master::checkpoint::group_offsets::GroupOffsets;
use kol_master::job::discovery::{Brokers, Started, Starts};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::letters::DeadLetters;

/// How old the end of a log may be that a reader knows.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// The topic is never recreated.
const TOPIC: Uuid = Uuid::from_u128(1);

/// A record as it lies in the log.
#[derive(Debug)]
struct Stored {
    offset: u64,
    value: Vec<u8>,
    timestamp: Millis,
    leader_epoch: i32,
}

/// Records of one batch, shared with the log, and why there are no more.
#[derive(Debug, Default)]
struct Shared {
    records: Vec<Arc<Stored>>,
    mark: Option<Mark>,
}

impl Stored {
    fn record(&self) -> Record<'_> {
        Record {
            offset: self.offset,
            key: None,
            value: Some(&self.value),
            timestamp: Some(self.timestamp),
        }
    }
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

/// One topic, and the one of its dead letters, as one host sees them.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    topic: Arc<str>,
    inner: Arc<Mutex<Inner>>,
    letters: DeadLetters,
}

#[derive(Debug)]
struct Inner {
    partitions: Vec<Vec<Arc<Stored>>>,
    /// Leader epoch of what is written to a partition now.
    leader_epochs: Vec<i32>,
    /// How often the broker started.
    starts: u64,
    /// Who waits for records, by partition.
    readers: Vec<(u32, Arc<Notify>)>,
    away: bool,
}

impl MemoryLog {
    /// An empty topic.
    pub fn new(topic: &str, partitions: u32) -> Self {
        Self {
            topic: topic.into(),
            inner: Arc::new(Mutex::new(Inner {
                leader_epochs: vec![0; partitions as usize],
                starts: 1,
                partitions: (0..partitions).map(|_| Vec::new()).collect(),
                readers: Vec::new(),
                away: false,
            })),
            letters: DeadLetters::default(),
        }
    }

    /// The same as this host sees it: what it sends there is lost when it dies.
    pub fn seen_by(&self, host: &'static str) -> Self {
        Self {
            letters: self.letters.sent_by(host),
            ..self.clone()
        }
    }

    /// The dead letters.
    pub fn letters(&self) -> &DeadLetters {
        &self.letters
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record.
    pub fn append(&self, partition: u32, time: Millis, value: String) {
        let mut inner = self.lock();
        let leader_epoch = inner.leader_epochs[partition as usize];
        let records = &mut inner.partitions[partition as usize];
        records.push(Arc::new(Stored {
            offset: records.len() as u64,
            value: value.into_bytes(),
            timestamp: time,
            leader_epoch,
        }));
        if !inner.away {
            inner.wake(|number| number == partition);
        }
    }

    /// A partition loses so many of its newest records, when its broker starts again; another leader is elected, or
    /// it is the same.
    pub fn lose_tail(&self, partition: u32, records: usize, elects: bool) {
        let mut inner = self.lock();
        let log = &mut inner.partitions[partition as usize];
        log.truncate(log.len().saturating_sub(records));
        inner.leader_epochs[partition as usize] += i32::from(elects);
        inner.starts += 1;
        inner.wake(|number| number == partition);
    }

    /// The brokers go away, or come back.
    pub fn set_away(&self, away: bool) {
        self.letters.set_away(away);
        let mut inner = self.lock();
        inner.away = away;
        if !away {
            inner.wake(|_| true);
        }
    }

    /// Records in all partitions.
    pub fn written(&self) -> u64 {
        self.lock().partitions.iter().map(|p| p.len() as u64).sum()
    }

    /// All of it, as the fold reads it.
    pub fn records(&self) -> Vec<kol_fold::Record> {
        let inner = self.lock();
        let numbered = (0u32..).zip(&inner.partitions);
        let all = numbered.flat_map(|(number, records)| records.iter().map(move |r| (number, r)));
        all.map(|(partition, stored)| record(partition, stored))
            .collect()
    }

    /// Those of a partition from one offset on and before another.
    pub fn between(&self, partition: u32, from: u64, to: u64) -> Vec<kol_fold::Record> {
        let inner = self.lock();
        let records = inner
            .partitions
            .get(partition as usize)
            .into_iter()
            .flatten();
        let wanted = records.filter(|stored| (from..to).contains(&stored.offset));
        wanted.map(|stored| record(partition, stored)).collect()
    }
}

fn record(partition: u32, stored: &Stored) -> kol_fold::Record {
    kol_fold::Record {
        partition,
        offset: stored.offset,
        timestamp_ms: Some(stored.timestamp.0),
        key: None,
        value: Some(stored.value.clone()),
    }
}

impl Inner {
    fn wake(&mut self, whom: impl Fn(u32) -> bool) {
        // A reader that is gone was the only other owner.
        self.readers.retain(|(_, n)| Arc::strong_count(n) > 1);
        for (_, reader) in self.readers.iter().filter(|(number, _)| whom(*number)) {
            reader.notify_one();
        }
    }
}

/// What is said while the brokers are away.
pub fn unreachable() -> KolError {
    KolError::external("SOURCE_UNREACHABLE", "the brokers are away")
}

impl Logs for MemoryLog {
    fn open(
        &self,
        _spec: &SourceSpec,
        _secrets: &Secrets,
        _client_id: &str,
    ) -> Result<Source, KolError> {
        Ok(Arc::new(Reader {
            log: self.clone(),
            ends: Mutex::default(),
        }))
    }

    fn dead_letters(
        &self,
        spec: &SourceSpec,
        _secrets: &Secrets,
    ) -> Result<Option<Arc<dyn DeadLetterTopic>>, KolError> {
        let wanted = spec.kafka().dead_letter.is_some();
        Ok(wanted.then(|| Arc::new(self.letters.clone()) as _))
    }
}

impl Brokers for MemoryLog {
    fn starts(
        &self,
        _source: SourceSpec,
        known: Vec<SourcePartition>,
        _offsets: StartingOffsets,
        _secrets: Secrets,
    ) -> BoxFuture<'static, Result<Starts, KolError>> {
        let log = self.clone();
        Box::pin(async move {
            let inner = log.lock();
            if inner.away {
                return Err(unreachable());
            }
            let all =
                (0..inner.partitions.len() as u32).map(|n| SourcePartition::new(&*log.topic, n));
            let new = all.filter(|p| !known.contains(p));
            let started = new.map(|partition| Started {
                partition,
                offset: 0,
                topic_id: Some(TOPIC),
            });
            Ok(started.collect())
        })
    }

    fn group_offsets(
        &self,
        _source: &SourceSpec,
        _secrets: &Secrets,
        _tasks: &Group,
    ) -> Result<GroupOffsets, KolError> {
        Err(KolError::user("GROUP_OFFSETS", "this log knows no groups"))
    }
}

/// The log as one job on one executor sees it.
#[derive(Debug)]
struct Reader {
    log: MemoryLog,
    ends: Mutex<BTreeMap<SourcePartition, Option<LogEnd>>>,
}

impl Reader {
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
