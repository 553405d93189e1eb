//! Dead letters of a partition. A job without a dead-letter topic only counts such records.
//!
//! A record of several events has a letter for each that is rejected, up to a bound: a record of a megabyte can
//! have half a million parts, and each letter has memory and a copy of the key of its own. Beyond the bound one
//! letter has the whole value, and the parts after it have none.

use kol_common::event::Reject;
use kol_common::{KolError, SourcePartition};
use tokio::time::Instant;

use crate::source::{self, DeadLetters, Record, Rejected};

/// Most parts of a record that have letters of their own.
const MOST_PARTS: usize = 100;
/// Most bytes of copies of its key, unless the first alone has more.
const MOST_KEYS: usize = 16 << 10;

/// See the module.
#[derive(Debug)]
pub struct Letters {
    origin: SourcePartition,
    letters: Option<source::Letters>,
    /// Its records were made of others, which their letters name.
    copies: bool,
}

/// What letters the parts of one record have so far.
#[derive(Debug, Default)]
pub struct PartLetters {
    parts: usize,
    has_whole: bool,
}

impl PartLetters {
    /// The value of the letter for the next rejected part; `None`: an earlier letter has the whole record.
    fn next<'r>(
        &mut self,
        record: &Record<'r>,
        part: Option<&'r [u8]>,
    ) -> Option<Option<&'r [u8]>> {
        if self.has_whole {
            return None;
        }
        let key = record.key.map_or(0, <[u8]>::len).max(1);
        if self.parts == (MOST_KEYS / key).clamp(1, MOST_PARTS) {
            self.has_whole = true;
            return Some(record.value);
        }
        self.parts += 1;
        Some(part)
    }
}

impl Letters {
    /// Of one partition.
    pub fn new(origin: SourcePartition, topic: Option<DeadLetters>) -> Self {
        let letters = topic.map(|topic| source::Letters::new(origin.clone(), topic));
        Self {
            origin,
            letters,
            copies: false,
        }
    }

    /// Its records were made of others, if so: letters name those.
    #[must_use]
    pub fn of_copies(mut self, copies: bool) -> Self {
        self.copies = copies;
        self
    }

    /// The partition whose records they are.
    pub fn origin(&self) -> &SourcePartition {
        &self.origin
    }

    /// Sends a part of a record that cannot be used, or the whole record once it has too many of them.
    pub fn reject(
        &mut self,
        of_record: &mut PartLetters,
        record: &Record<'_>,
        part: Option<&[u8]>,
        reason: Reject,
    ) {
        if let Some(letters) = &mut self.letters
            && let Some(value) = of_record.next(record, part)
        {
            let origin = self.copies.then(|| record.origin()).flatten();
            letters.reject(&Rejected {
                origin: origin.as_ref().map(|(partition, _)| partition),
                offset: origin.as_ref().map_or(record.offset, |(_, offset)| *offset),
                key: record.key,
                value,
                reason,
            });
        }
    }

    /// Takes what is new of those under way, and sends those that wait.
    pub fn tend(&mut self, now: Instant) {
        if let Some(letters) = &mut self.letters {
            letters.tend(now);
        }
    }

    /// Whether more records may be read.
    pub fn has_room(&self) -> bool {
        self.letters.as_ref().is_none_or(source::Letters::has_room)
    }

    /// What letters of records that were read so far are distinguished from later ones by.
    pub fn mark(&self) -> u64 {
        self.letters.as_ref().map_or(0, source::Letters::mark)
    }

    /// Whether all letters before a mark have arrived.
    pub fn have_arrived(&self, mark: u64) -> bool {
        self.letters.as_ref().is_none_or(|l| l.have_arrived(mark))
    }

    /// Letters that have arrived.
    pub fn arrived(&self) -> u64 {
        self.letters.as_ref().map_or(0, source::Letters::arrived)
    }

    /// Letters that have arrived once all of now have.
    pub fn handed_over(&self) -> u64 {
        self.letters
            .as_ref()
            .map_or(0, source::Letters::handed_over)
    }

    /// Waits until something may be new; forever without a topic.
    pub async fn news(&self) {
        match &self.letters {
            Some(letters) => letters.news().await,
            None => std::future::pending().await,
        }
    }

    /// Memory that those which wait take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.letters.as_ref().map_or(0, source::Letters::bytes)
    }

    /// Why letters do not reach their topic, if so.
    pub fn problem(&self) -> Option<KolError> {
        self.letters.as_ref()?.problem()
    }
}
