//! Writes the job spec, and says what became of every setting.
//!
//! | file | does |
//! |---|---|
//! | `streams` | which streams the job reads: brokers, topics |
//! | `offsets` | where it starts |
//! | `login` | how it logs in to Kafka |
//! | `sink` | its Redis |
//! | `place` | its name and its checkpoints |
//! | `leftovers` | what is not carried over, and why |
//! | `draft` | lines, comments and notes |

mod draft;
mod leftovers;
mod login;
mod offsets;
mod place;
mod sink;
mod streams;

use kol_common::KolError;

use super::model::Facts;
use draft::Draft;

pub use draft::Converted;

/// Writes the spec of the streams with these numbers, from 1; of all if none is given.
///
/// # Errors
/// There is no such stream, or they do not belong to one cluster.
pub fn write(facts: &Facts, picks: &[usize]) -> Result<Converted, KolError> {
    let chosen = streams::choose(facts, picks)?;
    let mut draft = Draft::new(facts.notes.clone());
    place::name(facts, &mut draft);
    draft.line("\n[source]");
    streams::write(facts, &chosen, &mut draft);
    login::write(&chosen.options(), &mut draft);
    draft.line("\n[scoring]");
    draft.line("# Counters of crawled videos are lifetime totals; the old job added them up.");
    draft.line("counters = \"cumulative\"");
    draft.line("\n[sink]");
    sink::write(facts, &mut draft);
    draft.line("# The old job's streaming_scores:{kol} as well.");
    draft.line("legacy_hashes = true");
    place::checkpoint(facts, &mut draft);
    leftovers::write(facts, &chosen, &mut draft);
    draft.without(&facts.secrets());
    let mut converted = draft.end();
    converted.streams = chosen.listed;
    Ok(converted)
}
