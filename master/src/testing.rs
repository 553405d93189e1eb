//! What several tests need.

use kol_common::job::{
    CheckpointSpec, Counters, JobSpec, Profile, ScoringSpec, SinkSpec, SourceSpec,
};

/// A spec with all defaults, cumulative counters.
pub(crate) fn spec(name: &str) -> JobSpec {
    JobSpec {
        name: name.into(),
        source: SourceSpec::default(),
        scoring: ScoringSpec::defaults(Profile::Default, Counters::Cumulative),
        sink: SinkSpec::default(),
        alerts: kol_common::job::AlertsSpec::default(),
        checkpoint: CheckpointSpec::default(),
    }
}
