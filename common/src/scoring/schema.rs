//! What a merge carries: the constants of the score and the fields of a KOL's hash, in one table each.
//! The executor sends by them, the Lua function in Redis reads and writes by them (its first lines are
//! generated from them), `kol-client explain` shows by them, and tests compare by them. The numbers of a
//! slot have a table of their own: [`super::SlotLayout`].
//!
//! A new term of the score is computed in [`Terms`] and in the Lua function, and has one line here for
//! each constant that it needs and one for the field that shows it.

use std::fmt::Write as _;

use super::decimals;
use super::market::Market;
use super::merge::Sums;
use super::params::Scoring;
use super::score::Terms;
use crate::job::{Counters, Profile};

/// A constant of the score as the Lua function knows it.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// Its name in the Lua function.
    pub name: &'static str,
    value: fn(&Scoring, &Market) -> f64,
}

impl Constant {
    const fn new(name: &'static str, value: fn(&Scoring, &Market) -> f64) -> Self {
        Self { name, value }
    }

    /// Its value in a job. What is true is 1, what is not is 0.
    pub fn value(&self, scoring: &Scoring, market: &Market) -> f64 {
        (self.value)(scoring, market)
    }
}

/// All constants that the Lua function needs to score, in the order in which they are sent.
pub const CONSTANTS: &[Constant] = &[
    Constant::new("slide_ms", |s, _| s.spec.slide.0 as f64),
    Constant::new("panes", |s, _| s.panes as f64),
    Constant::new("minutes", |s, _| s.window_minutes),
    Constant::new("ln_keep", |s, _| s.ln_keep()),
    Constant::new("market", |_, m| m.mean),
    Constant::new("market_version", |_, m| m.version as f64),
    Constant::new("is_delta", |s, _| {
        f64::from(u8::from(s.spec.counters == Counters::Delta))
    }),
    Constant::new("is_spark", |s, _| {
        f64::from(u8::from(s.spec.profile == Profile::SparkCompat))
    }),
    Constant::new("weight_personal", |s, _| s.spec.weights.personal),
    Constant::new("weight_market", |s, _| s.spec.weights.market),
    Constant::new("weight_momentum", |s, _| s.spec.weights.momentum),
    Constant::new("floor_baseline", |s, _| s.spec.floors.baseline),
    Constant::new("floor_market", |s, _| s.spec.floors.market),
    Constant::new("floor_velocity", |s, _| s.spec.floors.velocity),
    Constant::new("steepness", |s, _| s.spec.curve.steepness),
    Constant::new("midpoint", |s, _| s.spec.curve.midpoint),
    Constant::new("momentum_min", |s, _| s.spec.momentum.min),
    Constant::new("momentum_max", |s, _| s.spec.momentum.max),
    Constant::new("viral", |s, _| s.spec.labels.viral),
    Constant::new("hot", |s, _| s.spec.labels.hot),
    Constant::new("warm", |s, _| s.spec.labels.warm),
    Constant::new("normal", |s, _| s.spec.labels.normal),
];

/// A KOL that was scored: what its fields follow from.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// The constants by which it was scored.
    pub scoring: &'a Scoring,
    /// Its slots, added up.
    pub sums: &'a Sums,
    /// What the formula made of them.
    pub terms: &'a Terms,
}

impl Scored<'_> {
    /// The label: it goes by the score as it is shown.
    pub fn label(&self) -> &'static str {
        let shown = decimals::rounded(self.terms.score, SCORE_DECIMALS);
        self.scoring.label(shown, self.terms.newcomer)
    }
}

/// A value that is sent for each KOL.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name: in the hash and in the Lua function.
    pub name: &'static str,
    /// What it shows, and how.
    pub shows: Shows,
    /// When it changes.
    pub changes: Changes,
}

/// When the value of a field changes, of a KOL with one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// With every event, or with the market measure.
    Often,
    /// Not while window end, baseline sums and first pane of the slot are the same.
    WithBaseline,
}

