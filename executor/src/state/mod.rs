//! The state of one source partition: what its log, read up to some offset, amounts to.
//!
//! `apply` is the per-event path: it looks up at most one KOL and one reading, touches at most the
//! panes of one slot, and allocates only for what is seen for the first time. Nothing here does I/O
//! or reads a clock, and nothing here knows what others do with the state.
//!
//! | file | does |
//! |---|---|
//! | `kols`, `platforms`, `readings`, `panes`, `gaps` | the tables |
//! | `consumers` | which KOLs changed, for each consumer |
//! | `hot` | the creators with the most events |
//! | `sample` | a few entities, to compare with those of other partitions |
//! | `shares` | what the slots amount to now, for consumers and `explain` |
//! | `market` | the partition's share of the market |
//! | `changes`, `capture`, `restore` | copies at a barrier, and the state back from them |
//!
//! **Indexes.** A KOL is known to consumers by its index. [`State::sweep`] forgets KOLs that can never
//! count again, and their indexes are given to others. It does not forget a KOL that waits in a
//! change-set, nor one that its caller still holds something for.

mod capture;
mod changes;
mod consumers;
mod gaps;
mod hot;
mod kols;
mod market;
mod panes;
mod platforms;
mod readings;
mod restore;
mod sample;
mod shares;

use std::sync::Arc;

use kol_common::Millis;
use kol_common::checkpoint::{Pane, Record};
use kol_common::event::Event;
use kol_common::proto::{HotKol, Sighting};
use kol_common::scoring::{MarketSum, Scoring, spread};

pub use changes::Capture;
use changes::Changes;
pub use consumers::Consumer;
use consumers::{ChangeSets, Waiting};
use gaps::Gaps;
use hot::Hot;
pub use kols::KolIndex;
use kols::{Interned, Kols};
use panes::Panes;
pub use platforms::PlatformIndex;
use readings::{MISSING, Readings};
pub use restore::Restorer;
use sample::Sampler;
pub use shares::Phase;

/// State of one partition.
#[derive(Debug)]
pub struct State {
    scoring: Arc<Scoring>,
    kols: Kols,
    slots: Vec<Slot>,
    panes: Panes,
    readings: Readings,
    gaps: Gaps,
    hot: Hot,
    sampler: Sampler,
    clock: Option<Millis>,
    window_end: u64,
    /// For consumers.
    changed: ChangeSets,
    market: Vec<MarketSum>,
    market_at: u64,
    sweep_at: usize,
    /// For captures.
    changes: Changes,
    /// Records of the capture under way that were not fetched yet.
    copies: Vec<u8>,
    panes_copied: Vec<Pane>,
}

/// What a slot has besides its panes.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Oldest event time, ms.
    first: u64,
    /// Newest event time, ms.
    newest: u64,
    /// Its velocity in the market sums, in 1/10000; [`MISSING`] when it is not part of them.
    market_e4: u64,
    /// Consumers that have not taken its newest change.
    waiting: Waiting,
}

impl Slot {
    const EMPTY: Self = Self {
        first: u64::MAX,
        newest: 0,
        market_e4: MISSING,
        waiting: Waiting::NOWHERE,
    };
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It counts.
    Counted,
    /// It is older than the clock allows: no effect.
    Late,
    /// It names one platform too many: no effect.
    TooManyPlatforms,
}

impl State {
    /// Nothing read yet.
    pub fn new(scoring: Arc<Scoring>) -> Self {
        Self {
            panes: Panes::new(scoring.kept),
            kols: Kols::new(&scoring.spec),
            scoring,
            slots: Vec::new(),
            readings: Readings::default(),
            gaps: Gaps::default(),
            hot: Hot::default(),
            sampler: Sampler::default(),
            clock: None,
            window_end: 0,
            changed: ChangeSets::default(),
            market: Vec::new(),
            market_at: 0,
            sweep_at: 0,
            changes: Changes::default(),
            copies: Vec::new(),
            panes_copied: Vec::new(),
        }
    }

