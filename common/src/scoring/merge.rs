//! Adding a KOL's slots up.
//!
//! 1. The newest window end of the slots is the KOL's `T`.
//! 2. A slot that is behind counts as it stands, until its partition sends it again; its baseline
//!    decays exactly with the distance.
//! 3. The first pane seen is the oldest of the slots'.

use super::params::Scoring;
use super::slot::Slot;

/// The sums over a KOL's slots at one window end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Window end, a pane number.
    pub window_end: u64,
    /// `E`: engagement of the window, millionths.
    pub engagement_e6: f64,
    /// `P`: what the newest rates amount to in the window, carried on; millionths.
    pub provisional_e6: f64,
    /// `n`: events of the window.
    pub events: f64,
    /// `E'`: engagement of the window before, millionths.
    pub previous_engagement_e6: f64,
    /// `n'`: events of the window before.
    pub previous_events: f64,
    /// `B_E`: decayed engagement of older panes, millionths.
    pub baseline_engagement_e6: f64,
    /// `B_n`: decayed events of older panes.
    pub baseline_events: f64,
    /// First pane seen.
    pub first_pane: u64,
}

/// Adds slots up; no slots give zero sums at window end 0.
pub fn merge(scoring: &Scoring, slots: &[Slot]) -> Sums {
    let window_end = slots.iter().map(|s| s.window_end).max().unwrap_or(0);
    let mut sums = Sums {
        window_end,
        first_pane: slots.iter().map(|s| s.first_pane).min().unwrap_or(0),
        ..Sums::default()
    };
    for slot in slots {
        let decay = scoring.decay((window_end - slot.window_end) as f64);
        sums.engagement_e6 += slot.engagement_e6;
        sums.provisional_e6 += slot.provisional_e6;
        sums.events += f64::from(slot.events);
        sums.previous_engagement_e6 += slot.previous_engagement_e6;
        sums.previous_events += f64::from(slot.previous_events);
        sums.baseline_engagement_e6 += slot.baseline_engagement_e6 * decay;
        sums.baseline_events += slot.baseline_events * decay;
    }
    sums
}
