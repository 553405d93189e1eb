//! What an operator allows every spec.

use std::path::{Component, Path, PathBuf};

use super::JobSpec;
use crate::KolError;

/// Where checkpoints may go.
#[derive(Clone, Debug, Default)]
pub struct SpecPolicy {
    /// Folder that `file://` locations must lie below; `None` allows any.
    pub checkpoint_root: Option<PathBuf>,
}

impl SpecPolicy {
    /// Fills in what a spec leaves to the operator: where its checkpoints go.
    pub fn complete(&self, spec: &mut JobSpec) {
        if let Some(root) = self
            .checkpoint_root
            .as_ref()
            .filter(|_| spec.checkpoint.location.is_empty())
        {
            spec.checkpoint.location = format!("file://{}", root.display());
        }
    }

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
        refuse("write file:///PATH: a folder that master and executors share".into())
    }
}
