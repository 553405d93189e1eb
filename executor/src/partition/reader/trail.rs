//! What was read of a log, by which it is known again: a machine.
//!
//! A log that lost its tail and has grown past the position again looks whole, and under the same leader epoch its
//! servers see no difference either. The last record that was read tells: the log is opened at that record, not
//! behind it, and another record there shows that the log was cut off there or before. A record that is gone, by
//! retention or compaction, shows nothing.
//!
//! Where such a log was cut off is not known exactly. The last record of an epoch that is still the same shows that
//! the log is the same up to the end of that epoch; so the partition goes back to the newest of those.

use std::collections::VecDeque;

use futures::future::BoxFuture;
use kol_common::proto::{KeptEpoch, PartitionCheckpoint, RecordMark};
use kol_common::{KolError, SourcePartition};

use super::phase::{Cut, Doubt, Found, Range};
use crate::source::{Entry, Mark, Records, Source};

/// Ends of epochs that are remembered.
const MOST: usize = 128;

/// See the module.
#[derive(Debug, Default)]
pub struct Trail {
    /// The last record that was read.
    last: Option<RecordMark>,
    /// Where epochs ended, oldest first.
    epochs: VecDeque<End>,
}

/// Where an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Offset of the first record that is not part of it.
    offset: u64,
    /// The last record before that.
    last: RecordMark,
}

/// The first entry of a log that was opened at the last record that had been read.
#[derive(Debug)]
pub enum First<'a> {
    /// That record: it is not read again.
    Same,
    /// Another one in its place.
    Differs,
    /// That record is not there, which shows nothing.
    Gone(Entry<'a>),
    /// No record yet.
    Unknown(Option<Entry<'a>>),
}

impl Trail {
    /// Of a state that is restored, and the older epochs that are kept, newest first.
    pub fn restored(checkpoint: &PartitionCheckpoint, kept: &[KeptEpoch]) -> Self {
        let end = |epoch: &KeptEpoch| {
            epoch.last_record.map(|last| End {
                offset: epoch.offset,
                last,
            })
        };
        let mut trail = Self {
            last: checkpoint.last_record,
            epochs: kept.iter().take(MOST).filter_map(end).rev().collect(),
        };
        trail.epoch_ends(checkpoint.offset);
        trail
    }

    /// The last record that was read.
    pub fn last(&self) -> Option<RecordMark> {
        self.last
    }

    /// A record was read.
    pub fn read(&mut self, record: RecordMark) {
        self.last = Some(record);
    }

    /// An epoch ends before this offset.
    pub fn epoch_ends(&mut self, offset: u64) {
        let Some(last) = self.last else {
            return;
        };
        if self.epochs.back().is_some_and(|end| end.last == last) {
            return;
        }
        if self.epochs.len() == MOST {
            self.epochs.pop_front();
        }
        self.epochs.push_back(End { offset, last });
    }

    /// The log has nothing before this offset: an older record cannot be compared.
    pub fn forget_before(&mut self, oldest: u64) {
        self.last = self.last.filter(|last| last.offset >= oldest);
    }

    /// What is read next has nothing to do with what was read before.
    pub fn forget_last(&mut self) {
        self.last = None;
    }

    /// Ends of epochs before the record at this offset, newest first.
    fn before(&self, offset: u64) -> Vec<End> {
        let epochs = self.epochs.iter().rev();
        epochs
            .filter(|end| end.last.offset < offset)
            .copied()
            .collect()
    }

    /// Queries the range of the log; whether the record that an owner before had read is still there; and, if one is
    /// another than was read, where the log was cut off.
    pub fn examine(
        &self,
        source: &Source,
        partition: &SourcePartition,
        doubt: &Doubt,
    ) -> BoxFuture<'static, Range> {
        let Doubt { differs, read, .. } = *doubt;
        let read = read.filter(|_| differs.is_none());
        let place = differs.or(read.map(|read| read.offset));
        let epochs = place.map_or_else(Vec::new, |place| self.before(place));
        let (source, partition) = (Source::clone(source), partition.clone());
        Box::pin(async move {
            let (oldest, end) = source.watermarks(&partition).await?;
            let differs = match read {
                Some(read) => {
                    let found = source.records(&partition, vec![read.offset]).await?;
                    let other = found.into_iter().flatten().any(|found| found != read);
                    other.then_some(read.offset)
                }
                None => differs,
            };
            let cut = match differs {
                Some(differs) => {
                    Some(cut_before(differs, &epochs, &source, &partition, end).await?)
                }
                None => None,
            };
            Ok(Found {
                oldest,
                end,
                differs,
                cut,
                compared: read.is_some(),
            })
        })
    }
}

