//! Dead letters of a partition: records that cannot be used, on their way to the job's dead-letter topic.

use kol_common::{KolError, SourcePartition};

use crate::source::{DeadLetters, Parked, Rejected};

/// See the module. A job without a dead-letter topic only counts such records.
#[derive(Debug)]
pub struct Letters {
    origin: SourcePartition,
    topic: Option<DeadLetters>,
    /// Letters for which the producer had no room yet.
    parked: Parked,
}

impl Letters {
    /// Of one partition.
    pub fn new(origin: SourcePartition, topic: Option<DeadLetters>) -> Self {
        Self {
            origin,
            topic,
            parked: Parked::default(),
        }
    }

    /// The partition.
    pub fn origin(&self) -> &SourcePartition {
        &self.origin
    }

    /// Sends what cannot be used, or parks it while there is no room.
    pub fn reject(&mut self, rejected: &Rejected<'_>) {
        if let Some(topic) = &self.topic {
            topic.send(&self.origin, rejected, &mut self.parked);
        }
    }

    /// Sends what was parked, as far as there is room.
    pub fn send_parked(&mut self) {
        if let Some(topic) = &self.topic {
            topic.send_parked(&self.origin, &mut self.parked);
        }
    }

    /// Whether every letter so far was handed over. Nothing more should be read until it was.
    pub fn are_sent(&self) -> bool {
        self.parked.is_empty()
    }

    /// Memory that those which wait take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.parked.bytes()
    }

    /// Why letters do not reach their topic, if so.
    pub fn problem(&self) -> Option<KolError> {
        self.topic.as_ref()?.problem()
    }
}
