//! The typed job spec. A spec is input, not code: everything in it was checked by the parser
//! (`job::parse`) before one of these exists, and secrets stay references until the moment of use.

use serde::{Deserialize, Serialize};

use super::source::SourceSpec;
use super::spec::{CheckpointSpec, ScoringSpec, SinkSpec};

/// One job: what it reads, how it scores and where it writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Unique among the jobs that are not over: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Where events come from.
    pub source: SourceSpec,
    /// How creators are scored.
    pub scoring: ScoringSpec,
    /// Where rankings go.
    pub sink: SinkSpec,
    /// Where and how often state is made durable.
    pub checkpoint: CheckpointSpec,
}
