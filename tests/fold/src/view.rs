//! What Redis must hold.

use std::collections::BTreeMap;

use kol_common::Millis;
use kol_common::job::{Profile, ScoringSpec};

use super::score::{self, Panes, Terms};
use super::{Counts, Fold, Kol};

/// Distance from a rounding edge, relative to the number, within which either side is right.
const EDGE: f64 = 1e-9;

/// All that Redis must hold at one window end.
#[derive(Clone, Debug)]
pub struct View {
    /// Window end `t`, milliseconds.
    pub window_end_ms: u64,
    /// `m` of each platform with events.
    pub market: BTreeMap<String, f64>,
    /// What is in ranking and hashes.
    pub kols: BTreeMap<Kol, KolView>,
    /// What became of the records.
    pub counts: Counts,
}

/// One KOL's ranking entry and hash.
#[derive(Clone, Debug, PartialEq)]
pub struct KolView {
    /// By which its hash has fields.
    pub profile: Profile,
    /// Not rounded, as in the ranking.
    pub score: f64,
    /// Labels that may be shown: two when the score lies on an edge.
    pub labels: Vec<&'static str>,
    /// The numbers in the hash.
    pub numbers: Vec<(&'static str, Number)>,
    /// `window_end` in the hash.
    pub window_end: String,
}

/// A number that is shown rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// The number before it is rounded.
    pub value: f64,
    /// Digits after the point.
    pub decimals: usize,
}

impl Number {
    /// As C's `%.nf` prints it.
    pub fn text(&self) -> String {
        self.moved(0.0)
    }

    /// Whether a hash may show this: the rounded number, or its neighbour when the exact one lies
    /// on the edge between them.
    pub fn accepts(&self, shown: &str) -> bool {
        let by = EDGE * self.value.abs().max(1.0);
        [0.0, by, -by].iter().any(|by| self.moved(*by) == shown)
    }

    fn moved(&self, by: f64) -> String {
        format!("{:.*}", self.decimals, self.value + by)
    }
}

impl Fold {
    /// What Redis must hold at the fold's own window end; `None` before the first event.
    pub fn view(&self) -> Option<View> {
        self.window_end().map(|end| self.view_at(end))
    }

    /// Engagement in millionths, and events, of one partition's share of a KOL in the window before pane
    /// `end`; `None` for one without events.
    pub fn window_of(&self, partition: u32, kol: &Kol, end: u64) -> Option<(f64, f64)> {
        let slot = self.slots.get(&(partition, kol.clone()))?;
        let panes = Panes::of(slot, &self.spec);
        Some(panes.window(end as i64, score::panes(&self.spec)))
    }

    /// Whether a KOL has left one partition by window end `end_ms`: Redis need not have its share any more.
    pub fn has_left(&self, partition: u32, kol: &Kol, end_ms: u64) -> bool {
        let slot = self.slots.get(&(partition, kol.clone()));
        slot.is_none_or(|slot| end_ms.saturating_sub(slot.newest) >= self.spec.retire_after.0)
    }

    /// What Redis must hold at window end `end_ms` (a multiple of the slide, not before the clock).
    pub fn view_at(&self, end_ms: u64) -> View {
        let end = (end_ms / self.spec.slide.0) as i64;
        let mut velocities: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut live: BTreeMap<Kol, Vec<Panes>> = BTreeMap::new();
        for ((partition, kol), slot) in &self.slots {
            let panes = Panes::of(slot, &self.spec);
            let window = panes.window(end - 2, score::panes(&self.spec));
            let platform = velocities.entry(kol.0.clone()).or_default();
            let assumed = panes.assumed(end - 2, score::panes(&self.spec));
            if window.0 > 0.0 || window.1 > 0.0 || assumed > 0.0 {
                let counted = (window.0 + assumed, window.1);
                platform.push(score::velocity(counted, &self.spec));
            }
            if !self.has_left(*partition, kol, end_ms) {
                live.entry(kol.clone()).or_default().push(panes);
            }
        }
        let market: BTreeMap<_, _> = velocities
            .into_iter()
            .map(|(platform, velocities)| match self.spec.profile {
                Profile::Rising => (platform, score::median(&velocities)),
                Profile::Default | Profile::SparkCompat => (platform, score::mean(&velocities)),
            })
            .collect();
        let kols = live
            .into_iter()
            .map(|(kol, slots)| {
                let m = market.get(&kol.0).copied().unwrap_or(0.0);
                let view = kol_view(&slots, end, m, &self.spec);
                (kol, view)
            })
            .collect();
        View {
            window_end_ms: end_ms,
            market,
            kols,
            counts: self.counts(),
        }
    }
}

/// Scores one KOL from its slots that are not retired.
fn kol_view(slots: &[Panes], end: i64, market: f64, spec: &ScoringSpec) -> KolView {
    let slots: Vec<&Panes> = slots.iter().collect();
    // Empty slots were sent once, as of the window end at which the last of them became so: so it stays.
    let empty_from = slots.iter().map(|s| s.empty_from).max();
    let end = empty_from.map_or(end, |empty| empty.min(end));
    let sums = score::sums(&slots, end, spec);
    let terms = score::score(&sums, market, spec);
    let mut labels: Vec<&'static str> = [0.0, EDGE, -EDGE]
        .iter()
        .map(|by| score::label(terms.score + by, spec))
        .map(|label| match label {
            "Viral" | "Hot" if terms.newcomer => "Warm",
            label => label,
        })
        .collect();
    labels.dedup();
    KolView {
        profile: spec.profile,
        score: terms.score,
        labels,
        numbers: numbers(&terms, sums.current, spec.profile),
        window_end: Millis(end as u64 * spec.slide.0).iso(),
    }
}

/// The numbers in the hash.
fn numbers(
    terms: &Terms,
    (engagement, events): (f64, f64),
    profile: Profile,
) -> Vec<(&'static str, Number)> {
    let number = |value: f64, decimals: usize| Number { value, decimals };
    let newcomer = if terms.newcomer { 1.0 } else { 0.0 };
    let of_profile = match profile {
        Profile::Default | Profile::SparkCompat => vec![
            ("market_position", number(terms.market_position, 2)),
            ("raw_score", number(terms.raw, 4)),
        ],
        Profile::Rising => vec![
            ("rising", number(terms.raw, 4)),
            ("growth", number(terms.growth, 4)),
            ("usual", number(terms.shown_baseline, 4)),
            ("provisional", number(terms.provisional, 2)),
            ("newcomer", number(newcomer, 0)),
        ],
    };
    let of_all = vec![
        ("trending_score", number(terms.score, 2)),
        ("velocity", number(terms.velocity, 2)),
        ("momentum", number(terms.momentum, 2)),
        ("personal_growth", number(terms.personal_growth, 2)),
        ("baseline", number(terms.shown_baseline, 2)),
        ("event_count", number(events, 0)),
        ("total_engagement", number(engagement / 1e6, 0)),
    ];
    of_all.into_iter().chain(of_profile).collect()
}
