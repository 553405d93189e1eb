//! The formula, term by term.

use kol_common::job::{Counters, Profile, ScoringSpec};

use super::slot::{Gain, Slot};

/// Engagements are counted in millionths.
const MILLIONTHS: f64 = 1e6;
/// Baseline and market of the old job.
const SPARK_CONSTANT: f64 = 100.0;

/// A slot with what every pane holds, in a row from `base` on.
#[derive(Clone, Debug)]
pub struct Panes {
    base: i64,
    engagement: Vec<u64>,
    events: Vec<u64>,
    /// What is assumed of the newest readings, as it was added.
    assumed: Vec<Gain>,
    /// From this window end on there is nothing in the windows.
    pub empty_from: i64,
    /// Pane of the oldest event.
    pub first: i64,
}

impl Panes {
    /// Adds up what was added to the slot.
    pub fn of(slot: &Slot, spec: &ScoringSpec) -> Self {
        let first = slot.oldest.unwrap_or(0) / spec.slide.0;
        let newest = slot.newest / spec.slide.0;
        let base = slot.gains.iter().map(|g| g.from).fold(first, u64::min);
        let length = (newest - base + 1) as usize;
        let mut engagement = vec![0_u64; length];
        for gain in &slot.gains {
            for pane in gain.from..=gain.to {
                let sum = &mut engagement[(pane - base) as usize];
                *sum = sum.saturating_add(u64::try_from(gain.each).unwrap_or(u64::MAX));
            }
        }
        let mut events = vec![0; length];
        for (pane, count) in &slot.events {
            events[(pane - base) as usize] = *count;
        }
        Self {
            base: base as i64,
            engagement,
            events,
            assumed: slot.assumed().copied().collect(),
            empty_from: empty_from(slot.newest, spec),
            first: first as i64,
        }
    }

    /// Engagement in millionths and events of `panes` panes before `end`.
    pub fn window(&self, end: i64, panes: i64) -> (f64, f64) {
        let (mut engagement, mut events) = (0.0, 0.0);
        for pane in end - panes..end {
            let (e, n) = self.pane(pane);
            engagement += e;
            events += n;
        }
        (engagement, events)
    }

    /// `P` in millionths of `panes` panes before `end`.
    pub fn assumed(&self, end: i64, panes: i64) -> f64 {
        let within = |pane: i64| pane.clamp(end - panes, end);
        let of = |gain: &Gain| {
            let count = within(gain.to as i64 + 1) - within(gain.from as i64);
            gain.each * count as u128
        };
        self.assumed.iter().map(of).sum::<u128>() as f64
    }

    /// `B_E` and `B_n` of the panes before `h`.
    fn baseline(&self, h: i64, alpha: f64) -> (f64, f64) {
        let keep = (-alpha).ln_1p();
        let (mut engagement, mut events) = (0.0, 0.0);
        for pane in self.base..h.min(self.base + self.engagement.len() as i64) {
            let weight = alpha * (keep * (h - 1 - pane) as f64).exp();
            let (e, n) = self.pane(pane);
            engagement += weight * e;
            events += weight * n;
        }
        (engagement, events)
    }

    fn pane(&self, pane: i64) -> (f64, f64) {
        let index = usize::try_from(pane - self.base).ok();
        let at = |of: &[u64]| index.and_then(|i| of.get(i)).map_or(0.0, |n| *n as f64);
        (at(&self.engagement), at(&self.events))
    }
}

/// The sums over a KOL's slots at one window end. Engagement in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    pub current: (f64, f64),
    pub previous: (f64, f64),
    pub baseline: (f64, f64),
    /// `P`.
    pub assumed: f64,
    /// Panes of history before the two windows.
    pub history: i64,
}

/// Panes of a window, `K`.
pub fn panes(spec: &ScoringSpec) -> i64 {
    (spec.window.0 / spec.slide.0) as i64
}

/// `α`.
fn alpha(spec: &ScoringSpec) -> f64 {
    let half_lives = spec.slide.0 as f64 / spec.half_life.0 as f64;
    -(-std::f64::consts::LN_2 * half_lives).exp_m1()
}

