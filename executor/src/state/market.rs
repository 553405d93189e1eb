//! The partition's share of the market: velocities of its slots, added up by platform.

use std::ops::Range;

use kol_common::scoring::{MarketSum, velocity_e4};

use super::consumers::Consumer;
use super::reading::MISSING;
use super::{KolIndex, State};

impl State {
    /// Brings the market sums up to date with the present window end. When that moved, this looks at
    /// every slot, so the caller decides when. Otherwise it looks at those of which a pane changed that the sums have.
    pub fn refresh_market(&mut self) {
        if !self.scoring.uses_market() {
            while self.take_changed(Consumer::Market).is_some() {}
            self.market_at = self.window_end;
            return;
        }
        self.market
            .resize(self.kols.platforms().len(), MarketSum::default());
        let moved = self.market_at != self.window_end;
        if moved {
            self.market.fill(MarketSum::default());
            self.market_at = self.window_end;
            self.changed.clear(Consumer::Market);
        }
        if self.scoring.carries_on() {
            self.bring_up_to_date::<true>(moved);
        } else {
            self.bring_up_to_date::<false>(moved);
        }
    }

    /// `CARRIES_ON` is that of the scoring: jobs that carry nothing on do not look for it in each slot.
    fn bring_up_to_date<const CARRIES_ON: bool>(&mut self, moved: bool) {
        if moved {
            for kol in 0..self.kols.bound() as KolIndex {
                let slot = self.kols.slot_mut(kol);
                slot.waiting.leave(Consumer::Market);
                slot.market_e4 = MISSING;
                self.add_to_market::<CARRIES_ON>(kol);
            }
            return;
        }
        while let Some(kol) = self.take_changed(Consumer::Market) {
            let old = std::mem::replace(&mut self.kols.slot_mut(kol).market_e4, MISSING);
            if let (true, Some((platform, _))) = (old != MISSING, self.kols.name(kol)) {
                self.market[platform as usize].remove(self.scoring.spec.profile, old);
            }
            self.add_to_market::<CARRIES_ON>(kol);
        }
    }

    #[inline]
    fn add_to_market<const CARRIES_ON: bool>(&mut self, kol: KolIndex) {
        let panes = self.market_panes(self.window_end);
        let Some((platform, slot)) = self.kols.slot_of(kol) else {
            return;
        };
        let (sum, carried) = if CARRIES_ON {
            let sum = (slot.all_panes(&self.rules)).sum(&self.rules, panes.clone());
            (sum, slot.carried_in(&self.scoring, panes))
        } else {
            (slot.panes.sum(&self.rules, panes), 0)
        };
        if sum.is_empty() && carried == 0 {
            return;
        }
        let velocity = self.scoring.velocity(
            sum.engagement_e6 as f64 + carried as f64,
            f64::from(sum.events),
        );
        let rounded = velocity_e4(velocity);
        slot.market_e4 = rounded;
        self.market[platform as usize].add(self.scoring.spec.profile, rounded);
    }

    /// The panes that the market sums at a window end are of.
    pub(super) fn market_panes(&self, window_end: u64) -> Range<u64> {
        let end = window_end.saturating_sub(2);
        end.saturating_sub(self.scoring.panes)..end
    }

    /// The window end of the market sums, and the sums by platform number.
    pub fn market(&self) -> (u64, &[MarketSum]) {
        (self.market_at, &self.market)
    }
}
