//! The reference fold: one thread, one record after the other, one rule after the other. It shares
//! no decoding and no scoring code with the product, so that a mistake there shows as a difference. The rules
//! are in `docs/protocol/scoring.md`.
//!
//! Feed it what lies in the log ([`Fold::apply`], in offset order per partition), then query what Redis
//! must hold ([`Fold::view`]).

mod decimal;
mod event;
mod fields;
mod json;
mod name;
mod number;
mod score;
mod slot;
mod time;
mod view;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod input_tests;
#[cfg(test)]
mod rising_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kol_common::job::{Profile, ScoringSpec};

pub use event::{Decoded, decode};
pub use fields::{Explode, Input};
pub use view::{KolView, Number, View};

use slot::Slot;

/// One record of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Number of the partition; of several topics, any number that tells them apart.
    pub partition: u32,
    /// Offset of the record in its partition.
    pub offset: u64,
    /// Kafka timestamp, milliseconds since the epoch.
    pub timestamp_ms: Option<u64>,
    /// Key of the record; `None`: it has none.
    pub key: Option<Vec<u8>>,
    /// Record value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// What became of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All events; a record that cannot be taken apart counts as one.
    pub events: u64,
    /// Events that are older than their partition's clock less the lateness.
    pub late: u64,
    /// Events that are not usable, also those that are ahead.
    pub dead_letter: u64,
    /// Events that are too far ahead of the present.
    pub ahead: u64,
    /// Events with a time of their own that cannot be read.
    pub unreadable_time: u64,
}

/// A Kafka timestamp before 2005 is none: milliseconds since the epoch.
const EARLIEST_TIMESTAMP: u64 = 1_104_537_600_000;

/// Platforms that one partition may have beside those that always count.
const MOST_PLATFORMS: usize = 1_000;

/// A platform and a creator.
pub type Kol = (String, String);

/// All state of one job.
#[derive(Clone, Debug)]
pub struct Fold {
    spec: ScoringSpec,
    input: Input,
    present: Option<u64>,
    clocks: BTreeMap<u32, u64>,
    /// The newest event that counted of each platform in each partition, in milliseconds.
    platforms: BTreeMap<(u32, String), u64>,
    slots: BTreeMap<(u32, Kol), Slot>,
    counts: Counts,
}

impl Fold {
    /// An empty state under this spec, for records that are read in the usual way.
    pub fn new(spec: &ScoringSpec) -> Self {
        Self {
            spec: spec.clone(),
            input: Input::default(),
            present: None,
            clocks: BTreeMap::new(),
            platforms: BTreeMap::new(),
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

    /// Reads records in another way.
    pub fn with_input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// The present when the following records are read, in milliseconds. Without one nothing is ahead of it.
    pub fn set_present(&mut self, ms: u64) {
        self.present = Some(ms);
    }

    /// Takes the next record of a partition in, event by event; one that is rejected leaves the others alone.
    pub fn apply(&mut self, record: &Record) {
        let value = record.value.as_deref();
        for event in event::decode(value, &self.spec.default_platform, &self.input) {
            self.counts.events += 1;
            let timed = event.and_then(|event| Some((self.event_time(&event, record)?, event)));
            let Some((time, event)) = timed else {
                self.counts.dead_letter += 1;
                continue;
            };
            if self.is_ahead(time) {
                self.counts.dead_letter += 1;
                self.counts.ahead += 1;
                continue;
            }
            self.counts.unreadable_time += u64::from(event.unreadable_time);
            self.apply_event(record.partition, time, &event);
        }
    }

    /// The same; whether anything of the record was rejected.
    pub fn rejects(&mut self, record: &Record) -> bool {
        let before = self.counts.dead_letter;
        self.apply(record);
        self.counts.dead_letter > before
    }

    fn apply_event(&mut self, partition: u32, time: u64, event: &Decoded) {
        let clock = self.clocks.entry(partition).or_insert(time);
        *clock = time.max(*clock);
        let oldest_accepted = clock.saturating_sub(self.spec.lateness.0);
        if time < oldest_accepted {
            self.counts.late += 1;
            return;
        }
        if !self.admits(partition, &event.platform) {
            self.counts.dead_letter += 1;
            return;
        }
        let of_platform = (partition, event.platform.clone());
        let newest = self.platforms.entry(of_platform).or_insert(time);
        *newest = time.max(*newest);
        let kol = (event.platform.clone(), event.kol.clone());
        let slot = self.slots.entry((partition, kol)).or_default();
        slot.drop_outdated(oldest_accepted, &self.spec);
        slot.apply(event, time, &self.spec);
    }

    /// Whether an event of this platform counts: its platform is one that always does, or is present, or fewer
    /// than a thousand others are.
    fn admits(&self, partition: u32, platform: &String) -> bool {
        let always = |name: &String| {
            *name == self.spec.default_platform || self.spec.platforms.contains(name)
        };
        let clock = self.clocks[&partition];
        let present: Vec<_> = self
            .platforms
            .range((partition, String::new())..(partition + 1, String::new()))
            .filter(|(_, newest)| clock - **newest < self.spec.retire_after.0)
            .map(|((_, name), _)| name)
            .collect();
        always(platform)
            || present.contains(&platform)
            || present.iter().filter(|name| !always(name)).count() < MOST_PLATFORMS
    }

    /// The event's own time when the record's does not contradict it, else the record's.
    fn event_time(&self, event: &Decoded, record: &Record) -> Option<u64> {
        let own = match self.spec.profile {
            Profile::Default | Profile::Rising => event.time,
            Profile::SparkCompat => None,
        };
        let kafka = record.timestamp_ms.filter(|at| self.is_sensible(*at));
        match (own, kafka) {
            (Some(own), Some(kafka)) if own <= kafka => Some(own),
            (own, kafka) => kafka.or(own),
        }
    }

    /// Whether a Kafka timestamp says anything.
    fn is_sensible(&self, timestamp: u64) -> bool {
        timestamp >= EARLIEST_TIMESTAMP && !self.is_ahead(timestamp)
    }

    fn is_ahead(&self, time: u64) -> bool {
        let bound = |present: u64| present.saturating_add(self.input.max_ahead_ms);
        self.present.is_some_and(|present| time > bound(present))
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
