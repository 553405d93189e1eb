//! What an event adds to the state (`docs/protocol/scoring.md`, "What an event adds").

use std::ops::Range;

use kol_common::checkpoint::Record;
use kol_common::scoring::Scoring;

use super::State;
use super::consumers::{Consumer, KolIndex};
use super::gaps::Gaps;
use super::kols::Slot;
use super::panes::{PaneRules, Panes};
use super::queue::Admitted;
use super::rates::Rate;
use super::reading::{Entity, MISSING};
use super::readings::Readings;
use super::rises::{Spread, rises};

/// What a reading says.
#[derive(Clone, Copy, Debug)]
struct Gain {
    /// What its slot gained.
    gained: Spread,
    /// Whether that lies beside the panes, until the next reading decides about it.
    is_suspect: bool,
    /// The rate that was carried on until now, and since when.
    ended: (Rate, u64),
}

impl Gain {
    /// Nothing was gained up to this time.
    fn none(time: u64) -> Self {
        Self::of(0, time, time)
    }

    fn of(gain: u64, since: u64, time: u64) -> Self {
        Self {
            gained: Spread { gain, since, time },
            is_suspect: false,
            ended: (Rate::NONE, 0),
        }
    }

    /// The rate that it says.
    fn rate(self) -> Rate {
        let Spread { gain, since, time } = self.gained;
        Rate::new(gain, time - since)
    }
}

/// What a reading changes beside its slot. `CARRIES_ON`: whether rates of readings are carried on; jobs that carry none
/// on have code of their own, which does not look for any.
struct Books<'s, const CARRIES_ON: bool> {
    readings: &'s mut Readings,
    gaps: &'s mut Gaps,
    copies: &'s mut Vec<u8>,
    settled: &'s mut Vec<Spread>,
    ttl: u64,
}

impl State {
    /// Applies an event whose turn it is. `text` is what it refers to; `CARRIES_ON` is [`Scoring::carries_on`].
    pub(super) fn apply_admitted<const CARRIES_ON: bool>(&mut self, event: &Admitted, text: &str) {
        let kol = self.kol_of(event, event.name(text));
        self.hot.event(kol);
        let market = self.market_panes(event.window_end);
        let spec = &self.scoring.spec;
        let slot = self.kols.slot_mut(kol);
        slot.panes.advance(&self.rules, event.window_end);
        let before = slot.heap_if::<CARRIES_ON>();
        let carried = slot.carried.as_ref().filter(|_| CARRIES_ON);
        let undecided = carried.is_some_and(|c| !c.suspects.is_empty());
        let (engagement_e6, gain) = if self.scoring.cumulative() {
            let mut books = Books::<CARRIES_ON> {
                readings: &mut self.readings,
                gaps: &mut self.gaps,
                copies: &mut self.copies,
                settled: &mut self.settled,
                ttl: spec.entity_ttl.0,
            };
            let Some(gain) = books.read(kol, slot, event, event.entity(text)) else {
                return;
            };
            (0, gain)
        } else {
            let total = total(event.counters).saturating_mul(1_000_000);
            (total, Gain::none(event.time))
        };
        slot.first = slot.first.min(event.time);
        slot.newest = slot.newest.max(event.time);
        for consumer in Consumer::OF_EVENTS {
            self.changed.note(consumer, kol, &mut slot.waiting);
        }
        let mut touched = add(
            &mut slot.panes,
            &self.rules,
            event.time,
            engagement_e6,
            gain,
        );
        if CARRIES_ON {
            for gained in self.settled.drain(..) {
                slot.panes.spread(&self.rules, gained);
            }
            let carried = carry_on(slot, &self.scoring, event, gain);
            touched = touched.start.min(carried.start)..touched.end.max(carried.end);
            if undecided {
                touched.start = 0;
            }
        }
        let after = slot.heap_if::<CARRIES_ON>();
        // When the window end moves, all slots are added up again.
        if touched.start < market.end && market.start < touched.end {
            self.changed.note(Consumer::Market, kol, &mut slot.waiting);
        }
        self.kols.resized(before, after);
    }

    /// The KOL of an event; a slot that no longer counts is reset.
    #[inline(always)]
    fn kol_of(&mut self, event: &Admitted, name: &str) -> KolIndex {
        let (hash, platform) = (event.hash, event.platform);
        let known = event.kol;
        let Some(kol) = known.or_else(|| self.kols.lookup(hash, platform, name)) else {
            let kol = self.kols.insert(hash, platform, name);
            if self.changes.note(kol) {
                // Its place was free when the capture began.
                Record::NoKol(kol).append(&mut self.copies);
            }
            return kol;
        };
        self.changing(kol);
        let slot = self.kols.slot_mut(kol);
        if slot.newest + self.scoring.spec.entity_ttl.0 < event.oldest {
            (slot.first, slot.newest) = (u64::MAX, 0);
            self.changed.note(Consumer::Market, kol, &mut slot.waiting);
            self.kols.set_panes(kol, Panes::default(), None);
        }
        kol
    }
}

