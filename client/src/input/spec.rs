//! Files with job specs.

use std::path::Path;

use kol_common::KolError;
use kol_common::job::with_overrides;

/// Reads a spec with `--set` applied.
///
/// # Errors
/// It cannot be read, or `--set` does not fit it.
pub fn read_spec(file: &Path, sets: &[(String, String)]) -> Result<String, KolError> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| KolError::user("SPEC_FILE", format!("cannot read {}: {e}", file.display())))?;
    with_overrides(&text, sets)
}
