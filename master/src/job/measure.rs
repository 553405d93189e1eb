//! What all partitions of a job share: its clock, and the market measure in use.
//!
//! Clock:
//! 1. The job clock is the newest partition clock; with an idle timeout it advances by itself when
//!    nothing moved for longer than that.
//! 2. It never goes back. An executor that scores at window end *t* knew a clock of at least
//!    *t* − slide, so after a restart of this master the clock is at least that.
//!
//! Market (`m` of each platform):
//! 1. A round is complete when every partition has reported since the last round.
//! 2. `m` is computed from a complete round in which every partition that has a clock reports at
//!    the job's window end and none reads again what Redis already shows: a sum that lacks a
//!    partition's past would move every score for no reason. Partitions without a clock are empty.
//! 3. The `m` in use changes when the window end moved, when the exact one is more than 1 % away
//!    from it, or when no position changed since the round before: so it is exact once input stops.
//! 4. Each change raises the version. A master that was started again does not know what the one before
//!    gave out last, and Redis may hold scores by it: so its versions begin above all that were, by the
//!    clock, and everything is scored again once.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::Millis;
use kol_common::job::{Profile, ScoringSpec};
use kol_common::proto::{Manifest, PartitionReport, PartitionState, PlatformMarket};
use kol_common::scoring::{Histogram, MarketSum};

/// Distance from the measure in use, relative to it, at which it is replaced.
const DRIFT: f64 = 0.01;

/// Versions for each millisecond of the clock: far more than a master gives out. They stay whole numbers
/// for Lua (below 2^53) for the next two centuries.
const VERSIONS_A_MS: u64 = 1_000;

/// The market measure of each platform.
pub type Market = BTreeMap<String, f64>;

/// The newest report of each partition's current assignment, by ordinal; `None` while there is none.
pub type Round<'a> = BTreeMap<u32, Option<&'a PartitionReport>>;

/// Clock and market of one job.
#[derive(Clone, Debug, Default)]
pub struct Measure {
    clock: Option<Millis>,
    newest_event: Option<Millis>,
    /// Newest clock seen of each partition, by ordinal, over all its assignments.
    clocks: BTreeMap<u32, u64>,
    moved: Millis,
    market: Market,
    version: u64,
    /// Executors may know a newer measure than this one.
    outdated: bool,
    /// Window end and positions of the last round that was evaluated.
    evaluated: Option<(Option<Millis>, BTreeMap<u32, u64>)>,
    /// Ordinals of those that reported since then.
    fresh: BTreeSet<u32>,
}

impl Measure {
    /// With the clock that was persisted, if there was an event already: then executors may know a
    /// market.
    pub fn new(now: Millis, clock: Option<Millis>) -> Self {
        Self {
            clock,
            moved: now,
            version: now.0.saturating_mul(VERSIONS_A_MS),
            outdated: clock.is_some(),
            ..Self::default()
        }
    }

    /// Resumes from a committed epoch.
    pub fn resume(&mut self, head: &Manifest) {
        self.clock = self.clock.max(head.clock_ms.map(Millis));
        self.version = self.version.max(head.market_version + 1);
        self.outdated = false;
        let market = head.market.iter();
        self.market = market.map(|m| (m.platform.clone(), m.mean)).collect();
    }

    /// The job clock, once any event was seen.
    pub fn clock(&self) -> Option<Millis> {
        self.clock
    }

    /// Newest event time, without idle time.
    pub fn newest_event(&self) -> Option<Millis> {
        self.newest_event
    }

    /// The market measure in use.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// Grows with each change of the measure in use.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether clock, market and version belong together: not between a restart of this master and
    /// the first complete round, when only the version is known.
    pub fn is_known(&self) -> bool {
        !self.outdated
    }

    /// The window end at which all creators are scored.
    pub fn window_end(&self, scoring: &ScoringSpec) -> Option<Millis> {
        self.clock.map(|clock| window_end(clock, scoring.slide))
    }

    /// For the wire.
    pub fn market_wire(&self) -> Vec<PlatformMarket> {
        let wire = |(platform, mean): (&String, &f64)| PlatformMarket {
            platform: platform.clone(),
            mean: *mean,
        };
        self.market.iter().map(wire).collect()
    }

