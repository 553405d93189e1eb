//! What an event adds to the state (`docs/protocol/scoring.md`, "What an event adds").

use kol_common::checkpoint::Record;
use kol_common::scoring::spread;

use super::batch::Admitted;
use super::consumers::Consumer;
use super::kols::KolIndex;
use super::reading::{Entity, MISSING};
use super::{Slot, State};

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

impl State {
    /// Applies an event whose turn it is. `text` is what it refers to.
    pub(super) fn apply_admitted(&mut self, event: &Admitted, text: &str) {
        let kol = self.slot_of(event, event.name(text));
        self.hot.event(kol);
        let slot = self.kols.slot_mut(kol);
        slot.panes.advance(&self.rules, event.window_end);
        if self.scoring.cumulative() {
            if let Some(gain) = self.read(kol, event, event.entity(text)) {
                self.seen(kol, event.time);
                self.add(kol, event, 0, gain);
            }
        } else {
            let engagement_e6 = total(event.counters).saturating_mul(1_000_000);
            self.seen(kol, event.time);
            self.add(kol, event, engagement_e6, Gain::NONE);
        }
    }

    /// The slot of an event, begun if there is none or only one that no longer counts.
    fn slot_of(&mut self, event: &Admitted, name: &str) -> KolIndex {
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
            self.kols
                .change_panes(kol, |panes| *panes = Default::default());
            self.note(Consumer::Market, kol);
        }
        kol
    }

    /// A reading of lifetime counters: what it gained. `None`: it has no effect.
    fn read(&mut self, kol: KolIndex, event: &Admitted, entity: Entity<'_>) -> Option<Gain> {
        let (time, ttl) = (event.time, self.scoring.spec.entity_ttl.0);
        let known = event.reading;
        let last = known.or_else(|| self.readings.find(kol, entity));
        let counts = last.filter(|i| self.readings.get(*i).time() + ttl >= event.oldest);
        let Some(index) = counts else {
            return Some(self.first_reading(kol, event, entity, last));
        };
        let since = self.readings.get(index).time();
        if time <= since {
            return (time < since).then_some(Gain::NONE);
        }
        let span = time - since;
        let last = self.readings.change(index, &mut self.copies);
        last.set_time(time);
        if span > ttl {
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

    /// A first reading is a baseline, unless the video was made while this slot was being watched:
    /// then it is a gain from zero since the creation. The creation counts as a reading of zeros, so
    /// one longer ago than `entity_ttl` gives no gain; a video whose reading was dropped by then can
    /// therefore not be taken for a new one. `place` is that of one that no longer counts.
    fn first_reading(
        &mut self,
        kol: KolIndex,
        event: &Admitted,
        entity: Entity<'_>,
        place: Option<u32>,
    ) -> Gain {
        let (time, counters) = (event.time, event.counters);
        let copies = &mut self.copies;
        match place {
            Some(index) => {
                let last = self.readings.change(index, copies);
                last.set_time(time);
                last.begin(counters);
            }
            None => self.readings.insert(kol, entity, time, counters, copies),
        }
        let (made, first_event) = (event.published, self.kols.slot_mut(kol).first);
        // Where it is not known, it is later than any time.
        let is_new = entity != Entity::Profile && made < time && made >= first_event;
        if !is_new || time - made > self.scoring.spec.entity_ttl.0 {
            return Gain::NONE;
        }
        Gain {
            engagements: total(counters),
            since: made,
        }
    }

    /// Adds the event itself, with what it counts at once, and what it gained.
    fn add(&mut self, kol: KolIndex, event: &Admitted, engagement_e6: u64, gain: Gain) {
        let slide = self.scoring.spec.slide.0;
        let pane = event.time / slide;
        let mut touched = pane..pane + 1;
        let rules = &self.rules;
        self.kols.change_panes(kol, |panes| {
            panes.add(rules, pane..pane + 1, engagement_e6, 1);
            if gain.engagements == 0 {
                return;
            }
            for share in spread(gain.engagements, gain.since, event.time, slide) {
                if share.each_e6 > 0 {
                    touched.start = touched.start.min(share.from);
                    panes.add(rules, share.from..share.to, share.each_e6, 0);
                }
            }
        });
        // When the window end moves, all slots are added up again.
        let market = self.market_panes(event.window_end);
        if touched.start < market.end && market.start < touched.end {
            self.note(Consumer::Market, kol);
        }
    }

    /// Notes that an event with an effect arrived for a slot.
    fn seen(&mut self, kol: KolIndex, time: u64) {
        let slot: &mut Slot = self.kols.slot_mut(kol);
        slot.first = slot.first.min(time);
        slot.newest = slot.newest.max(time);
        self.changed
            .note(Consumer::Delivery, kol, &mut slot.waiting);
    }

    fn note(&mut self, consumer: Consumer, kol: KolIndex) {
        let slot = self.kols.slot_mut(kol);
        self.changed.note(consumer, kol, &mut slot.waiting);
    }
}

/// What is counted: views are not.
fn total(counters: [u64; 4]) -> u64 {
    let counted = counters[..3].iter().filter(|counter| **counter != MISSING);
    counted.sum()
}
