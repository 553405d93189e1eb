//! What Redis should be told about a slot, and the partition's share of the market.
//!
//! At window end `T` a slot is one of three things:
//! 1. *retired*: silent for `retire_after`; Redis must not have it;
//! 2. *empty*: nothing in its two windows; Redis is told once, as of the window end at which it became
//!    empty, and nothing after that changes it but new events;
//! 3. *live*: Redis is told whenever its numbers, the window end or the market in use changed.

use kol_common::scoring::{MarketSum, Slot as PackedSlot, velocity_e4};

use super::readings::MISSING;
use super::{KolIndex, State};

/// What to send for a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outgoing {
    /// Put this in place of what Redis has. Partition and generation are still to be filled in.
    Put(PackedSlot),
    /// Take the slot out.
    Remove,
}

impl State {
    /// Takes the slot that has waited longest since it changed.
    pub fn take_touched(&mut self) -> Option<KolIndex> {
        let kol = self.touched.pop_front()?;
        self.taken += 1;
        self.slots[kol as usize].touched = false;
        Some(kol)
    }

    /// How many slots have been taken, ever, and how many will have been once all that wait now are.
    pub fn taken(&self) -> (u64, u64) {
        (self.taken, self.taken + self.touched.len() as u64)
    }

    /// Whether nothing has changed since it was last taken.
    pub fn is_untouched(&self) -> bool {
        self.touched.is_empty()
    }

    /// One past the largest slot index.
    pub fn bound(&self) -> usize {
        self.slots.len()
    }

    /// Platform and name of a slot's KOL; `None` for an index that is free.
    pub fn name(&self, kol: KolIndex) -> Option<(u16, &str)> {
        self.kols.name(kol)
    }

    /// The name of a platform number.
    pub fn platform_name(&self, platform: u16) -> &str {
        self.kols.platform_name(platform)
    }

    /// All platforms, by number.
    pub fn platforms(&self) -> &[Box<str>] {
        self.kols.platforms()
    }

    /// What Redis should have for this slot now; `None` when it has nothing and should have nothing.
    pub fn outgoing(&self, kol: KolIndex) -> Option<Outgoing> {
        let slot = self.slots.get(kol as usize)?;
        if slot.newest == 0 && slot.first == u64::MAX {
            return slot.in_redis.then_some(Outgoing::Remove);
        }
        let newest = kol_common::Millis(slot.newest);
        if self.scoring.retired(newest, self.window_end) {
            return slot.in_redis.then_some(Outgoing::Remove);
        }
        let at = self.window_end.min(self.scoring.empty_from(newest));
        Some(Outgoing::Put(self.packed(kol, at)))
    }

    /// Whether `outgoing` differs from what was last sent although no event arrived: because of the
    /// window end or the market version.
    pub fn needs_rescore(&self, kol: KolIndex, market_version: u64) -> bool {
        let Some(slot) = self.slots.get(kol as usize) else {
            return false;
        };
        if self.kols.name(kol).is_none() {
            return false;
        }
        let newest = kol_common::Millis(slot.newest);
        if self.scoring.retired(newest, self.window_end) {
            return slot.in_redis;
        }
        let empty_from = self.scoring.empty_from(newest);
        if self.window_end >= empty_from {
            return slot.sent_at != empty_from;
        }
        slot.sent_at != self.window_end
            || (self.scoring.uses_market() && slot.sent_market != market_version)
    }

    /// Notes that a slot goes out. Redis may have it from now on, whatever becomes of the flush.
    pub fn sending(&mut self, kol: KolIndex, what: &Outgoing, market_version: u64) {
        let slot = &mut self.slots[kol as usize];
        slot.in_flight = true;
        match what {
            Outgoing::Put(packed) => {
                slot.in_redis = true;
                slot.sent_at = packed.window_end;
                slot.sent_market = market_version;
            }
            Outgoing::Remove => {
                slot.sent_at = 0;
            }
        }
    }

    /// Redis has a KOL for which this partition answers. True when the state does not know it: then
    /// only the finder can have it taken out. One that should not be there is sent as removed.
    pub fn found_in_redis(&mut self, platform: &str, name: &str) -> bool {
        let Some(kol) = self.kols.find(platform, name) else {
            return true;
        };
        if self.outgoing(kol).is_none() {
            let slot = &mut self.slots[kol as usize];
            slot.in_redis = true;
            if !slot.touched {
                slot.touched = true;
                self.touched.push_back(kol);
            }
        }
        false
    }

    /// Whether the state knows a KOL.
    pub fn knows(&self, platform: &str, name: &str) -> bool {
        self.kols.find(platform, name).is_some()
    }

    /// Redis confirmed a slot.
    pub fn confirmed(&mut self, kol: KolIndex, what_removed: bool) {
        let slot = &mut self.slots[kol as usize];
        slot.in_flight = false;
        if what_removed {
            slot.in_redis = false;
        }
    }

