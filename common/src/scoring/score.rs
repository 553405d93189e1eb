//! From sums to a score: every term of the formula, by name.

use super::merge::Sums;
use super::params::Scoring;
use crate::job::{Labels, Profile};

/// Baseline and market of the old job: constants, whatever happened.
const SPARK_CONSTANT: f64 = 100.0;

/// A score and all it was made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// `v`: engagement a minute in the window.
    pub velocity: f64,
    /// `v'`: the same one window earlier.
    pub previous_velocity: f64,
    /// `b`: the KOL's usual velocity, or the market's while it has no history of three windows.
    pub baseline: f64,
    /// Whether `b` is the KOL's own.
    pub own_baseline: bool,
    /// `m`: the market measure used.
    pub market: f64,
    /// `μ`: relative change of the velocity within one window, clamped.
    pub momentum: f64,
    /// `v / max(b, floor)`.
    pub personal_growth: f64,
    /// `v / max(m, floor)`.
    pub market_position: f64,
    /// The weighted sum; of the profile `rising` its `s`.
    pub raw: f64,
    /// `g` of the profile `rising`: doublings over what is usual. 0 for a newcomer.
    pub growth: f64,
    /// The part of `v` that is carried on.
    pub provisional: f64,
    /// Whether the profile `rising` knows too little of it to say what is usual.
    pub newcomer: bool,
    /// 0 to 100, not rounded.
    pub score: f64,
}

impl Terms {
    /// Whether all of it is numbers: what is not must not leave the process. A spec whose constants were checked,
    /// and sums of events, give nothing else.
    pub fn are_finite(&self) -> bool {
        // A term that is added is looked at, too, or this does not compile.
        let Self {
            velocity,
            previous_velocity,
            baseline,
            own_baseline: _,
            market,
            momentum,
            personal_growth,
            market_position,
            raw,
            growth,
            provisional,
            newcomer: _,
            score,
        } = *self;
        let all = [
            velocity,
            previous_velocity,
            baseline,
            market,
            momentum,
            personal_growth,
            market_position,
            raw,
            growth,
            provisional,
            score,
        ];
        all.iter().all(|term| term.is_finite())
    }
}

/// Smallest measure of the profile `rising`, engagements a window.
const LEAST: f64 = 10.0;
/// How much the size of a creator counts beside its growth.
const SIZE: f64 = 0.2;
/// From `s` of the profile `rising` to a score: linear between these points, and exponential outside of them.
const CURVE: [(f64, f64); 4] = [(-0.5, 25.0), (0.6, 40.0), (1.3, 60.0), (2.0, 80.0)];

fn rising_score(s: f64) -> f64 {
    if s <= CURVE[0].0 {
        return 25.0 * (s + 0.5).exp2();
    }
    let within = CURVE.windows(2).find_map(|points| {
        let &[(from, low), (to, high)] = points else {
            return None;
        };
        (s <= to).then(|| low + (high - low) * (s - from) / (to - from))
    });
    within.unwrap_or_else(|| 100.0 - 20.0 * (2.0 - s).exp2())
}

impl Scoring {
    /// Scores sums with market measure `market`.
    pub fn score(&self, sums: &Sums, market: f64) -> Terms {
        let spec = &self.spec;
        let velocity = self.velocity(sums.engagement_e6 + sums.provisional_e6, sums.events);
        let previous_velocity = self.velocity(sums.previous_engagement_e6, sums.previous_events);
        let (baseline, own_baseline, market, momentum) = match spec.profile {
            Profile::SparkCompat => (SPARK_CONSTANT, true, SPARK_CONSTANT, 0.0),
            Profile::Default | Profile::Rising => {
                let market = self.market_of(market);
                let own = self.own_baseline(sums);
                let momentum =
                    (velocity - previous_velocity) / previous_velocity.max(spec.floors.velocity);
                (
                    own.unwrap_or(market),
                    own.is_some(),
                    market,
                    momentum.clamp(spec.momentum.min, spec.momentum.max),
                )
            }
        };
        let personal_growth = velocity / baseline.max(spec.floors.baseline);
        let market_position = velocity / market.max(spec.floors.market);
        let is_rising = spec.profile == Profile::Rising;
        let newcomer = is_rising && !own_baseline;
        let growth = if is_rising && own_baseline {
            ((velocity + market) / (baseline + market)).log2()
        } else {
            0.0
        };
        let (raw, score) = if is_rising {
            let s = growth + SIZE * (1.0 + velocity / market).log2();
            (s, rising_score(s))
        } else {
            let raw = spec.weights.personal * personal_growth
                + spec.weights.market * market_position
                + spec.weights.momentum * (1.0 + momentum);
            let exponent = -spec.curve.steepness * (raw - spec.curve.midpoint);
            (raw, 100.0 / (1.0 + exponent.exp()))
        };
        Terms {
            velocity,
            previous_velocity,
            baseline,
            own_baseline,
            market,
            momentum,
            personal_growth,
            market_position,
            raw,
            growth,
            provisional: sums.provisional_e6 / 1e6 / self.window_minutes,
            newcomer,
            score,
        }
    }

