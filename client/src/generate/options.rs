//! What to generate.

use kol_common::Millis;

/// The same options give the same events.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many creators there are.
    pub kols: u64,
    /// Videos of each creator that are being read at any time.
    pub videos_per_kol: u64,
    /// Chooses everything that is random.
    pub seed: u64,
    /// Event time of the first event.
    pub start: Millis,
    /// Event time between two events, microseconds.
    pub step_us: u64,
    /// Counters are new engagement instead of lifetime totals.
    pub delta: bool,
    /// A video that goes viral, and since when. Its creator is its number modulo `kols`.
    pub viral: Option<(u64, Millis)>,
}