    /// Applies the next event of the log. `time` is its effective event time.
    ///
    /// The clock advances first; an event older than the clock minus the lateness then has no effect.
    pub fn apply(&mut self, event: &Event<'_>, time: Millis) -> Applied {
        let clock = self.clock.map_or(time, |c| c.max(time));
        self.clock = Some(clock);
        self.raise_clock(clock);
        let oldest = clock.since(self.scoring.spec.lateness);
        if time < oldest {
            return Applied::Late;
        }
        let kol = match self.kols.intern(&event.platform, &event.kol, time, clock) {
            Interned::Known(kol) => {
                self.changing(kol);
                let dead = self.slots[kol as usize].newest + self.scoring.spec.entity_ttl.0;
                if dead < oldest.0 {
                    self.start_slot(kol);
                }
                kol
            }
            Interned::New(kol) => {
                if self.changes.note(kol) {
                    // Its place was free when the capture began.
                    Record::NoKol(kol).append(&mut self.copies);
                }
                self.start_slot(kol);
                kol
            }
            Interned::TooManyPlatforms => return Applied::TooManyPlatforms,
        };
        self.hot.event(kol);
        self.panes.advance(&self.scoring, kol, self.window_end);
        if self.scoring.cumulative() {
            self.read(kol, event, time.0, oldest.0);
        } else {
            let sum = [event.likes, event.comments, event.shares]
                .into_iter()
                .flatten()
                .sum::<u64>();
            self.seen(kol, time.0);
            let pane = self.scoring.pane(time);
            self.add(kol, pane..pane + 1, sum.saturating_mul(1_000_000), 1);
        }
        Applied::Counted
    }

    /// A reading of lifetime counters (`docs/protocol/scoring.md`, "What an event adds").
    fn read(&mut self, kol: KolIndex, event: &Event<'_>, time: u64, oldest: u64) {
        let video = event.video_id.as_deref();
        let now = counters(event);
        let ttl = self.scoring.spec.entity_ttl.0;
        let last = self.readings.find(kol, video);
        let Some(index) = last.filter(|&i| self.readings.get(i).time + ttl >= oldest) else {
            self.seen(kol, time);
            self.first_reading(kol, event, now, time);
            return;
        };
        let since = self.readings.get(index).time;
        if time == since {
            return;
        }
        let mut gained = None;
        if time > since {
            let span = time - since;
            let last = self.readings.change(index, &mut self.copies);
            if span > ttl {
                last.begin(now);
            } else {
                // Views are kept, not counted; a profile has one counter.
                let gains = last.advance(now);
                gained = Some(gains[..3].iter().sum());
                self.gaps.add(span);
            }
            last.time = time;
        }
        self.seen(kol, time);
        let pane = time / self.scoring.spec.slide.0;
        self.add(kol, pane..pane + 1, 0, 1);
        if let Some(gain) = gained {
            self.add_gain(kol, gain, since, time);
        }
    }

    /// A first reading is a baseline, unless the video was made while this slot was being watched:
    /// then it is a gain from zero since the creation. The creation counts as a reading of zeros, so
    /// one longer ago than `entity_ttl` gives no gain; a video whose reading was dropped by then can
    /// therefore not be taken for a new one.
    fn first_reading(&mut self, kol: KolIndex, event: &Event<'_>, now: [u64; 4], time: u64) {
        let video = event.video_id.as_deref();
        if let Some(index) = self.readings.find(kol, video) {
            let last = self.readings.change(index, &mut self.copies);
            last.time = time;
            last.begin(now);
        } else {
            let copies = &mut self.copies;
            self.readings.insert(kol, video, time, now, copies);
        }
        let pane = time / self.scoring.spec.slide.0;
        self.add(kol, pane..pane + 1, 0, 1);
        let (Some(made), Some(_)) = (event.published, video) else {
            return;
        };
        let first_event = self.slots[kol as usize].first;
        if made.0 < time && made.0 >= first_event && time - made.0 <= self.scoring.spec.entity_ttl.0
        {
            let total = now[..3].iter().filter(|c| **c != MISSING).sum();
            self.add_gain(kol, total, made.0, time);
        }
    }

    fn add_gain(&mut self, kol: KolIndex, gain: u64, since: u64, now: u64) {
        for share in spread(gain, since, now, self.scoring.spec.slide.0) {
            if share.each_e6 > 0 {
                self.add(kol, share.from..share.to, share.each_e6, 0);
            }
        }
    }

