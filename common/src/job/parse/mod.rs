//! From TOML to a job spec. Every problem is found at once, with its line and what to write instead:
//! a person mends a spec in one go.
//!
//! | file | does |
//! |---|---|
//! | `reader` | takes typed values out of tables, notes what is wrong, refuses unknown keys |
//! | `sections` | which keys there are, and their defaults |
//! | `checks` | whether the values make sense together |
//! | `alerts` | the keys of alerts, and whether they make sense |
//! | `ambiguity` | whether one key template can give two creators one key |
//! | `names` | what names may be made of |
//! | `lengths` | whether its texts are as long as such texts are |
//! | `overlap` | whether two key templates can become one key |
//! | `pattern` | what can stand at each place of a key |
//! | `place` | whether the Redis of a spec can be found, trusted, and holds its keys where they belong |
//! | `properties` | which librdkafka properties a spec may set |

mod alerts;
mod ambiguity;
mod checks;
mod lengths;
mod names;
mod overlap;
mod overrides;
mod pattern;
mod place;
mod properties;
mod reader;
mod sections;

use std::fmt;

pub use overrides::with_overrides;
pub use reader::SpecProblem;
use reader::{Problems, Section};

use super::JobSpec;
use crate::KolError;

/// A spec that can run.
#[derive(Clone, Debug)]
pub struct ParsedSpec {
    /// The spec, with every default filled in.
    pub spec: JobSpec,
    /// What its author should know although it can run.
    pub warnings: Vec<String>,
}

/// Everything that is wrong with a spec, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecErrors {
    /// Where the spec came from.
    pub origin: String,
    /// At least one.
    pub problems: Vec<SpecProblem>,
}

/// Parses and checks a spec. `origin` is what messages call it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, origin: &str) -> Result<ParsedSpec, SpecErrors> {
    let problems = Problems::new(text);
    let mut spec = match toml::de::DeTable::parse(text) {
        Ok(table) => sections::job(&Section::root(table.into_inner(), &problems)),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            problems.add(
                Some(at),
                "",
                format!("not TOML: {}", error.message().trim()),
            );
            None
        }
    };
    if let Some(spec) = &mut spec {
        spec.sink.keys.name_job(&spec.name);
    }
    let warnings = spec
        .as_ref()
        .map(|spec| checks::check(spec, &problems))
        .unwrap_or_default();
    match (spec, problems.into_sorted()) {
        (Some(spec), problems) if problems.is_empty() => Ok(ParsedSpec { spec, warnings }),
        (_, problems) => Err(SpecErrors {
            origin: origin.to_owned(),
            problems,
        }),
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.origin)?;
            if let Some(line) = problem.line {
                write!(f, ":{line}")?;
            }
            if !problem.key.is_empty() {
                write!(f, ": {}", problem.key)?;
            }
            write!(f, ": {}", problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecErrors {}

impl From<SpecErrors> for KolError {
    fn from(errors: SpecErrors) -> Self {
        let count = errors.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        Self::user(
            "SPEC_INVALID",
            format!("the job spec has {count} {noun}:\n{errors}"),
        )
    }
}

#[cfg(test)]
mod rekey_tests;
#[cfg(test)]
mod tests;
