//! Dead letters of a partition. A job without a dead-letter topic only counts such records.

use kol_common::{KolError, SourcePartition};
use tokio::time::Instant;

use crate::source::{self, DeadLetters, Rejected};

/// See the module.
#[derive(Debug)]
pub struct Letters(Option<source::Letters>);

impl Letters {
    /// Of one partition.
    pub fn new(origin: SourcePartition, topic: Option<DeadLetters>) -> Self {
        Self(topic.map(|topic| source::Letters::new(origin, topic)))
    }

    /// Sends what cannot be used.
    pub fn reject(&mut self, rejected: &Rejected<'_>) {
        if let Some(letters) = &mut self.0 {
            letters.reject(rejected);
        }
    }

    /// Takes what is new of those under way, and sends those that wait.
    pub fn tend(&mut self, now: Instant) {
        if let Some(letters) = &mut self.0 {
            letters.tend(now);
        }
    }

    /// Whether more records may be read.
    pub fn has_room(&self) -> bool {
        self.0.as_ref().is_none_or(source::Letters::has_room)
    }

    /// What letters of records that were read so far are told apart by from later ones.
    pub fn mark(&self) -> u64 {
        self.0.as_ref().map_or(0, source::Letters::mark)
    }

    /// Whether all letters before a mark have arrived.
    pub fn have_arrived(&self, mark: u64) -> bool {
        self.0.as_ref().is_none_or(|l| l.have_arrived(mark))
    }

    /// Letters that have arrived.
    pub fn arrived(&self) -> u64 {
        self.0.as_ref().map_or(0, source::Letters::arrived)
    }

    /// Letters that have arrived once all of now have.
    pub fn handed_over(&self) -> u64 {
        self.0.as_ref().map_or(0, source::Letters::handed_over)
    }

    /// Waits until something may be new; forever without a topic.
    pub async fn news(&self) {
        match &self.0 {
            Some(letters) => letters.news().await,
            None => std::future::pending().await,
        }
    }

    /// Why letters do not reach their topic, if so.
    pub fn problem(&self) -> Option<KolError> {
        self.0.as_ref()?.problem()
    }
}
