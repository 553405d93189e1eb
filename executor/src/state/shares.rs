//! What the slots amount to at the present window end `T`: this partition's share of each KOL.
//!
//! At `T` a slot is one of three things:
//! 1. *retired*: silent for `retire_after`; it counts nowhere;
//! 2. *empty*: nothing in its two windows; its numbers are those of the window end at which it became
//!    empty, and nothing but an event changes them;
//! 3. *live*: its numbers change with every event, and with `T`.

use kol_common::Millis;
use kol_common::proto;
use kol_common::scoring::{CARRIED_ON, Slot as PackedSlot};

use super::consumers::Consumer;
use super::rates::Rate;
use super::reading::{MISSING, Reading};
use super::{KolIndex, Kols, PlatformIndex, Slot, State};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Silent for so long that it counts nowhere, or without any event.
    Retired,
    /// Nothing in its two windows.
    Empty {
        /// The window end at which it became empty.
        since: u64,
    },
    /// Something in its two windows.
    Live,
}

impl State {
    /// The next KOL that changed since this consumer took it, the one that has waited longest first.
    pub fn take_changed(&mut self, consumer: Consumer) -> Option<KolIndex> {
        let kol = self.changed.pop(consumer)?;
        self.kols.slot_mut(kol).waiting.leave(consumer);
        Some(kol)
    }

    /// Has the first KOLs of a consumer's line brought into the cache, because their shares are wanted soon.
    pub fn prefetch_changed(&self, consumer: Consumer, count: usize) {
        for prefetch in [Kols::prefetch, Kols::prefetch_panes] {
            for place in 0..count {
                if let Some(kol) = self.changed.at(consumer, place) {
                    prefetch(&self.kols, kol);
                }
            }
        }
    }

    /// The KOL at this place of a consumer's line, from 0.
    pub fn waiting_at(&self, consumer: Consumer, place: usize) -> Option<KolIndex> {
        self.changed.at(consumer, place)
    }

    /// Puts a KOL at the end of a consumer's line, as if it had changed now.
    pub fn put_back(&mut self, consumer: Consumer, kol: KolIndex) {
        if (kol as usize) < self.kols.bound() {
            let slot = self.kols.slot_mut(kol);
            self.changed.note(consumer, kol, &mut slot.waiting);
        }
    }

    /// Whether a KOL waits for a consumer.
    pub fn waits(&self, consumer: Consumer, kol: KolIndex) -> bool {
        let slot = self.kols.slot(kol);
        slot.is_some_and(|slot| slot.waiting.is_for(consumer))
    }

    /// How many KOLs wait for a consumer.
    pub fn waiting(&self, consumer: Consumer) -> usize {
        self.changed.len(consumer)
    }

    /// One past the largest slot index.
    pub fn bound(&self) -> usize {
        self.kols.bound()
    }

    /// The index of a KOL that is known.
    pub fn find(&self, platform: &str, name: &str) -> Option<KolIndex> {
        self.kols.find(platform, name)
    }

    /// Platform and name of a slot's KOL; `None` for an index that is free.
    pub fn name(&self, kol: KolIndex) -> Option<(PlatformIndex, &str)> {
        self.kols.name(kol)
    }

    /// The name of a platform number.
    pub fn platform_name(&self, platform: PlatformIndex) -> &str {
        self.kols.platform_name(platform)
    }

    /// All platforms, by number; empty where a number is free.
    pub fn platforms(&self) -> &[Box<str>] {
        self.kols.platforms()
    }

    /// Platforms of which creators may be in a ranking.
    pub fn present_platforms(&self) -> Vec<Box<str>> {
        self.kols.present_platforms()
    }

    /// What a slot is at the present window end; `None` for an index that is free.
    pub fn phase(&self, kol: KolIndex) -> Option<Phase> {
        self.kols.name(kol)?;
        self.phase_at(kol, self.window_end)
    }

    /// What a slot was at an earlier window end, if it has had no event since; `None` for an index that is
    /// free.
    pub fn phase_at(&self, kol: KolIndex, window_end: u64) -> Option<Phase> {
        Some(self.phase_of(self.kols.slot(kol)?, window_end))
    }

    fn phase_of(&self, slot: &Slot, window_end: u64) -> Phase {
        let newest = Millis(slot.newest);
        if slot.is_silent() || self.scoring.retired(newest, window_end) {
            return Phase::Retired;
        }
        let since = self.scoring.empty_from(newest);
        if window_end >= since {
            Phase::Empty { since }
        } else {
            Phase::Live
        }
    }

