//! The typed job spec. A spec is input, not code: everything in it was checked by the parser
//! (`job::parse`) before one of these exists, and secrets stay references until the moment of use.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::alerts::AlertsSpec;
use super::rekey::RekeySpec;
use super::source::SourceSpec;
use super::spec::{CheckpointSpec, MAX_PANES, ScoringSpec, SinkSpec};

/// One job: what it reads, how it scores and where it writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Unique among the jobs that are not over: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Where events come from.
    pub source: SourceSpec,
    /// How creators are scored.
    #[serde(deserialize_with = "computable")]
    pub scoring: ScoringSpec,
    /// Where rankings go.
    pub sink: SinkSpec,
    /// Where and how often state is made durable.
    pub checkpoint: CheckpointSpec,
    /// Alerts about creators, and where they go. Not written while there is nothing: the version before does not know it.
    #[serde(default, skip_serializing_if = "AlertsSpec::is_empty")]
    pub alerts: AlertsSpec,
}

impl JobSpec {
    /// The stage that re-keys the input, with the name of the internal topic; `None` for a job without one.
    pub fn rekey(&self) -> Option<(&RekeySpec, String)> {
        let rekey = self.source.kafka().rekey.as_ref()?;
        Some((rekey, rekey.topic_of(&self.name)))
    }
}

/// The scoring of a spec that was kept or sent: the parser does not look at it again, and what it divides by and makes
/// tables of must not be what the parser would never have let through.
fn computable<'de, D: Deserializer<'de>>(from: D) -> Result<ScoringSpec, D::Error> {
    let spec = ScoringSpec::deserialize(from)?;
    if spec.is_computable() {
        return Ok(spec);
    }
    Err(D::Error::custom(format!(
        "scoring: window, slide and half_life must be longer than zero, with at most {MAX_PANES} panes in a window"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Millis;
    use crate::job::{Counters, Profile, parse};

    #[test]
    fn a_spec_that_was_kept_has_times_that_can_be_computed_with() {
        let text = "name = \"a\"\n[source]\nbootstrap = \"k:9092\"\ntopics = [\"t\"]\n[sink]\nurl = \"redis://r:6379\"\n";
        let spec = parse(text, "spec").unwrap().spec;
        let again = |change: fn(&mut ScoringSpec)| {
            let mut changed = spec.clone();
            change(&mut changed.scoring);
            let json = serde_json::to_string(&changed).unwrap();
            serde_json::from_str::<JobSpec>(&json)
        };
        assert_eq!(again(|_| {}).unwrap(), spec);
        for change in [
            (|s| s.slide = Millis(0)) as fn(&mut ScoringSpec),
            |s| s.window = Millis(0),
            |s| s.half_life = Millis(0),
            |s| s.window = Millis(u64::MAX),
        ] {
            let refused = again(change).unwrap_err().to_string();
            assert!(refused.contains("panes"), "{refused}");
        }
        assert!(ScoringSpec::defaults(Profile::Default, Counters::Delta).is_computable());
    }
}