/// Adds the slots up at window end `end`, a pane number.
pub fn sums(slots: &[&Panes], end: i64, spec: &ScoringSpec) -> Sums {
    let k = panes(spec);
    let h = end - 2 * k;
    let mut sums = Sums::default();
    for slot in slots {
        sums.assumed += slot.assumed(end, k);
        for (sum, share) in [
            (&mut sums.current, slot.window(end, k)),
            (&mut sums.previous, slot.window(end - k, k)),
            (&mut sums.baseline, slot.baseline(h, alpha(spec))),
        ] {
            sum.0 += share.0;
            sum.1 += share.1;
        }
    }
    let first = slots.iter().map(|s| s.first).min().unwrap_or(h);
    sums.history = (h - first).max(0);
    sums
}

/// Engagements a minute.
pub fn velocity((engagement, events): (f64, f64), spec: &ScoringSpec) -> f64 {
    let rate = engagement / MILLIONTHS / (spec.window.0 as f64 / 60_000.0);
    match (spec.counters, spec.profile) {
        (Counters::Cumulative, _) => rate,
        (Counters::Delta, _) => rate * (1.0 + 0.1 * events.ln_1p()),
    }
}

/// The window end from which on the windows of a slot are empty: two windows after the pane of its newest event, and where
/// rates are carried on one window after the last pane that the newest can reach.
fn empty_from(newest: u64, spec: &ScoringSpec) -> i64 {
    let (slide, k) = (spec.slide.0, panes(spec));
    let counted = (newest / slide) as i64 + 1 + 2 * k;
    let carried = ((newest + 48 * 3_600_000 - 1) / slide) as i64 + 1 + k;
    match (spec.profile, spec.counters) {
        (Profile::Rising, Counters::Cumulative) => counted.max(carried),
        _ => counted,
    }
}

/// Every term of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    pub velocity: f64,
    pub momentum: f64,
    pub personal_growth: f64,
    pub market_position: f64,
    pub raw: f64,
    pub score: f64,
    /// As the hash shows it: 0 while the market stands in for it.
    pub shown_baseline: f64,
    /// Of the profile `rising`: `g`.
    pub growth: f64,
    /// Of the profile `rising`: the part of `v` that is assumed.
    pub provisional: f64,
    /// Of the profile `rising`: its history is too short.
    pub newcomer: bool,
}

/// Scores sums under market measure `market`.
pub fn score(sums: &Sums, market: f64, spec: &ScoringSpec) -> Terms {
    if spec.profile == Profile::Rising {
        return rising(sums, market, spec);
    }
    let v = velocity(sums.current, spec);
    let before = velocity(sums.previous, spec);
    let own = own_baseline(sums, spec);
    let (b, m, momentum, shown_baseline) = match spec.profile {
        Profile::SparkCompat => (SPARK_CONSTANT, SPARK_CONSTANT, 0.0, SPARK_CONSTANT),
        Profile::Default | Profile::Rising => {
            let momentum = momentum(v, before, spec);
            (own.unwrap_or(market), market, momentum, own.unwrap_or(0.0))
        }
    };
    let personal_growth = v / b.max(spec.floors.baseline);
    let market_position = v / m.max(spec.floors.market);
    let raw = spec.weights.personal * personal_growth
        + spec.weights.market * market_position
        + spec.weights.momentum * (1.0 + momentum);
    Terms {
        velocity: v,
        momentum,
        personal_growth,
        market_position,
        raw,
        score: 100.0 / (1.0 + (-spec.curve.steepness * (raw - spec.curve.midpoint)).exp()),
        shown_baseline,
        growth: 0.0,
        provisional: 0.0,
        newcomer: false,
    }
}

fn momentum(v: f64, before: f64, spec: &ScoringSpec) -> f64 {
    let change = (v - before) / before.max(spec.floors.velocity);
    change.max(spec.momentum.min).min(spec.momentum.max)
}