    fn add(&mut self, kol: KolIndex, panes: std::ops::Range<u64>, each_e6: u64, events: u32) {
        self.panes.add(&self.scoring, kol, panes, each_e6, events);
    }

    /// Notes that an event with an effect arrived for a slot.
    fn seen(&mut self, kol: KolIndex, time: u64) {
        let slot = &mut self.slots[kol as usize];
        slot.first = slot.first.min(time);
        slot.newest = slot.newest.max(time);
        self.changed.note(kol, &mut slot.waiting);
    }

    fn start_slot(&mut self, kol: KolIndex) {
        let index = kol as usize;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, Slot::EMPTY);
        }
        let slot = &mut self.slots[index];
        slot.first = u64::MAX;
        slot.newest = 0;
        self.panes.reset(kol);
    }

    /// Raises the window end to that of a clock; it never goes back.
    pub fn raise_clock(&mut self, clock: Millis) {
        self.window_end = self.window_end.max(self.scoring.window_end(clock));
    }

    /// The window end `T` at which this partition scores; 0 while no clock is known.
    pub fn window_end(&self) -> u64 {
        self.window_end
    }

    /// Newest event time seen.
    pub fn clock(&self) -> Option<Millis> {
        self.clock
    }

    /// KOLs and entities in state, and the memory they take, about.
    pub fn size(&self) -> (usize, usize, usize) {
        let bytes = self.kols.bytes()
            + self.slots.capacity() * size_of::<Slot>()
            + self.panes.bytes()
            + self.readings.bytes()
            + self.changes.bytes()
            + self.changed.bytes()
            + self.copies.capacity();
        (self.kols.len(), self.readings.len(), bytes)
    }

    /// Median time between two readings of an entity.
    pub fn median_gap(&self) -> Option<Millis> {
        self.gaps.median().map(Millis)
    }

    /// The creators that take most of the newest events, the first one first.
    pub fn hottest(&self) -> Vec<HotKol> {
        self.hot.hottest(&self.kols)
    }

    /// Looks at the next `count` readings for the sample.
    pub fn sample_some(&mut self, count: usize) {
        self.sampler.step(count, &self.readings, &self.kols);
    }

    /// A few of the entities, the same ones in every partition that has them.
    pub fn sample(&self) -> &[Sighting] {
        self.sampler.sample()
    }

    /// Drops what can never count again, a bounded piece at a time: readings, and the slots of KOLs
    /// whose newest event is more than `entity_ttl` older than the partition's own clock allows.
    /// `apply` treats such readings and slots as absent anyway, so it does not matter when.
    ///
    /// An index is reused after its KOL was forgotten. `may_forget` says whether the caller holds nothing
    /// more under that index: for delivery, that Redis does not have the KOL and nothing of it is in
    /// flight. It is called only for KOLs that are due and wait in no change-set.
    pub fn sweep(&mut self, count: usize, may_forget: impl Fn(KolIndex) -> bool) {
        let Some(clock) = self.clock else {
            return;
        };
        let oldest = clock.since(self.scoring.spec.lateness);
        let dead_before = oldest.since(self.scoring.spec.entity_ttl);
        if dead_before.0 == 0 {
            return;
        }
        self.readings.sweep(count, dead_before.0, &mut self.copies);
        let count = count.min(self.kols.bound());
        for _ in 0..count {
            self.sweep_at = (self.sweep_at + 1) % self.kols.bound();
            let index = self.sweep_at;
            let slot = &self.slots[index];
            let dead = slot.newest < dead_before.0 && slot.market_e4 == MISSING;
            let known = self.kols.name(index as KolIndex).is_some();
            if dead && known && slot.waiting.is_nowhere() && may_forget(index as KolIndex) {
                self.changing(index as KolIndex);
                self.kols.forget(index as KolIndex);
                self.hot.forget(index as KolIndex);
                self.slots[index] = Slot::EMPTY;
            }
        }
    }
}

fn counters(event: &Event<'_>) -> [u64; 4] {
    let all = if event.video_id.is_some() {
        [event.likes, event.comments, event.shares, event.views]
    } else {
        [event.followers, None, None, None]
    };
    all.map(|c| c.unwrap_or(MISSING))
}

#[cfg(test)]
mod tests;