/// What a field shows.
#[derive(Clone, Copy, Debug)]
pub enum Shows {
    /// A number, as text that reads back as the same number.
    Exact(fn(&Scored<'_>) -> f64),
    /// A number with so many decimals, correctly rounded as C's `%.nf` rounds it.
    Rounded(usize, fn(&Scored<'_>) -> f64),
    /// A text, put into a buffer that is empty.
    Text(fn(&Scored<'_>, &mut String)),
}

impl Field {
    /// Writes the value of one KOL over what the buffer holds.
    pub fn write(&self, scored: &Scored<'_>, out: &mut String) {
        out.clear();
        match self.shows {
            Shows::Exact(number) => {
                // Writing to a String cannot fail.
                let _infallible = write!(out, "{}", number(scored));
            }
            Shows::Rounded(decimals, number) => decimals::push(out, number(scored), decimals),
            Shows::Text(text) => text(scored, out),
        }
    }
}

/// Decimals of the score as dashboards read it.
pub const SCORE_DECIMALS: usize = 2;

/// What the ranking holds: the score, not rounded, so that the top of a ranking is no tie.
pub const RANK: Field = Field {
    name: "rank",
    shows: Shows::Exact(|k| k.terms.score),
    changes: Changes::Often,
};

/// The fields of `trending:{platform}:{kol}` that follow from the score, in the order in which they are
/// sent after [`RANK`].
pub const FIELDS: &[Field] = &[
    Field {
        name: "trending_score",
        shows: Shows::Rounded(SCORE_DECIMALS, |k| k.terms.score),
        changes: Changes::Often,
    },
    Field {
        name: "trending_label",
        shows: Shows::Text(|k, out| out.push_str(k.label())),
        changes: Changes::Often,
    },
    Field {
        name: "velocity",
        shows: Shows::Rounded(2, |k| k.terms.velocity),
        changes: Changes::Often,
    },
    Field {
        name: "momentum",
        shows: Shows::Rounded(2, |k| k.terms.momentum),
        changes: Changes::Often,
    },
    Field {
        name: "personal_growth",
        shows: Shows::Rounded(2, |k| k.terms.personal_growth),
        changes: Changes::Often,
    },
    Field {
        name: "market_position",
        shows: Shows::Rounded(2, |k| k.terms.market_position),
        changes: Changes::Often,
    },
    Field {
        name: "raw_score",
        shows: Shows::Rounded(4, |k| k.terms.raw),
        changes: Changes::Often,
    },
    Field {
        // Zero while the market stands in for it.
        name: "baseline",
        shows: Shows::Rounded(2, |k| match k.terms.own_baseline {
            true => k.terms.baseline,
            false => 0.0,
        }),
        changes: Changes::WithBaseline,
    },
    Field {
        name: "event_count",
        shows: Shows::Rounded(0, |k| k.sums.events),
        changes: Changes::Often,
    },
    Field {
        name: "total_engagement",
        shows: Shows::Rounded(0, |k| k.sums.engagement_e6 / 1e6),
        changes: Changes::Often,
    },
    Field {
        name: "window_end",
        shows: Shows::Text(|k, out| k.scoring.time(k.sums.window_end).push_iso(out)),
        changes: Changes::WithBaseline,
    },
];

/// The same of the profile `rising`: those of [`FIELDS`] that mean the same there, and its own.
pub const RISING_FIELDS: &[Field] = &[
    FIELDS[0],
    FIELDS[1],
    Field {
        name: "rising",
        shows: Shows::Rounded(4, |k| k.terms.raw),
        changes: Changes::Often,
    },
    Field {
        name: "growth",
        shows: Shows::Rounded(4, |k| k.terms.growth),
        changes: Changes::Often,
    },
    Field {
        // Zero of a newcomer.
        name: "usual",
        shows: Shows::Rounded(4, |k| match k.terms.own_baseline {
            true => k.terms.baseline,
            false => 0.0,
        }),
        changes: Changes::WithBaseline,
    },
    Field {
        name: "provisional",
        shows: Shows::Rounded(2, |k| k.terms.provisional),
        changes: Changes::Often,
    },
    Field {
        name: "newcomer",
        shows: Shows::Rounded(0, |k| f64::from(u8::from(k.terms.newcomer))),
        changes: Changes::WithBaseline,
    },
    FIELDS[2],
    FIELDS[3],
    FIELDS[4],
    FIELDS[7],
    FIELDS[8],
    FIELDS[9],
    FIELDS[10],
];

/// The fields that jobs of a profile have.
pub const fn fields(profile: Profile) -> &'static [Field] {
    match profile {
        Profile::Default | Profile::SparkCompat => FIELDS,
        Profile::Rising => RISING_FIELDS,
    }
}

/// The names of all fields that any profile has, each once.
pub fn all_names() -> impl Iterator<Item = &'static str> {
    let of_rising = RISING_FIELDS.iter().map(|field| field.name);
    let others = of_rising.filter(|name| FIELDS.iter().all(|field| field.name != *name));
    FIELDS.iter().map(|field| field.name).chain(others)
}

/// Fields of the hash that say whose it is.
pub const KOL_ID: &str = "kol_id";
/// Field of a creator's hash, as [`KOL_ID`]: its platform.
pub const PLATFORM: &str = "platform";
/// Field with the time of the last merge.
pub const UPDATED_AT: &str = "updated_at";
/// Field with the generation of the job that wrote the hash.
pub const GENERATION: &str = "generation";
/// Field in which versions before this one kept the packed slots. It is read once, and removed.
pub const OLD_SLOTS: &str = "_slots";
/// The same for the market measure by which the hash was scored: generation, version and measure as text.
pub const OLD_MARKET: &str = "_market";
/// Version of the packed form in [`OLD_SLOTS`]: a version byte, then slots of today's layout.
pub const OLD_SLOTS_VERSION: u8 = 1;

/// The fields of the old job's hash, `streaming_scores:{kol}`, in the order in which they are read back; the score stands
/// there twice.
pub const LEGACY_FIELDS: [&str; 6] = [
    PLATFORM,
    UPDATED_AT,
    "trending_score",
    "label",
    "score",
    "username",
];

/// The fields of a hash that say whose it is.
pub const IDENTITY: [&str; 3] = [KOL_ID, PLATFORM, GENERATION];

/// The same of the old job's hash.
pub const LEGACY_IDENTITY: [&str; 2] = ["username", PLATFORM];

/// The fields of a hash in the order in which they are read back: those of [`fields`] stand before the name, which may be any text.
pub fn hash_fields(profile: Profile) -> impl Iterator<Item = &'static str> {
    let before = [PLATFORM, GENERATION, UPDATED_AT].into_iter();
    let fields = before.chain(fields(profile).iter().map(|field| field.name));
    fields.chain([KOL_ID])
}

/// Fields of a hash.
pub const HASH_FIELDS: usize = FIELDS.len() + 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ScoringSpec;

    #[test]
    fn a_hash_shows_what_dashboards_read() {
        let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
        let scoring = Scoring::new(&spec);
        let sums = Sums {
            window_end: 486_000,
            first_pane: 485_999,
            engagement_e6: 34_233.2e6,
            previous_engagement_e6: 107_197.4e6,
            events: 35.0,
            ..Sums::default()
        };
        let terms = scoring.score(&sums, 4.73);
        let scored = Scored {
            scoring: &scoring,
            sums: &sums,
            terms: &terms,
        };
        let mut text = "of the KOL before".to_owned();
        let mut shown = Vec::new();
        for field in FIELDS {
            field.write(&scored, &mut text);
            shown.push((field.name, text.clone()));
        }
        let expected = [
            ("trending_score", "84.13"),
            ("trending_label", "Viral"),
            ("velocity", "23.77"),
            ("momentum", "-0.68"),
            ("personal_growth", "5.03"),
            ("market_position", "5.03"),
            ("raw_score", "4.0847"),
            ("baseline", "0.00"),
            ("event_count", "35"),
            ("total_engagement", "34233"),
            ("window_end", "2025-06-11T00:00:00.000Z"),
        ];
        let expected: Vec<_> = expected.map(|(n, t)| (n, t.to_owned())).into();
        assert_eq!(shown, expected);
        RANK.write(&scored, &mut text);
        assert_eq!(text.parse(), Ok(terms.score), "exactly");
    }

    #[test]
    fn no_name_is_used_twice() {
        let fields = all_names();
        let others = [
            RANK.name, KOL_ID, PLATFORM, UPDATED_AT, GENERATION, OLD_SLOTS, OLD_MARKET,
        ];
        let mut names: Vec<_> = fields.chain(others).collect();
        let constants = CONSTANTS.iter().map(|constant| constant.name);
        let mut constants: Vec<_> = constants.collect();
        for names in [&mut names, &mut constants] {
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{names:?}");
        }
    }
}
