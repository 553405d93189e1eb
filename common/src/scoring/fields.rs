//! A KOL's hash fields as text. Rounded fields are correctly rounded decimals, as C's `%.2f` prints
//! them, because the Lua function prints them too.

use std::fmt::Write as _;

use super::merge::Sums;
use super::params::Scoring;
use super::score::Terms;
use crate::job::Profile;

/// The fields of `trending:{platform}:{kol}` that follow from the sums, in the order in which they
/// travel to Redis. Buffers are reused from KOL to KOL.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// The score for the ranking, not rounded: shortest text that reads back as the same number.
    pub rank: String,
    /// `trending_score`, two decimals.
    pub trending_score: String,
    /// `trending_label`.
    pub trending_label: &'static str,
    /// `velocity`, two decimals.
    pub velocity: String,
    /// `momentum`, two decimals.
    pub momentum: String,
    /// `personal_growth`, two decimals.
    pub personal_growth: String,
    /// `market_position`, two decimals.
    pub market_position: String,
    /// `raw_score`, four decimals.
    pub raw_score: String,
    /// `baseline`, two decimals; 0.00 while the market stands in for it.
    pub baseline: String,
    /// `event_count` of the window.
    pub event_count: String,
    /// `total_engagement` of the window, rounded to whole engagements.
    pub total_engagement: String,
}

impl Fields {
    /// Writes the fields of one KOL over those of the one before.
    pub fn fill(&mut self, scoring: &Scoring, sums: &Sums, terms: &Terms) {
        write(&mut self.rank, format_args!("{}", terms.score));
        write(&mut self.trending_score, format_args!("{:.2}", terms.score));
        let rounded = self.trending_score.parse().unwrap_or(terms.score);
        self.trending_label = scoring.label(rounded);
        write(&mut self.velocity, format_args!("{:.2}", terms.velocity));
        write(&mut self.momentum, format_args!("{:.2}", terms.momentum));
        write(
            &mut self.personal_growth,
            format_args!("{:.2}", terms.personal_growth),
        );
        write(
            &mut self.market_position,
            format_args!("{:.2}", terms.market_position),
        );
        write(&mut self.raw_score, format_args!("{:.4}", terms.raw));
        let own = terms.own_baseline || scoring.spec.profile == Profile::SparkCompat;
        let baseline = if own { terms.baseline } else { 0.0 };
        write(&mut self.baseline, format_args!("{baseline:.2}"));
        write(&mut self.event_count, format_args!("{:.0}", sums.events));
        write(
            &mut self.total_engagement,
            format_args!("{:.0}", sums.engagement_e6 / 1e6),
        );
    }
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.clear();
    // Writing to a String cannot fail.
    let _infallible = out.write_fmt(text);
}
