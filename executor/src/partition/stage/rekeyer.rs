//! Sends records on under a key of their creator, instead of counting them (`docs/protocol/rekeying.md`).

use std::sync::Arc;

use kol_common::KolError;
use kol_common::event::{Decoder, Reject};
use kol_common::proto::PartitionCounters;
use tokio::time::Instant;

use super::letters::{Letters, PartLetters};
use crate::partition::message::Assignment;
use crate::source::{DeadLetters, Keyed, Record, Refusal, Transactions};

/// See the module.
#[derive(Debug)]
pub struct Rekeyer {
    decoder: Decoder,
    transactions: Arc<dyn Transactions>,
    /// Partitions that creators are spread over.
    partitions: u32,
    letters: Letters,
    counters: PartitionCounters,
    /// Of the record at hand: kept for its memory.
    key: Vec<u8>,
    taken: Taken,
}

/// What was taken since that was last looked up.
#[derive(Debug, Default)]
pub struct Taken {
    /// Records that were written or rejected.
    pub records: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Why a record could not be written: then nothing was taken after it.
    pub refused: Option<Refusal>,
}

impl Rekeyer {
    /// Of a partition of the first stage, into so many partitions.
    pub fn new(
        assignment: &Assignment,
        partitions: u32,
        transactions: Arc<dyn Transactions>,
        dead_letters: Option<DeadLetters>,
    ) -> Self {
        let spec = &assignment.spec;
        Self {
            decoder: Decoder::of(&spec.source, &spec.scoring.default_platform),
            transactions,
            partitions,
            letters: Letters::new(assignment.partition.clone(), dead_letters),
            counters: PartitionCounters::default(),
            key: Vec::new(),
            taken: Taken::default(),
        }
    }

    /// Takes the next record of the log.
    pub fn take(&mut self, record: &Record<'_>) {
        let Self {
            decoder,
            transactions,
            partitions,
            letters,
            counters,
            key,
            taken,
        } = self;
        if taken.refused.is_some() {
            return;
        }
        let mut of_record = PartLetters::default();
        counters.bytes += record.value.map_or(0, <[u8]>::len) as u64;
        decoder.decode_each(record.value, |part, outcome| {
            counters.events += 1;
            taken.records += 1;
            match outcome {
                Ok(event) => {
                    write_key(key, &event.platform, &event.kol);
                    let keyed = Keyed {
                        record,
                        key,
                        partition: partition_of(&event.platform, &event.kol, *partitions),
                    };
                    taken.bytes += (key.len() + record.value.map_or(0, <[u8]>::len)) as u64;
                    taken.refused = transactions.write(&keyed).err();
                }
                Err(reason) => {
                    count(counters, reason);
                    letters.reject(&mut of_record, record, part, reason);
                }
            }
        });
    }

    /// What was taken since the last time.
    pub fn taken(&mut self) -> Taken {
        std::mem::take(&mut self.taken)
    }

    /// Takes what is new of dead letters under way, and sends those that wait.
    pub fn tend_letters(&mut self, now: Instant) {
        self.letters.tend(now);
    }

    /// Waits until something may be new of dead letters under way.
    pub async fn letter_news(&self) {
        self.letters.news().await;
    }

    /// Whether all dead letters of what was read have arrived.
    pub fn letters_have_arrived(&self) -> bool {
        self.letters.have_arrived(self.letters.mark())
    }

    /// Whether there is room for more records.
    pub fn has_room(&self) -> bool {
        self.letters.has_room()
    }

    /// Memory that dead letters take until there is room for them, in bytes.
    pub fn letters_bytes(&self) -> u64 {
        self.letters.bytes()
    }

    /// What became of the records of this owner.
    pub fn counters(&self) -> PartitionCounters {
        PartitionCounters {
            dead_letters_written: self.letters.arrived(),
            ..self.counters.clone()
        }
    }

    /// Why dead letters do not reach their topic, if so.
    pub fn problem(&self) -> Option<KolError> {
        self.letters.problem()
    }
}

/// `PLATFORM:CREATOR`, which platforms cannot make ambiguous: none has a colon.
fn write_key(key: &mut Vec<u8>, platform: &str, kol: &str) {
    key.clear();
    key.extend_from_slice(platform.as_bytes());
    key.push(b':');
    key.extend_from_slice(kol.as_bytes());
}

/// The partition of a creator, out of so many. It is part of the contract: every owner must come to the same.
fn partition_of(platform: &str, kol: &str, partitions: u32) -> u32 {
    let sum = crc32c::crc32c(platform.as_bytes());
    let sum = crc32c::crc32c_append(sum, &[0]);
    crc32c::crc32c_append(sum, kol.as_bytes()) % partitions.max(1)
}

/// Counts a reject; allocates for the first one of each reason only.
fn count(counters: &mut PartitionCounters, reason: Reject) {
    counters.dead_letter += 1;
    match counters.rejected.get_mut(reason.as_str()) {
        Some(number) => *number += 1,
        None => drop(counters.rejected.insert(reason.as_str().to_owned(), 1)),
    }
}

#[cfg(test)]
#[path = "rekeyer_tests.rs"]
mod tests;
