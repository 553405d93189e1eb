//! Secrets are named in job specs and read where they are used: from the environment or from files
//! below one folder. They never travel, print or appear in errors.

use std::path::{Component, Path, PathBuf};

use crate::KolError;
use crate::job::SecretRef;

/// Prefix that an environment variable must have to be used as a secret: a spec cannot read the rest
/// of a process's environment.
const ENV_PREFIX: &str = "KOL_SECRET_";
/// Largest secret file, bytes.
const MAX_FILE: u64 = 64 << 10;

/// Resolves secret references.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    dir: Option<PathBuf>,
}

impl Secrets {
    /// `dir` is the folder of `file:` references; without one they are refused.
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    /// The secret itself.
    ///
    /// # Errors
    /// The reference is malformed, or there is nothing where it points.
    pub fn resolve(&self, reference: &SecretRef) -> Result<String, KolError> {
        let text = reference.0.as_str();
        if let Some(name) = text.strip_prefix("env:") {
            return Self::read_env(name);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return self.read_file(path);
        }
        Err(
            KolError::user("SECRET_REFERENCE", "a secret must be given as a reference")
                .help("Write env:KOL_SECRET_NAME or file:NAME (below --secrets-dir)."),
        )
    }

    fn read_env(name: &str) -> Result<String, KolError> {
        if !name.starts_with(ENV_PREFIX) {
            return Err(KolError::user(
                "SECRET_REFERENCE",
                format!("`env:{name}` may not be read"),
            )
            .help(format!("Names of secrets start with {ENV_PREFIX}.")));
        }
        std::env::var(name).map_err(|_| {
            KolError::user(
                "SECRET_MISSING",
                format!("the environment variable {name} is not set"),
            )
            .help("Set it for kol-master and every kol-executor.")
        })
    }

    fn read_file(&self, path: &str) -> Result<String, KolError> {
        let missing = |what: &str| {
            KolError::user("SECRET_MISSING", format!("secret file `{path}`: {what}"))
                .help("Put it below --secrets-dir of kol-master and every kol-executor.")
        };
        let dir = self
            .dir
            .as_deref()
            .ok_or_else(|| missing("no --secrets-dir was given"))?;
        let plain = Path::new(path)
            .components()
            .all(|c| matches!(c, Component::Normal(_)));
        if !plain {
            return Err(missing("the path must be relative, without `..`"));
        }
        // A link must not lead out of the folder.
        let root = dir
            .canonicalize()
            .map_err(|_| missing("the folder does not exist"))?;
        let file = root
            .join(path)
            .canonicalize()
            .map_err(|_| missing("it does not exist"))?;
        if !file.starts_with(&root) {
            return Err(missing("it lies outside of the folder"));
        }
        let size = file
            .metadata()
            .map_err(|_| missing("it cannot be read"))?
            .len();
        if size > MAX_FILE {
            return Err(missing("it is too large"));
        }
        let text = std::fs::read_to_string(&file).map_err(|_| missing("it cannot be read"))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(dir: &Path, reference: &str) -> Result<String, KolError> {
        Secrets::new(Some(dir.to_owned())).resolve(&SecretRef(reference.into()))
    }

    #[test]
    fn a_file_below_the_folder_is_read_and_nothing_outside_of_it() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("s"), "no").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("redis"), "hunter2\n").unwrap();
        std::os::unix::fs::symlink(outside.path().join("s"), dir.path().join("link")).unwrap();
        assert_eq!(resolve(dir.path(), "file:redis").unwrap(), "hunter2");
        let absolute = format!("file:{}", outside.path().join("s").display());
        for bad in ["file:../x", "file:link", "file:nothing", &absolute] {
            assert_eq!(resolve(dir.path(), bad).unwrap_err().code, "SECRET_MISSING");
        }
    }

    #[test]
    fn only_variables_named_as_secrets_are_read() {
        let dir = Path::new("/nonexistent");
        assert_eq!(
            resolve(dir, "env:PATH").unwrap_err().code,
            "SECRET_REFERENCE"
        );
        assert_eq!(
            resolve(dir, "env:KOL_SECRET_NOT_SET").unwrap_err().code,
            "SECRET_MISSING"
        );
        let plain = resolve(dir, "hunter2").unwrap_err();
        assert!(!plain.to_string().contains("hunter2"));
    }
}
