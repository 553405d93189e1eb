//! The Lua scripts that run in Redis, and the constants they are given.

use std::sync::LazyLock;

use kol_common::job::{Counters, Profile};
use kol_common::scoring::Scoring;
use redis::Script;

/// Claims a partition: see `lua/claim.lua`.
pub static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(CLAIM_SOURCE));
/// Begins a flush: see `lua/begin.lua`.
pub static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(BEGIN_SOURCE));
/// Merges slots: see `lua/merge.lua`.
pub static MERGE: LazyLock<Script> = LazyLock::new(|| Script::new(MERGE_SOURCE));
/// Ends a flush: see `lua/done.lua`.
pub static DONE: LazyLock<Script> = LazyLock::new(|| Script::new(DONE_SOURCE));

/// Source of the claim script.
pub const CLAIM_SOURCE: &str = include_str!("lua/claim.lua");
/// Source of the begin script.
pub const BEGIN_SOURCE: &str = include_str!("lua/begin.lua");
/// Source of the merge script.
pub const MERGE_SOURCE: &str = include_str!("lua/merge.lua");
/// Source of the done script.
pub const DONE_SOURCE: &str = include_str!("lua/done.lua");

/// All four, to load after Redis forgot them.
pub fn all() -> [&'static Script; 4] {
    [&CLAIM, &BEGIN, &MERGE, &DONE]
}

/// The scoring constants as `merge.lua` reads them: numbers with blanks between, in the order of the
/// table `constants` there.
pub fn constants(scoring: &Scoring, market: f64, market_version: u64) -> String {
    let s = &scoring.spec;
    let numbers = [
        s.slide.0 as f64,
        scoring.panes as f64,
        scoring.window_minutes,
        scoring.ln_keep(),
        market,
        f64::from(u8::from(s.counters == Counters::Delta)),
        f64::from(u8::from(s.profile == Profile::SparkCompat)),
        s.weights.personal,
        s.weights.market,
        s.weights.momentum,
        s.floors.baseline,
        s.floors.market,
        s.floors.velocity,
        s.curve.steepness,
        s.curve.midpoint,
        s.momentum.min,
        s.momentum.max,
        s.labels.viral,
        s.labels.hot,
        s.labels.warm,
        s.labels.normal,
        market_version as f64,
    ];
    // `{:?}` is the shortest text that reads back as the same number.
    let texts: Vec<String> = numbers.iter().map(|n| format!("{n:?}")).collect();
    texts.join(" ")
}