/// Takes the first entry of a log that was opened at this record.
pub fn first<'a>(expected: RecordMark, entries: &mut Records<'a>) -> First<'a> {
    match entries.next() {
        Some(Ok(record)) if record.offset != expected.offset => First::Gone(Ok(record)),
        Some(Ok(record)) if record.mark() == expected => First::Same,
        Some(Ok(_)) => First::Differs,
        Some(Err(mark @ Mark::EndOfPartition { offset })) if offset > expected.offset => {
            First::Gone(Err(mark))
        }
        entry => First::Unknown(entry),
    }
}

/// Where a log with this end was cut off whose record at `differs` is another one: looks up the last records of epochs.
async fn cut_before(
    differs: u64,
    epochs: &[End],
    source: &Source,
    partition: &SourcePartition,
    end: u64,
) -> Result<Cut, KolError> {
    let offsets: Vec<_> = epochs.iter().map(|end| end.last.offset).collect();
    let records = match offsets.is_empty() {
        true => Vec::new(),
        false => source.records(partition, offsets).await?,
    };
    Ok(cut(differs, epochs, &records, end))
}

/// Where a log was cut off: behind the newest of the epochs (newest first) whose last record is `found` the same. If
/// none is, at the oldest record that differs, or before it.
fn cut(differs: u64, epochs: &[End], found: &[Option<RecordMark>], end: u64) -> Cut {
    let mut lowest = differs;
    for (epoch, found) in epochs.iter().zip(found) {
        match found {
            Some(found) if *found == epoch.last => return Cut::From(epoch.offset),
            Some(_) => lowest = epoch.last.offset,
            None if epoch.last.offset >= end => lowest = epoch.last.offset,
            None => {}
        }
    }
    Cut::Before(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(offset: u64, crc32c: u32) -> RecordMark {
        RecordMark {
            offset,
            timestamp_ms: None,
            crc32c,
        }
    }

    /// Epochs that ended behind these records, newest first.
    fn ends(records: &[u64]) -> Vec<End> {
        let end = |offset: &u64| End {
            offset: offset + 2,
            last: mark(*offset, 0),
        };
        records.iter().map(end).collect()
    }

    #[test]
    fn a_log_is_the_same_up_to_the_newest_epoch_whose_last_record_is() {
        let epochs = ends(&[40, 30, 20, 10]);
        let [same, other] = [|o| Some(mark(o, 0)), |o| Some(mark(o, 1))];
        let found = [other(40), other(30), same(20), same(10)];
        assert_eq!(cut(50, &epochs, &found, 99), Cut::From(22));
        let gone = [other(40), None, same(20), same(10)];
        assert_eq!(cut(50, &epochs, &gone, 99), Cut::From(22));
        let newest = [same(40), same(30), None, None];
        assert_eq!(cut(50, &epochs, &newest, 99), Cut::From(42));
    }

    #[test]
    fn a_log_in_which_no_epoch_is_found_again_was_cut_off_at_the_oldest_record_that_differs() {
        assert_eq!(cut(50, &[], &[], 99), Cut::Before(50));
        let epochs = ends(&[40, 30, 20]);
        let other = |o| Some(mark(o, 1));
        let differ = [other(40), other(30), None];
        assert_eq!(cut(50, &epochs, &differ, 99), Cut::Before(30));
        let none = [None, None, None];
        assert_eq!(cut(50, &epochs, &none, 99), Cut::Before(50), "all deleted");
        assert_eq!(
            cut(50, &epochs, &none, 35),
            Cut::Before(40),
            "it ends there"
        );
    }

    #[test]
    fn epochs_are_remembered_once_and_the_oldest_are_forgotten() {
        let checkpoint = PartitionCheckpoint {
            offset: 12,
            last_record: Some(mark(10, 0)),
            ..PartitionCheckpoint::default()
        };
        let kept = KeptEpoch {
            offset: 7,
            last_record: Some(mark(5, 0)),
        };
        let unknown = KeptEpoch {
            offset: 3,
            last_record: None,
        };
        let mut trail = Trail::restored(&checkpoint, &[kept, unknown]);
        trail.epoch_ends(13);
        assert_eq!(trail.before(11), ends(&[10, 5]));
        assert_eq!(trail.before(10), ends(&[5]), "not the one that differs");
        for offset in 20..20 + MOST as u64 {
            trail.read(mark(offset, 0));
            trail.epoch_ends(offset + 2);
        }
        assert_eq!(trail.before(21), ends(&[20]));
        trail.forget_before(20 + MOST as u64);
        assert_eq!(trail.last(), None);
        assert!(
            Trail::restored(&PartitionCheckpoint::default(), &[])
                .last()
                .is_none()
        );
    }
}
