//! Takes what has arrived of a log, if it follows what was read of it.

use kol_common::KolError;
use tokio::time::Instant;

use super::phase::{Arrivals, Doubt, Phase};
use super::trail::{First, first};
use super::{BATCH, Reader};
use crate::source::{Batch, Mark, ReadError, Record};

/// What is wrong with a batch.
#[derive(Debug)]
enum Trouble {
    /// The log may be another one, or shorter.
    Doubt(Doubt),
    /// Something else; the client tries again by itself.
    Client(Box<KolError>),
}

impl Trouble {
    fn of(now: Instant, error: ReadError) -> Self {
        match error {
            ReadError::OffsetOutOfRange => Self::Doubt(Doubt::new(now)),
            ReadError::Truncated { end } => Self::Doubt(Doubt {
                cut: Some(end),
                ..Doubt::new(now)
            }),
            ReadError::Client(error) => Self::Client(error),
        }
    }
}

impl Reader {
    /// Reads what has arrived, as much as the pace allows, and hands over the records in their order.
    /// After each of them the position is behind it.
    ///
    /// # Errors
    /// The log refuses to be opened again.
    pub fn read(
        &mut self,
        now: Instant,
        batch: &mut Batch,
        take: impl FnMut(&Record<'_>),
    ) -> Result<(), KolError> {
        let Phase::Reading(reading) = &mut self.phase else {
            return Ok(());
        };
        reading.queue.take(batch, self.pace.allow(now, BATCH));
        if batch.is_empty() {
            reading.arrivals = Arrivals::Awaited;
            return Ok(());
        }
        if reading.queue.is_reconnected() {
            // The last record that was read must be there still, before anything that follows it is taken.
            batch.clear();
            return self.reopen();
        }
        self.pace.used(batch.len());
        self.stall.records(now);
        reading.arrivals = Arrivals::Likely;
        reading.begun = true;
        let trouble = self.take_batch(now, batch, take);
        // A pause that follows must not keep them.
        batch.clear();
        match trouble {
            None => self.problem = None,
            Some(Trouble::Doubt(doubt)) => self.doubt(doubt),
            Some(Trouble::Client(error)) => {
                self.problem = Some(error.partition(&self.assignment.partition));
            }
        }
        Ok(())
    }

    /// Hands over the records of a batch that follow those that were read; answers what is wrong.
    fn take_batch(
        &mut self,
        now: Instant,
        batch: &Batch,
        mut take: impl FnMut(&Record<'_>),
    ) -> Option<Trouble> {
        let Phase::Reading(reading) = &mut self.phase else {
            return None;
        };
        let mut entries = batch.records();
        let first = match reading.expected.take() {
            None => None,
            Some(expected) => match first(expected, &mut entries) {
                First::Same => None,
                First::Gone(entry) => Some(entry),
                First::Unknown(entry) => {
                    reading.expected = Some(expected);
                    entry
                }
                First::Differs => {
                    return Some(Trouble::Doubt(Doubt {
                        differs: Some(expected.offset),
                        ..Doubt::new(now)
                    }));
                }
            },
        };
        let (mut position, mut trouble) = (self.position, None);
        first
            .into_iter()
            .chain(entries)
            .for_each(|entry| match entry {
                Ok(record) => {
                    position = record.offset + 1;
                    take(&record);
                }
                Err(Mark::EndOfPartition { offset }) if offset < position => {
                    trouble = Some(Trouble::Doubt(Doubt::new(now)));
                }
                // The end of the log may be a marker of a transaction, or a compacted gap.
                Err(Mark::EndOfPartition { offset }) => position = offset,
                Err(Mark::Failed(error)) => trouble = Some(Trouble::of(now, error)),
            });
        let begun = std::mem::replace(&mut self.position, position);
        if let Some(read) = self
            .before
            .take_if(|r| (begun..position).contains(&r.offset))
        {
            let mut records = batch.records().flatten();
            let found = records.find(|record| record.offset == read.offset);
            if found.is_some_and(|found| found.mark() != read) {
                let also = match trouble {
                    Some(Trouble::Doubt(doubt)) => doubt,
                    Some(Trouble::Client(_)) | None => Doubt::new(now),
                };
                trouble = Some(Trouble::Doubt(Doubt {
                    differs: Some(read.offset),
                    ..also
                }));
            }
        }
        self.leader_epoch = batch.leader_epoch().or(self.leader_epoch);
        if let Some(last) = batch.last_record() {
            self.trail.read(last.mark());
        }
        trouble
    }
}
