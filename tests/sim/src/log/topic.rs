//! The topic, as its brokers have it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kol_common::{KolError, Millis};
use kol_executor::source::Record;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::letters::DeadLetters;

/// The topic is never recreated.
pub(super) const TOPIC: Uuid = Uuid::from_u128(1);

/// A record as it lies in the log.
#[derive(Debug)]
pub(super) struct Stored {
    offset: u64,
    value: Vec<u8>,
    timestamp: Millis,
    pub(super) leader_epoch: i32,
}

impl Stored {
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            offset: self.offset,
            key: None,
            value: Some(&self.value),
            timestamp: Some(self.timestamp),
            headers: None,
        }
    }
}

/// One topic, and the one of its dead letters, as one host sees them.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    pub(super) topic: Arc<str>,
    inner: Arc<Mutex<Inner>>,
    letters: DeadLetters,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) partitions: Vec<Vec<Arc<Stored>>>,
    /// Leader epoch of what is written to a partition now.
    leader_epochs: Vec<i32>,
    /// How often the broker started.
    pub(super) starts: u64,
    /// Who waits for records, by partition.
    pub(super) readers: Vec<(u32, Arc<Notify>)>,
    pub(super) away: bool,
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
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
