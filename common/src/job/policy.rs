//! What an operator allows every spec.

use std::path::{Component, Path, PathBuf};

use super::JobSpec;
use crate::KolError;

/// Where checkpoints may go.
#[derive(Clone, Debug, Default)]
pub struct SpecPolicy {
    /// Folder that `file://` locations must lie below; `None` allows any.
    pub checkpoint_root: Option<PathBuf>,
    /// Buckets that `s3://` locations may name.
    pub checkpoint_buckets: Vec<String>,
}

impl SpecPolicy {
    /// Checks a spec.
    ///
    /// # Errors
    /// It wants to write where it may not.
    pub fn check(&self, spec: &JobSpec) -> Result<(), KolError> {
        let location = spec.checkpoint.location.as_str();
        let refuse = |why: String| {
            Err(
                KolError::user("CHECKPOINT_LOCATION", format!("`{location}`: {why}"))
                    .job(&spec.name),
            )
        };
        if let Some(path) = location.strip_prefix("file://") {
            let path = Path::new(path);
            let escapes = path.components().any(|c| c == Component::ParentDir);
            return match &self.checkpoint_root {
                _ if escapes => refuse("`..` is not allowed".into()),
                Some(root) if !path.starts_with(root) => refuse(format!(
                    "must lie below {} (--checkpoint-root of kol-master)",
                    root.display()
                )),
                _ => Ok(()),
            };
        }
        let bucket = location
            .strip_prefix("s3://")
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        if self.checkpoint_buckets.iter().any(|b| b == bucket) {
            Ok(())
        } else {
            refuse(format!("bucket `{bucket}` is not allowed by kol-master"))
        }
    }
}
