//! The reference fold: one thread, one record after the other, one rule after the other. It shares
//! no decoding and no scoring code with the product, so that a mistake there shows as a difference.
//!
//! Feed it what lies in the log ([`Fold::apply`], in offset order per partition), then ask what Redis
//! must hold ([`Fold::view`]).

mod event;
mod number;
mod score;
mod slot;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kol_common::job::{Profile, ScoringSpec};

pub use view::{KolView, Number, View};

use event::Decoded;
use slot::Slot;

/// One record of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Number of the partition; of several topics, any number that tells them apart.
    pub partition: u32,
    /// Kafka offset.
    pub offset: u64,
    /// Kafka timestamp, milliseconds since the epoch.
    pub timestamp_ms: Option<u64>,
    /// Record key.
    pub key: Option<Vec<u8>>,
    /// Record value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// What became of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All records.
    pub events: u64,
    /// Older than their partition's clock less the lateness.
    pub late: u64,
    /// Not usable.
    pub dead_letter: u64,
}

/// A platform and a creator.
pub type Kol = (String, String);

/// All state of one job.
#[derive(Clone, Debug)]
pub struct Fold {
    spec: ScoringSpec,
    clocks: BTreeMap<u32, u64>,
    slots: BTreeMap<(u32, Kol), Slot>,
    counts: Counts,
}

impl Fold {
    /// An empty state under this spec.
    pub fn new(spec: &ScoringSpec) -> Self {
        Self {
            spec: spec.clone(),
            clocks: BTreeMap::new(),
            slots: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// A fold of a whole log.
    pub fn of<'a>(spec: &ScoringSpec, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut fold = Self::new(spec);
        for record in records {
            fold.apply(record);
        }
        fold
    }

    /// Takes the next record of a partition in.
    pub fn apply(&mut self, record: &Record) {
        self.counts.events += 1;
        let decoded = event::decode(record.value.as_deref(), &self.spec.default_platform);
        let timed = decoded.and_then(|event| Some((self.event_time(&event, record)?, event)));
        let Some((time, event)) = timed else {
            self.counts.dead_letter += 1;
            return;
        };
        let clock = self.clocks.entry(record.partition).or_insert(time);
        *clock = time.max(*clock);
        let oldest_accepted = clock.saturating_sub(self.spec.lateness.0);
        if time < oldest_accepted {
            self.counts.late += 1;
            return;
        }
        let kol = (event.platform.clone(), event.kol.clone());
        let slot = self.slots.entry((record.partition, kol)).or_default();
        slot.drop_outdated(oldest_accepted, &self.spec);
        slot.apply(&event, time, &self.spec);
    }

    /// The event's own time when it is believable, else the record's.
    fn event_time(&self, event: &Decoded, record: &Record) -> Option<u64> {
        let own = match self.spec.profile {
            Profile::Default => event.time,
            Profile::SparkCompat => None,
        };
        match (own, record.timestamp_ms) {
            (Some(own), Some(kafka)) if own <= kafka => Some(own),
            (own, kafka) => kafka.or(own),
        }
    }

    /// What became of the records so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The job clock without idle time: the newest partition clock, in milliseconds.
    pub fn clock(&self) -> Option<u64> {
        self.clocks.values().max().copied()
    }

    /// The window end `t` in milliseconds: the end of the pane that holds the job clock.
    pub fn window_end(&self) -> Option<u64> {
        let slide = self.spec.slide.0;
        self.clock().map(|clock| (clock / slide + 1) * slide)
    }
}
