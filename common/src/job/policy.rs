//! What an operator allows every spec.

use super::JobSpec;
use crate::KolError;
use crate::checkpoint::Location;

/// Where state may be written and read.
#[derive(Clone, Debug)]
pub struct SpecPolicy {
    /// Where checkpoints go that name no other place.
    checkpoint_root: Location,
    /// State may lie below these, too.
    more: Vec<Location>,
}

impl SpecPolicy {
    /// State lies below `checkpoint_root`, and may lie below each of `more`.
    pub fn new(checkpoint_root: Location, more: Vec<Location>) -> Self {
        Self {
            checkpoint_root,
            more,
        }
    }

    /// Gives a spec without a checkpoint location that of the operator.
    pub fn complete(&self, spec: &mut JobSpec) {
        if spec.checkpoint.location.is_empty() {
            spec.checkpoint.location = self.checkpoint_root.to_string();
        }
    }

    /// Whether a spec writes only where it may.
    ///
    /// # Errors
    /// `CHECKPOINT_LOCATION`: malformed, or not below an allowed place.
    pub fn check(&self, spec: &JobSpec) -> Result<(), KolError> {
        let location = &spec.checkpoint.location;
        self.check_place("checkpoint.location", location)
            .map_err(|error| error.job(&spec.name))
    }

    /// Whether state may be read from a location, or written to it, that a person names; `what` says which.
    ///
    /// # Errors
    /// `CHECKPOINT_LOCATION`: malformed, or not below an allowed place.
    pub fn check_place(&self, what: &str, location: &str) -> Result<(), KolError> {
        let place: Location = location.parse()?;
        let mut allowed = std::iter::once(&self.checkpoint_root).chain(&self.more);
        if allowed.any(|root| root.holds(&place)) {
            return Ok(());
        }
        let roots = std::iter::once(&self.checkpoint_root).chain(&self.more);
        let roots: Vec<_> = roots.map(ToString::to_string).collect();
        let refused = format!("{what} {place} does not lie below {}", roots.join(" or "));
        Err(KolError::user("CHECKPOINT_LOCATION", refused).help(
            "Leave it out, or start kol-master with --allow-root PLACE or another --checkpoint-root.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(root: &str) -> SpecPolicy {
        SpecPolicy::new(
            root.parse().unwrap(),
            vec!["file:///backup".parse().unwrap()],
        )
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
        policy("s3://kol-state")
            .check(&spec("file:///backup/kol"))
            .unwrap();
        for elsewhere in [
            "file:///srv/other",
            "file:///backups",
            "s3://kol-state/prod",
        ] {
            let refused = policy("file:///srv/kol").check(&spec(elsewhere));
            let error = refused.unwrap_err();
            assert!(error.message.contains("below file:///srv/kol"), "{error}");
            assert!(error.help.contains("--checkpoint-root"), "{error}");
        }
    }
}