/// The formula of the profile `rising`.
fn rising(sums: &Sums, median: f64, spec: &ScoringSpec) -> Terms {
    let (engagement, events) = sums.current;
    let v = velocity((engagement + sums.assumed, events), spec);
    let minutes = spec.window.0 as f64 / 60_000.0;
    let c = if median > 10.0 / minutes {
        median
    } else {
        10.0 / minutes
    };
    let own = own_baseline(sums, spec);
    let growth = own.map_or(0.0, |b| ((v + c) / (b + c)).ln() / std::f64::consts::LN_2);
    let s = growth + 0.2 * (1.0 + v / c).ln() / std::f64::consts::LN_2;
    let line = |(x0, y0): (f64, f64), (x1, y1): (f64, f64)| y0 + (s - x0) * (y1 - y0) / (x1 - x0);
    let score = if s <= -0.5 {
        25.0 * 2_f64.powf(s + 0.5)
    } else if s <= 0.6 {
        line((-0.5, 25.0), (0.6, 40.0))
    } else if s <= 1.3 {
        line((0.6, 40.0), (1.3, 60.0))
    } else if s <= 2.0 {
        line((1.3, 60.0), (2.0, 80.0))
    } else {
        100.0 - 20.0 * 2_f64.powf(2.0 - s)
    };
    Terms {
        velocity: v,
        momentum: momentum(v, velocity(sums.previous, spec), spec),
        personal_growth: v / own.unwrap_or(c).max(spec.floors.baseline),
        market_position: 0.0,
        raw: s,
        score,
        shown_baseline: own.unwrap_or(0.0),
        growth,
        provisional: sums.assumed / MILLIONTHS / minutes,
        newcomer: own.is_none(),
    }
}

/// `b`, once the history is at least three windows long.
fn own_baseline(sums: &Sums, spec: &ScoringSpec) -> Option<f64> {
    let k = panes(spec);
    if sums.history < 3 * k {
        return None;
    }
    let kept = (1.0 - alpha(spec)).powf(sums.history as f64);
    let f = k as f64 / (1.0 - kept);
    Some(velocity((f * sums.baseline.0, f * sums.baseline.1), spec))
}

/// `m`: the mean of the velocities, each to 4 decimals, to 3 significant digits.
pub fn mean(velocities: &[f64]) -> f64 {
    if velocities.is_empty() {
        return 0.0;
    }
    let sum: u128 = velocities.iter().map(|v| (v * 1e4).round() as u128).sum();
    let exact = sum as f64 / 1e4 / velocities.len() as f64;
    format!("{exact:.2e}").parse().unwrap_or(exact)
}

/// The median of the velocities above zero, each to 4 decimals, by how many there are of each size; to 3 significant digits.
pub fn median(velocities: &[f64]) -> f64 {
    let rounded = velocities.iter().map(|v| (v * 1e4).round() / 1e4);
    let mut bins: Vec<i32> = rounded
        .filter(|v| *v > 0.0)
        .map(|v| (4.0 * v.log2()).floor() as i32)
        .collect();
    bins.sort_unstable();
    let half = bins.len() as f64 / 2.0;
    // The first bin up to which half of all are counted has the velocity of this place.
    let Some(bin) = bins.get((half.ceil() as usize).saturating_sub(1)) else {
        return 0.0;
    };
    let below = bins.iter().filter(|other| *other < bin).count() as f64;
    let count = bins.iter().filter(|other| *other == bin).count() as f64;
    let exact = 2_f64.powf((f64::from(*bin) + (half - below) / count) / 4.0);
    format!("{exact:.2e}").parse().unwrap_or(exact)
}

/// The label of a score.
pub fn label(score: f64, spec: &ScoringSpec) -> &'static str {
    let rounded: f64 = format!("{score:.2}").parse().unwrap_or(score);
    let labels = [
        (spec.labels.viral, "Viral"),
        (spec.labels.hot, "Hot"),
        (spec.labels.warm, "Warm"),
        (spec.labels.normal, "Normal"),
    ];
    labels
        .iter()
        .find(|(from, _)| rounded >= *from)
        .map_or("Cold", |(_, label)| label)
}