    /// The measure by which a creator is scored, of that of its platform: of the profile `rising` at least ten engagements a
    /// window.
    fn market_of(&self, market: f64) -> f64 {
        match self.spec.profile {
            Profile::Rising => market.max(LEAST / self.window_minutes),
            _ => market,
        }
    }

    /// `b` from the KOL's own history, once that is at least three windows long: the decayed sums,
    /// scaled to one window and corrected for the part of the geometric weights not yet filled.
    fn own_baseline(&self, sums: &Sums) -> Option<f64> {
        let first_kept = sums.window_end.saturating_sub(2 * self.panes);
        let history = first_kept.saturating_sub(sums.first_pane);
        if history < 3 * self.panes {
            return None;
        }
        let filled = 1.0 - self.decay(history as f64);
        let factor = self.panes as f64 / filled;
        Some(self.velocity(
            factor * sums.baseline_engagement_e6,
            factor * sums.baseline_events,
        ))
    }

    /// The label of a score that was rounded to two decimals. A newcomer's is Warm at most.
    pub fn label(&self, rounded_score: f64, newcomer: bool) -> &'static str {
        match self.spec.labels.of(rounded_score) {
            "Viral" | "Hot" if newcomer => "Warm",
            label => label,
        }
    }
}

impl Labels {
    /// The label of a score that was rounded to two decimals.
    pub fn of(&self, rounded_score: f64) -> &'static str {
        match rounded_score {
            s if s >= self.viral => "Viral",
            s if s >= self.hot => "Hot",
            s if s >= self.warm => "Warm",
            s if s >= self.normal => "Normal",
            _ => "Cold",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Counters, ScoringSpec};

    fn cumulative() -> Scoring {
        Scoring::new(&ScoringSpec::defaults(
            Profile::Default,
            Counters::Cumulative,
        ))
    }

    #[test]
    fn a_kol_without_engagement_scores_what_the_old_job_gave_everyone() {
        let spec = ScoringSpec::defaults(Profile::SparkCompat, Counters::Delta);
        let terms = Scoring::new(&spec).score(&Sums::default(), 0.0);
        assert_eq!(format!("{:.2}", terms.score), "19.15");
    }

    proptest::proptest! {
        #[test]
        fn what_a_spec_may_say_gives_numbers_whatever_the_sums(
            // Negative, too, and as large as `check` lets them be.
            [personal, market_weight, momentum] in [-1e6..=1e6, -1e6..=1e6, -1e6..=1e6],
            (steepness, midpoint, floor) in (-1e6..=1e6, -1e6..=1e6, 1e-6..=1e6),
            engagement in proptest::array::uniform2(0u64..),
            events in proptest::array::uniform2(0u32..),
            (market, first_pane) in (0.0..1e300, 0u64..2_000),
        ) {
            let mut scoring = cumulative();
            let spec = &mut scoring.spec;
            spec.weights.personal = personal;
            spec.weights.market = market_weight;
            spec.weights.momentum = momentum;
            spec.curve.steepness = steepness;
            spec.curve.midpoint = midpoint;
            spec.floors.baseline = floor;
            spec.floors.market = floor;
            spec.floors.velocity = floor;
            let sums = Sums {
                window_end: 2_000,
                first_pane,
                engagement_e6: engagement[0] as f64,
                events: events[0].into(),
                previous_engagement_e6: engagement[1] as f64,
                previous_events: events[1].into(),
                baseline_engagement_e6: engagement[1] as f64,
                baseline_events: events[1].into(),
                provisional_e6: engagement[1] as f64,
            };
            for profile in [Profile::Default, Profile::Rising] {
                scoring.spec.profile = profile;
                let terms = scoring.score(&sums, market);
                proptest::prop_assert!(terms.are_finite(), "{terms:?}");
                proptest::prop_assert!((0.0..=100.0).contains(&terms.score));
            }
        }
    }