    /// The numbers of a slot: as of the present window end, or of the one at which it became empty;
    /// `None` when it is retired. Partition and generation are the caller's to fill in.
    pub fn share(&self, kol: KolIndex) -> Option<PackedSlot> {
        self.kols.name(kol)?;
        let slot = self.kols.slot(kol)?;
        match self.phase_of(slot, self.window_end) {
            Phase::Retired => None,
            Phase::Empty { since } => Some(self.packed(slot, since)),
            Phase::Live => Some(self.packed(slot, self.window_end)),
        }
    }

    /// Whether shares depend on the market in use.
    pub fn uses_market(&self) -> bool {
        self.scoring.uses_market()
    }

    /// A slot's numbers as of window end `at`, which is the present one, or an earlier one since
    /// which the slot is empty.
    fn packed(&self, slot: &Slot, at: u64) -> PackedSlot {
        let (rules, panes) = (&self.rules, self.scoring.panes);
        let all = slot.all_panes(rules);
        let first_kept = at.saturating_sub(2 * panes);
        let begin = at.saturating_sub(panes);
        let window = all.sum(rules, begin..at);
        let carried = slot.carried_in(&self.scoring, begin..at);
        let previous = all.sum(rules, first_kept..begin);
        let (baseline_e6, baseline_events) = all.baseline(rules, first_kept);
        PackedSlot {
            partition: 0,
            generation: 0,
            window_end: at,
            engagement_e6: window.engagement_e6 as f64,
            events: window.events,
            previous_engagement_e6: previous.engagement_e6 as f64,
            previous_events: previous.events,
            provisional_e6: carried as f64,
            baseline_engagement_e6: baseline_e6,
            baseline_events,
            first_pane: slot.first / self.scoring.spec.slide.0,
        }
    }

    /// The readings of a KOL among those at these indexes, for `explain`; there are none from
    /// [`State::readings_bound`] on.
    pub fn readings_of(
        &self,
        kol: KolIndex,
        indexes: std::ops::Range<usize>,
    ) -> impl Iterator<Item = proto::ReadingDetail> {
        let readings = self.readings.of_kol(kol, indexes);
        readings.map(|(video_id, reading, rate)| reading_detail(video_id, reading, rate))
    }

    /// One past the largest index of a reading.
    pub fn readings_bound(&self) -> usize {
        self.readings.bound() as usize
    }

    /// Everything about one KOL but its readings, for `explain`.
    pub fn detail(&self, index: KolIndex) -> Option<proto::SlotDetail> {
        let slot = self.kols.slot(index)?;
        let newest = Millis(slot.newest);
        let at = self.window_end.min(self.scoring.empty_from(newest));
        let packed = self.packed(slot, at);
        let mut panes = Vec::new();
        let (base, ..) = slot.all_panes(&self.rules).copy(&mut panes);
        let panes = panes.iter().map(|pane| proto::PaneDetail {
            begin_ms: self.scoring.time(base + u64::from(pane.after_base)).0,
            engagement_e6: pane.engagement_e6,
            events: pane.events.into(),
        });
        Some(proto::SlotDetail {
            window_end_ms: self.scoring.time(at).0,
            engagement_e6: packed.engagement_e6 as u64,
            events: packed.events.into(),
            previous_engagement_e6: packed.previous_engagement_e6 as u64,
            previous_events: packed.previous_events.into(),
            baseline_engagement_e6: packed.baseline_engagement_e6,
            baseline_events: packed.baseline_events,
            first_event_ms: slot.first,
            newest_event_ms: slot.newest,
            retired: self.scoring.retired(newest, self.window_end),
            panes: panes.collect(),
            provisional_e6: packed.provisional_e6 as u64,
            ..Default::default()
        })
    }
}

fn reading_detail(video_id: String, reading: &Reading, rate: Rate) -> proto::ReadingDetail {
    let [a, b, c, d] = reading.counters().map(|c| (c != MISSING).then_some(c));
    let profile = video_id.is_empty();
    let carried_on = !rate.is_none();
    proto::ReadingDetail {
        video_id,
        time_ms: reading.time(),
        likes: a.filter(|_| !profile),
        comments: b,
        shares: c,
        views: d,
        followers: a.filter(|_| profile),
        gained: carried_on.then(|| rate.gain()),
        carried_on_to_ms: carried_on.then(|| reading.time() + rate.span().min(CARRIED_ON)),
    }
}
