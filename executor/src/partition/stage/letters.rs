//! Dead letters of a partition. A job without a dead-letter topic only counts such records.

use kol_common::{KolError, SourcePartition};
use tokio::time::Instant;

use crate::source::{self, DeadLetters, Rejected};

/// See the module.
#[derive(Debug)]
pub struct Letters {
    origin: SourcePartition,
    letters: Option<source::Letters>,
}

impl Letters {
    /// Of one partition.
    pub fn new(origin: SourcePartition, topic: Option<DeadLetters>) -> Self {
        let letters = topic.map(|topic| source::Letters::new(origin.clone(), topic));
        Self { origin, letters }
    }

    /// The partition.
    pub fn origin(&self) -> &SourcePartition {
        &self.origin
    }

    /// Sends what cannot be used.
    pub fn reject(&mut self, rejected: &Rejected<'_>) {
        if let Some(letters) = &mut self.letters {
            letters.reject(rejected);
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

    /// What letters of records that were read so far are told apart by from later ones.
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
