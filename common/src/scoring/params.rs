//! The constants of a job's score, ready for use.

use super::slot::SlotLayout;
use super::spread::CARRIED_ON;
use crate::job::{Counters, Profile, ScoringSpec};
use crate::time::Millis;

/// A scoring spec with everything derived from it once.
#[derive(Clone, Debug)]
pub struct Scoring {
    /// The spec as it was submitted.
    pub spec: ScoringSpec,
    /// Panes in a window, `K`.
    pub panes: u64,
    /// Panes that must stay separate: the two windows before `T`, and the market's window, which
    /// ends two panes before `T`.
    pub kept: u64,
    /// Window length in minutes, `W`.
    pub window_minutes: f64,
    /// Weight `α` of one pane in the baseline: `1 − 2^(−slide/half_life)`.
    pub alpha: f64,
    /// `ln(1 − α)`.
    ln_keep: f64,
}

impl Scoring {
    /// From a checked spec (`window` is a multiple of `slide`, both above zero).
    pub fn new(spec: &ScoringSpec) -> Self {
        let panes = (spec.window.0 / spec.slide.0.max(1)).max(1);
        let ln_keep = -std::f64::consts::LN_2 * spec.slide.0 as f64 / spec.half_life.0 as f64;
        Self {
            panes,
            kept: (2 * panes).max(panes + 2),
            window_minutes: spec.window.0 as f64 / 60_000.0,
            alpha: -ln_keep.exp_m1(),
            ln_keep,
            spec: spec.clone(),
        }
    }

    /// The pane that holds an event time.
    pub fn pane(&self, time: Millis) -> u64 {
        time.0 / self.spec.slide.0
    }

    /// The window end `T` at which all KOLs are scored when this is the job clock.
    pub fn window_end(&self, clock: Millis) -> u64 {
        self.pane(clock) + 1
    }

    /// A window end as a time.
    pub fn time(&self, window_end: u64) -> Millis {
        Millis(window_end.saturating_mul(self.spec.slide.0))
    }

    /// `(1 − α)^panes`: what is left of a baseline after that many panes; negative goes back.
    pub fn decay(&self, panes: f64) -> f64 {
        (self.ln_keep * panes).exp()
    }

    /// `ln(1 − α)`, for the Lua function.
    pub fn ln_keep(&self) -> f64 {
        self.ln_keep
    }

    /// Whether counters are lifetime totals.
    pub fn cumulative(&self) -> bool {
        self.spec.counters == Counters::Cumulative
    }

    /// Whether the market takes part: everywhere but in the old job's formula.
    pub fn uses_market(&self) -> bool {
        self.spec.profile != Profile::SparkCompat
    }

    /// Whether the rates of the newest readings are carried on.
    pub fn carries_on(&self) -> bool {
        self.spec.profile == Profile::Rising && self.cumulative()
    }

    /// How many panes beyond that of a reading its rate is carried on to, at most.
    pub fn ahead(&self) -> u64 {
        CARRIED_ON.div_ceil(self.spec.slide.0) + 1
    }

    /// How slots of the job lie packed.
    pub fn layout(&self) -> &'static SlotLayout {
        SlotLayout::of(self.spec.profile)
    }

    /// The window end from which on a slot is empty: two windows after its newest event's pane, and where rates are carried
    /// on, one window after the last pane to which that event's can be.
    pub fn empty_from(&self, newest: Millis) -> u64 {
        let counted = self.pane(newest) + 1 + 2 * self.panes;
        if !self.carries_on() {
            return counted;
        }
        let last = self.pane(Millis(newest.0 + CARRIED_ON - 1));
        counted.max(last + 1 + self.panes)
    }

    /// Whether a slot has left the sums and Redis at window end `T`.
    pub fn retired(&self, newest: Millis, window_end: u64) -> bool {
        self.time(window_end).since(newest) >= self.spec.retire_after
    }

    /// `v`: engagement a minute; for delta counters more events weigh a little more.
    pub fn velocity(&self, engagement_e6: f64, events: f64) -> f64 {
        let rate = engagement_e6 / 1e6 / self.window_minutes;
        match self.spec.counters {
            Counters::Cumulative => rate,
            Counters::Delta => rate * (1.0 + 0.1 * events.ln_1p()),
        }
    }
}
