//! What an event adds to the state (`docs/protocol/scoring.md`, "What an event adds").

use std::ops::Range;

use kol_common::checkpoint::Record;
use kol_common::scoring::spread;

use super::State;
use super::consumers::{Consumer, KolIndex};
use super::gaps::Gaps;
use super::panes::{PaneRules, Panes};
use super::queue::Admitted;
use super::reading::{Entity, MISSING};
use super::readings::Readings;

/// What a slot gained.
#[derive(Clone, Copy, Debug)]
struct Gain {
    engagements: u64,
    /// It arose from here to the time of the event.
    since: u64,
}

impl Gain {
    const NONE: Self = Self {
        engagements: 0,
        since: 0,
    };
}

/// What a reading changes beside its slot.
struct Books<'s> {
    readings: &'s mut Readings,
    gaps: &'s mut Gaps,
    copies: &'s mut Vec<u8>,
    ttl: u64,
}

impl State {
    /// Applies an event whose turn it is. `text` is what it refers to.
    pub(super) fn apply_admitted(&mut self, event: &Admitted, text: &str) {
        let kol = self.kol_of(event, event.name(text));
        self.hot.event(kol);
        let market = self.market_panes(event.window_end);
        let spec = &self.scoring.spec;
        let slot = self.kols.slot_mut(kol);
        slot.panes.advance(&self.rules, event.window_end);
        let (engagement_e6, gain) = if self.scoring.cumulative() {
            let mut books = Books {
                readings: &mut self.readings,
                gaps: &mut self.gaps,
                copies: &mut self.copies,
                ttl: spec.entity_ttl.0,
            };
            let Some(gain) = books.read(kol, slot.first, event, event.entity(text)) else {
                return;
            };
            (0, gain)
        } else {
            (total(event.counters).saturating_mul(1_000_000), Gain::NONE)
        };
        slot.first = slot.first.min(event.time);
        slot.newest = slot.newest.max(event.time);
        for consumer in Consumer::OF_EVENTS {
            self.changed.note(consumer, kol, &mut slot.waiting);
        }
        let before = slot.panes.heap();
        let touched = add(
            &mut slot.panes,
            &self.rules,
            event.time,
            engagement_e6,
            gain,
        );
        let after = slot.panes.heap();
        // When the window end moves, all slots are added up again.
        if touched.start < market.end && market.start < touched.end {
            self.changed.note(Consumer::Market, kol, &mut slot.waiting);
        }
        self.kols.resized(before, after);
    }

    /// The KOL of an event; a slot that no longer counts is reset.
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
            self.kols.set_panes(kol, Panes::default());
        }
        kol
    }
}

impl Books<'_> {
    /// A reading of lifetime counters: what it gained. `None`: it has no effect.
    fn read(
        &mut self,
        kol: KolIndex,
        first_event: u64,
        event: &Admitted,
        entity: Entity<'_>,
    ) -> Option<Gain> {
        let time = event.time;
        let known = event.reading;
        let last = known.or_else(|| self.readings.find(kol, entity));
        let counts = last.filter(|i| self.readings.get(*i).time() + self.ttl >= event.oldest);
        let Some(index) = counts else {
            self.begin(kol, event, entity, last);
            return Some(self.gain_of_new(first_event, event, entity));
        };
        let since = self.readings.get(index).time();
        if time <= since {
            return (time < since).then_some(Gain::NONE);
        }
        let span = time - since;
        let last = self.readings.change(index, self.copies);
        last.set_time(time);
        if span > self.ttl {
            last.begin(event.counters);
            return Some(Gain::NONE);
        }
        // Views are kept, not counted; a profile has one counter.
        let gains = last.advance(event.counters);
        self.gaps.add(span);
        Some(Gain {
            engagements: gains[..3].iter().sum(),
            since,
        })
    }

    /// Keeps a first reading. `place` is that of one that no longer counts.
    fn begin(&mut self, kol: KolIndex, event: &Admitted, entity: Entity<'_>, place: Option<u32>) {
        let (time, counters) = (event.time, event.counters);
        match place {
            Some(index) => {
                let last = self.readings.change(index, self.copies);
                last.set_time(time);
                last.begin(counters);
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
            return Gain::NONE;
        }
        Gain {
            engagements: total(event.counters),
            since: made,
        }
    }
}

/// Adds an event of this time itself, with what it counts at once, and what it gained: which panes that has.
#[inline]
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
    if gain.engagements == 0 {
        return pane..pane + 1;
    }
    for share in spread(gain.engagements, gain.since, time, slide) {
        if share.each_e6 > 0 {
            panes.add(rules, share.from..share.to, share.each_e6, 0);
        }
    }
    gain.since / slide..pane + 1
}

/// What is counted: views are not.
fn total(counters: [u64; 4]) -> u64 {
    let counted = counters[..3].iter().filter(|counter| **counter != MISSING);
    counted.sum()
}
