//! The state of one source partition: what its log, read up to some offset, amounts to.
//!
//! `batch` and `apply` are the per-event path: an event looks up at most one KOL and one reading, touches at most the
//! panes of one slot, and allocates only for what is seen for the first time, or for longer than before. Nothing here
//! does I/O or reads a clock, and nothing here knows what others do with the state.
//!
//! | file | does |
//! |---|---|
//! | `batch`, `queue`, `apply` | takes events, some together; what each adds |
//! | `kols`, `platforms`, `readings`, `gaps` | the tables |
//! | `panes`, `ring`, `rates`, `rises`, `reading`, `long_ids` | what lies in them, in few bytes |
//! | `slab`, `index`, `seed`, `prefetch` | how they are laid out, and how a key is found in them |
//! | `consumers` | which KOLs changed, for each consumer |
//! | `hot` | the creators with the most events |
//! | `sample`, `spellings` | a few entities and creators, to compare with those of other partitions |
//! | `shares` | what the slots amount to now, for consumers and `explain` |
//! | `market` | the partition's share of the market |
//! | `changes`, `capture`, `restore` | copies at a barrier, and the state back from them |
//!
//! **Indexes.** A KOL is known to consumers by its index. [`State::sweep`] forgets KOLs that can never
//! count again, and their indexes are given to others. It does not forget a KOL that waits in a
//! change-set, nor one that its caller still holds something for.

mod apply;
mod batch;
mod capture;
mod changes;
mod consumers;
mod gaps;
mod hot;
mod index;
mod kols;
mod long_ids;
mod market;
mod panes;
mod platforms;
mod prefetch;
mod queue;
mod rates;
mod reading;
mod readings;
mod restore;
mod ring;
mod rises;
mod sample;
mod seed;
mod shares;
mod slab;
mod spellings;

use std::sync::Arc;

use kol_common::Millis;
use kol_common::checkpoint::{CarriedPane, Pane};
use kol_common::proto::{HotKol, Sighting, Spelling};
use kol_common::scoring::{MarketSum, Scoring};

pub use batch::Batch;
pub use changes::Capture;
use changes::Changes;
use consumers::ChangeSets;
pub use consumers::{Consumer, KolIndex};
use gaps::Gaps;
use hot::Hot;
use kols::{Kols, Slot};
use panes::PaneRules;
pub use platforms::PlatformIndex;
use queue::Queue;
use reading::MISSING;
use readings::Readings;
pub use restore::Restorer;
use rises::Spread;
use sample::Sampler;
pub use shares::Phase;
use spellings::Spellings;

/// State of one partition.
#[derive(Debug)]
pub struct State {
    scoring: Arc<Scoring>,
    rules: PaneRules,
    kols: Kols,
    readings: Readings,
    gaps: Gaps,
    hot: Hot,
    sampler: Sampler,
    spellings: Spellings,
    clock: Option<Millis>,
    window_end: u64,
    /// The same, as a time: no clock before it moves the window.
    window_end_ms: u64,
    queue: Queue,
    /// What changed since each consumer took it last.
    changed: ChangeSets,
    market: Vec<MarketSum>,
    market_at: u64,
    sweep_at: usize,
    /// What changed since the last capture.
    changes: Changes,
    /// Records of the capture under way that were not fetched yet.
    copies: Vec<u8>,
    panes_copied: Vec<Pane>,
    carried_copied: Vec<CarriedPane>,
    /// What an event settles; empty between events.
    settled: Vec<Spread>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is in the state now.
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
            rules: PaneRules::new(Arc::clone(&scoring)),
            kols: Kols::new(&scoring.spec),
            scoring,
            readings: Readings::default(),
            gaps: Gaps::default(),
            hot: Hot::default(),
            sampler: Sampler::default(),
            spellings: Spellings::default(),
            clock: None,
            window_end: 0,
            window_end_ms: 0,
            queue: Queue::default(),
            changed: ChangeSets::default(),
            market: Vec::new(),
            market_at: 0,
            sweep_at: 0,
            changes: Changes::default(),
            copies: Vec::new(),
            panes_copied: Vec::new(),
            carried_copied: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Raises the window end to that of a clock; it never goes back.
    pub fn raise_clock(&mut self, clock: Millis) {
        if clock.0 >= self.window_end_ms {
            let window_end = self.scoring.window_end(clock);
            self.set_window_end(self.window_end.max(window_end));
        }
    }

    fn set_window_end(&mut self, window_end: u64) {
        self.window_end = window_end;
        self.window_end_ms = self.scoring.time(window_end).0;
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
            + self.readings.bytes()
            + self.queue.bytes()
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

    /// Looks at the next `count` readings and creators for the samples.
    pub fn sample_some(&mut self, count: usize) {
        self.sampler.step(count, &self.readings, &self.kols);
        self.spellings.step(count, &self.kols);
    }

    /// A few of the entities, the same ones in every partition that has them.
    pub fn sample(&self) -> &[Sighting] {
        self.sampler.sample()
    }

    /// A few of the creators, the same ones in every partition that has them, and some that differ only by case.
    pub fn spellings(&self) -> &[Spelling] {
        self.spellings.sample()
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
            let index = self.sweep_at as KolIndex;
            let Some((_, slot)) = self.kols.slot_of(index) else {
                continue;
            };
            let is_dead = slot.newest < dead_before.0 && slot.market_e4 == MISSING;
            if is_dead && slot.waiting.is_nowhere() && may_forget(index) {
                self.changing(index);
                self.kols.forget(index);
                self.hot.forget(index);
            }
        }
    }
}

#[cfg(test)]
mod cases_tests;
#[cfg(test)]
mod rising_tests;
#[cfg(test)]
mod tests;
