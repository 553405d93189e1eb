//! What an operator allows every spec.

use super::JobSpec;
use crate::KolError;
use crate::checkpoint::Location;

/// Where checkpoints may go.
#[derive(Clone, Debug, Default)]
pub struct SpecPolicy {
    /// Place that locations must lie below; `None` allows any.
    pub checkpoint_root: Option<Location>,
}

impl SpecPolicy {
    /// Gives a spec without a checkpoint location that of the operator.
    pub fn complete(&self, spec: &mut JobSpec) {
        if let Some(root) = self
            .checkpoint_root
            .as_ref()
            .filter(|_| spec.checkpoint.location.is_empty())
        {
            spec.checkpoint.location = root.to_string();
        }
    }

    /// Whether a spec writes only where it may.
    ///
    /// # Errors
    /// `CHECKPOINT_LOCATION`: malformed, or not below the root.
    pub fn check(&self, spec: &JobSpec) -> Result<(), KolError> {
        let place: Location = spec.checkpoint.location.parse()?;
        match &self.checkpoint_root {
            Some(root) if !root.holds(&place) => {
                let what = format!("checkpoint.location {place} does not lie below {root}");
                Err(KolError::user("CHECKPOINT_LOCATION", what)
                    .help("Leave it out, or start kol-master with another --checkpoint-root.")
                    .job(&spec.name))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(root: &str) -> SpecPolicy {
        SpecPolicy {
            checkpoint_root: Some(root.parse().unwrap()),
        }
    }

    fn spec(location: &str) -> JobSpec {
        let toml = format!(
            "name = \"x\"\n[source]\nbootstrap = \"k:9092\"\n[sink]\nurl = \"redis://r:6379/0\"\n\
             [checkpoint]\nlocation = \"{location}\"\n"
        );
        crate::job::parse(&toml, "x").unwrap().spec
    }

    #[test]
    fn a_spec_without_a_location_gets_the_one_of_the_operator() {
        for root in ["file:///srv/kol", "s3://kol-state/prod"] {
            let mut spec = spec("");
            policy(root).complete(&mut spec);
            assert_eq!(spec.checkpoint.location, root);
            policy(root).check(&spec).unwrap();
        }
    }

    #[test]
    fn a_spec_may_only_write_below_the_location_of_the_operator() {
        policy("s3://kol-state")
            .check(&spec("s3://kol-state/a"))
            .unwrap();
        for elsewhere in ["file:///srv/other", "s3://kol-state/prod"] {
            let refused = policy("file:///srv/kol").check(&spec(elsewhere));
            let error = refused.unwrap_err();
            assert!(error.message.contains("below file:///srv/kol"), "{error}");
            assert!(error.help.contains("--checkpoint-root"), "{error}");
        }
    }
}