    /// A flush failed: the slot must be sent again.
    pub fn send_again(&mut self, kol: KolIndex) {
        let slot = &mut self.slots[kol as usize];
        slot.in_flight = false;
        slot.sent_at = 0;
        if !slot.touched {
            slot.touched = true;
            self.touched.push_back(kol);
        }
    }

    /// Redis lost what it had: everything must be sent again.
    pub fn send_everything_again(&mut self) {
        for kol in 0..self.slots.len() as KolIndex {
            if self.kols.name(kol).is_some() {
                let in_flight = self.slots[kol as usize].in_flight;
                self.send_again(kol);
                self.slots[kol as usize].in_flight = in_flight;
            }
        }
    }

    /// A slot's numbers as of window end `at`, which is the present one, or an earlier one since
    /// which the slot is empty.
    fn packed(&self, kol: KolIndex, at: u64) -> PackedSlot {
        let panes = self.scoring.panes;
        let first_kept = at.saturating_sub(2 * panes);
        let window = self.panes.sum(kol, at.saturating_sub(panes), at);
        let previous = self.panes.sum(kol, first_kept, at.saturating_sub(panes));
        let (baseline_e6, baseline_events) = self.panes.baseline(&self.scoring, kol, first_kept);
        PackedSlot {
            partition: 0,
            generation: 0,
            window_end: at,
            engagement_e6: window.engagement_e6 as f64,
            events: window.events,
            previous_engagement_e6: previous.engagement_e6 as f64,
            previous_events: previous.events,
            baseline_engagement_e6: baseline_e6,
            baseline_events,
            first_pane: self.slots[kol as usize].first / self.scoring.spec.slide.0,
        }
    }

    /// Brings the market sums up to date; true when they are (as of the present window end). When
    /// the window end moved, this looks at every slot, so the caller decides when.
    pub fn refresh_market(&mut self) {
        if !self.scoring.uses_market() {
            for kol in std::mem::take(&mut self.market_stale) {
                self.slots[kol as usize].market_stale = false;
            }
            self.market_at = self.window_end;
            return;
        }
        self.market
            .resize(self.kols.platforms().len(), MarketSum::default());
        if self.market_at != self.window_end {
            self.market.fill(MarketSum::default());
            self.market_at = self.window_end;
            self.market_stale.clear();
            for kol in 0..self.slots.len() as KolIndex {
                let slot = &mut self.slots[kol as usize];
                slot.market_stale = false;
                slot.market_e4 = MISSING;
                self.add_to_market(kol);
            }
            return;
        }
        let mut stale = std::mem::take(&mut self.market_stale);
        for kol in stale.drain(..) {
            let slot = &mut self.slots[kol as usize];
            slot.market_stale = false;
            let old = std::mem::replace(&mut slot.market_e4, MISSING);
            if let (true, Some((platform, _))) = (old != MISSING, self.kols.name(kol)) {
                self.market[usize::from(platform)].remove(old);
            }
            self.add_to_market(kol);
        }
        self.market_stale = stale;
    }

    fn add_to_market(&mut self, kol: KolIndex) {
        let Some((platform, _)) = self.kols.name(kol) else {
            return;
        };
        let end = self.window_end.saturating_sub(2);
        let sum = self
            .panes
            .sum(kol, end.saturating_sub(self.scoring.panes), end);
        if sum.is_empty() {
            return;
        }
        let velocity = self
            .scoring
            .velocity(sum.engagement_e6 as f64, f64::from(sum.events));
        let rounded = velocity_e4(velocity);
        self.slots[kol as usize].market_e4 = rounded;
        self.market[usize::from(platform)].add(rounded);
    }

    /// The window end of the market sums, and the sums by platform number.
    pub fn market(&self) -> (u64, &[MarketSum]) {
        (self.market_at, &self.market)
    }

    /// Whether the market sums include every event, at the present window end.
    pub fn market_is_fresh(&self) -> bool {
        self.market_at == self.window_end && self.market_stale.is_empty()
    }

    /// Everything about one KOL, for `explain`.
    pub fn detail(&self, platform: &str, kol: &str) -> Option<kol_common::proto::SlotDetail> {
        let index = self.kols.find(platform, kol)?;
        let slot = self.slots.get(index as usize)?;
        let newest = kol_common::Millis(slot.newest);
        let at = self.window_end.min(self.scoring.empty_from(newest));
        let packed = self.packed(index, at);
        let readings = self
            .readings
            .of_kol(index)
            .map(|(video_id, r)| reading_detail(video_id, r))
            .collect();
        Some(kol_common::proto::SlotDetail {
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
            readings,
            ..Default::default()
        })
    }
}

fn reading_detail(video_id: String, reading: &super::Reading) -> kol_common::proto::ReadingDetail {
    let [a, b, c, d] = reading.counters.map(|c| (c != MISSING).then_some(c));
    let profile = video_id.is_empty();
    kol_common::proto::ReadingDetail {
        video_id,
        time_ms: reading.time,
        likes: a.filter(|_| !profile),
        comments: b,
        shares: c,
        views: d,
        followers: a.filter(|_| profile),
    }
}