    /// A report of a partition's current assignment came in.
    pub fn reported(
        &mut self,
        now: Millis,
        ordinal: u32,
        report: &PartitionReport,
        scoring: &ScoringSpec,
    ) {
        self.fresh.insert(ordinal);
        if let Some(clock) = report.clock_ms {
            let newest = self.clocks.entry(ordinal).or_insert(0);
            if clock > *newest {
                *newest = clock;
                self.moved = now;
            }
            self.newest_event = self.newest_event.max(Some(Millis(clock)));
        }
        self.clock = self.clock.max(self.newest_event);
        if let Some(end) = report.window_end_ms {
            self.clock = self.clock.max(Some(Millis(end).since(scoring.slide)));
        }
        // The clock of the master's machine went back.
        if let Some(confirmed) = &report.confirmed
            && confirmed.market_version > self.version
        {
            self.version = confirmed.market_version;
            self.outdated = true;
        }
    }

    /// A report of a partition's current assignment came in that says what the one before said.
    pub fn unchanged(&mut self, ordinal: u32) {
        self.fresh.insert(ordinal);
    }

    /// Time passed, or reports came in: lets an idle clock advance and evaluates complete rounds.
    pub fn advance(&mut self, now: Millis, scoring: &ScoringSpec, round: &Round<'_>) {
        if let (Some(timeout), Some(newest)) = (scoring.idle_timeout, self.newest_event) {
            let idle = now.since(self.moved).since(timeout);
            self.clock = self.clock.max(Some(Millis(newest.0 + idle.0)));
        }
        if scoring.profile == Profile::SparkCompat {
            // Its market is a constant.
            self.outdated = false;
            return;
        }
        let complete = round.keys().all(|ordinal| self.fresh.contains(ordinal));
        if round.is_empty() || !complete {
            return;
        }
        let t = self.window_end(scoring);
        let Some(exact) = exact_market(t, scoring.profile, round) else {
            return;
        };
        let positions: BTreeMap<u32, u64> = round
            .iter()
            .filter_map(|(ordinal, report)| Some((*ordinal, (*report)?.position)))
            .collect();
        let (moved, quiet) = match &self.evaluated {
            Some((at, before)) => (*at != t, *before == positions),
            None => (true, false),
        };
        let changes = exact != self.market && (moved || quiet || drifted(&self.market, &exact));
        if changes || self.outdated {
            self.market = exact;
            self.version += 1;
            self.outdated = false;
        }
        self.evaluated = Some((t, positions));
        self.fresh.clear();
    }
}

/// The end of the pane that holds `clock`.
pub fn window_end(clock: Millis, slide: Millis) -> Millis {
    let slide = slide.0.max(1);
    Millis(clock.0 / slide * slide + slide)
}

/// The measure of one round; `None` when a partition is not at window end `t` or is not level with
/// what Redis shows.
pub fn exact_market(t: Option<Millis>, profile: Profile, round: &Round<'_>) -> Option<Market> {
    let mut sums: BTreeMap<&str, MarketSum> = BTreeMap::new();
    for report in round.values() {
        let report = (*report)?;
        if matches!(
            report.state(),
            PartitionState::Claiming | PartitionState::Holding | PartitionState::Restoring
        ) {
            return None;
        }
        if report.window_end_ms.is_none() && report.clock_ms.is_none() {
            continue;
        }
        if report.window_end_ms.map(Millis) != t {
            return None;
        }
        for partial in &report.market {
            let share = MarketSum {
                velocity_e4: partial.velocity_sum_e4,
                slots: partial.slots,
                histogram: Histogram::of(partial.bins.iter().map(|(bin, count)| (*bin, *count))),
            };
            sums.entry(&partial.platform).or_default().merge(&share);
        }
    }
    let means = sums.into_iter().filter(|(_, sum)| sum.slots > 0);
    Some(
        means
            .map(|(p, sum)| (p.to_owned(), sum.measure(profile)))
            .collect(),
    )
}

/// Whether any platform's measure is further from the one in use than it may be.
fn drifted(in_use: &Market, exact: &Market) -> bool {
    let platforms = in_use.keys().chain(exact.keys());
    platforms.into_iter().any(|platform| {
        let of = |market: &Market| market.get(platform).copied().unwrap_or(0.0);
        (of(exact) - of(in_use)).abs() > DRIFT * of(in_use)
    })
}