impl<const CARRIES_ON: bool> Books<'_, CARRIES_ON> {
    /// A reading of lifetime counters: what it gained. `None`: it has no effect.
    fn read(
        &mut self,
        kol: KolIndex,
        slot: &mut Slot,
        event: &Admitted,
        entity: Entity<'_>,
    ) -> Option<Gain> {
        let time = event.time;
        let known = event.reading;
        let last = known.or_else(|| self.readings.find(kol, entity));
        let counts = last.filter(|i| self.readings.get(*i).time() + self.ttl >= event.oldest);
        let Some(index) = counts else {
            let gain = self.gain_of_new(slot.first, event, entity);
            let index = self.begin(kol, event, entity, last);
            self.release(kol, slot, index, event.oldest);
            self.carry_on(index, gain.rate());
            return Some(gain);
        };
        let since = self.readings.get(index).time();
        if time <= since {
            return (time < since).then(|| Gain::none(time));
        }
        let span = time - since;
        let ended = if CARRIES_ON {
            (self.readings.rate(index), since)
        } else {
            (Rate::NONE, 0)
        };
        let mut gain = if span > self.ttl {
            let last = self.readings.change(index, self.copies);
            last.set_time(time);
            last.begin(event.counters);
            self.release(kol, slot, index, event.oldest);
            Gain::none(time)
        } else {
            self.gaps.add(span);
            self.advance(slot, index, (since, time), event.counters)
        };
        gain.ended = ended;
        self.carry_on(index, gain.rate());
        Some(gain)
    }

    /// A newer reading of an entity: what it gained since the one before.
    fn advance(
        &mut self,
        slot: &mut Slot,
        index: u32,
        (since, time): (u64, u64),
        counters: [u64; 4],
    ) -> Gain {
        let last = self.readings.change(index, self.copies);
        last.set_time(time);
        if let Some(carried) = slot.carried.as_mut().filter(|_| CARRIES_ON) {
            (carried.suspects).decide(index, counters, last, self.settled);
        }
        let before = last.counters();
        let gains = last.advance(counters);
        // Views are kept, not counted; a profile has one counter.
        let mut gain = Gain::of(gains[..3].iter().sum(), since, time);
        if CARRIES_ON {
            let rises = rises(before, counters, gains);
            if !rises.is_empty() {
                let carried = slot.carried.get_or_insert_default();
                carried.suspects.add(index, gain.gained, rises);
                gain.is_suspect = true;
            }
        }
        gain
    }

    /// A reading that begins anew decides about nothing, and neither do those of this slot that no longer count.
    fn release(&mut self, kol: KolIndex, slot: &mut Slot, begun: u32, oldest: u64) {
        let Some(carried) = slot.carried.as_mut().filter(|_| CARRIES_ON) else {
            return;
        };
        let (readings, ttl) = (&*self.readings, self.ttl);
        let is_over = |index: u32| {
            let reading = readings.get(index);
            index == begun || reading.kol != kol || reading.time() + ttl < oldest
        };
        carried.suspects.release(is_over, self.settled);
    }

    /// Keeps the rate of a reading.
    fn carry_on(&mut self, index: u32, rate: Rate) {
        if CARRIES_ON {
            self.readings.set_rate(index, rate);
        }
    }

    /// Keeps a first reading; answers its index. `place` is that of one that no longer counts.
    fn begin(
        &mut self,
        kol: KolIndex,
        event: &Admitted,
        entity: Entity<'_>,
        place: Option<u32>,
    ) -> u32 {
        let (time, counters) = (event.time, event.counters);
        match place {
            Some(index) => {
                let last = self.readings.change(index, self.copies);
                last.set_time(time);
                last.begin(counters);
                index
            }
            None => (self.readings).insert(kol, entity, time, counters, self.copies),
        }
    }

    /// A first reading is a baseline, unless the video was made while this slot was being watched:
    /// then it is a gain from zero since the creation. The creation counts as a reading of zeros, so
    /// one longer ago than `entity_ttl` gives no gain; a video whose reading was dropped by then can
    /// therefore not be taken for a new one.
    fn gain_of_new(&self, first_event: u64, event: &Admitted, entity: Entity<'_>) -> Gain {
        let (time, made) = (event.time, event.published);
        // Where it is not known, it is later than any time.
        let is_new = entity != Entity::Profile && made < time && made >= first_event;
        if !is_new || time - made > self.ttl {
            return Gain::none(time);
        }
        Gain::of(total(event.counters), made, time)
    }
}

/// Adds an event of this time itself, with what it counts at once, and what it gained: which panes that has. A call of its
/// own would cost each event a twentieth more.
#[inline(always)]
fn add(
    panes: &mut Panes,
    rules: &PaneRules,
    time: u64,
    engagement_e6: u64,
    gain: Gain,
) -> Range<u64> {
    let slide = rules.slide();
    let pane = time / slide;
    panes.add(rules, pane..pane + 1, engagement_e6, 1);
    if gain.gained.gain == 0 {
        return pane..pane + 1;
    }
    if !gain.is_suspect {
        panes.spread(rules, gain.gained);
    }
    gain.gained.since / slide..pane + 1
}

/// Takes what was carried on of an entity out of its slot, and carries on what it gained now: which panes that has.
fn carry_on(slot: &mut Slot, scoring: &Scoring, event: &Admitted, gain: Gain) -> Range<u64> {
    let slide = scoring.spec.slide.0;
    let pane = event.time / slide;
    let (ended, since) = gain.ended;
    let begun = gain.rate();
    if let Some(carried) = &mut slot.carried {
        carried.advance(scoring, event.window_end);
        carried.take(scoring, ended, since);
    }
    if !begun.is_none() {
        let carried = slot.carried.get_or_insert_default();
        carried.advance(scoring, event.window_end);
        carried.add(scoring, begun, event.time);
    }
    let from = if ended.is_none() { pane } else { since / slide };
    from..pane + scoring.ahead() + 1
}

/// What is counted: views are not.
fn total(counters: [u64; 4]) -> u64 {
    let counted = counters[..3].iter().filter(|counter| **counter != MISSING);
    counted.sum()
}