    #[test]
    fn momentum_and_position_follow_the_formula() {
        // One day = 1440 minutes; 1440 engagements = velocity 1; 2880 now = velocity 2.
        let sums = Sums {
            window_end: 100,
            first_pane: 99,
            engagement_e6: 2_880e6,
            previous_engagement_e6: 1_440e6,
            ..Sums::default()
        };
        let terms = cumulative().score(&sums, 4.0);
        assert_eq!((terms.velocity, terms.previous_velocity), (2.0, 1.0));
        assert!(!terms.own_baseline);
        assert_eq!(terms.momentum, 1.0);
        assert_eq!((terms.personal_growth, terms.market_position), (0.5, 0.5));
        assert!((terms.raw - (0.25 + 0.15 + 0.4)).abs() < 1e-12);
    }

    #[test]
    fn a_steady_creator_has_its_own_velocity_as_baseline_after_three_windows() {
        let scoring = cumulative();
        let h = 24 * 5;
        let each = 60e6;
        // What a steady 60 engagements a pane add up to over k panes.
        let baseline = each * (1.0 - scoring.decay(h as f64));
        let sums = Sums {
            window_end: h + 48,
            first_pane: 0,
            engagement_e6: 24.0 * each,
            previous_engagement_e6: 24.0 * each,
            baseline_engagement_e6: baseline,
            ..Sums::default()
        };
        let terms = scoring.score(&sums, 0.0);
        assert!(terms.own_baseline);
        assert!((terms.baseline - terms.velocity).abs() < 1e-9);
        let young = Sums {
            first_pane: h - 71,
            ..sums
        };
        assert!(!scoring.score(&young, 0.0).own_baseline);
    }

    #[test]
    fn the_curve_of_rising_has_no_step_and_goes_through_its_points() {
        for (s, score) in CURVE {
            assert!((rising_score(s) - score).abs() < 1e-12, "{s}");
            assert!((rising_score(s + 1e-9) - score).abs() < 1e-6, "{s}");
        }
        assert_eq!((rising_score(-1.5), rising_score(3.0)), (12.5, 90.0));
        assert!((rising_score(0.95) - 50.0).abs() < 1e-12);
    }

    #[test]
    fn a_newcomer_has_no_growth_and_is_warm_at_most() {
        let spec = ScoringSpec::defaults(Profile::Rising, Counters::Cumulative);
        let scoring = Scoring::new(&spec);
        // 1440 engagements, and as many carried on; a usual of half an engagement a minute.
        let sums = Sums {
            window_end: 1_000,
            first_pane: 1_000 - 48 - 72,
            engagement_e6: 1_440e6,
            provisional_e6: 1_440e6,
            baseline_engagement_e6: 30e6 * (1.0 - scoring.decay(72.0)),
            ..Sums::default()
        };
        let known = scoring.score(&sums, 1.0);
        assert_eq!((known.velocity, known.provisional), (2.0, 1.0));
        assert!((known.growth - 1.0).abs() < 1e-12 && !known.newcomer);
        assert!((known.raw - (1.0 + 0.2 * 3_f64.log2())).abs() < 1e-12);
        let newer = Sums {
            first_pane: sums.first_pane + 1,
            ..sums
        };
        let newcomer = scoring.score(&newer, 1.0);
        assert!(newcomer.newcomer && newcomer.growth == 0.0);
        let floor = scoring.score(&sums, 0.0).market;
        assert_eq!(floor, 10.0 / 1_440.0);
        assert_eq!(scoring.label(99.0, true), "Warm");
        assert_eq!(scoring.label(30.0, true), "Normal");
    }

    #[test]
    fn the_label_goes_by_the_rounded_score() {
        let scoring = cumulative();
        assert_eq!(scoring.label(80.0, false), "Viral");
        assert_eq!(scoring.label(79.99, false), "Hot");
        assert_eq!(scoring.label(25.0, false), "Normal");
        assert_eq!(scoring.label(24.99, false), "Cold");
    }
}
