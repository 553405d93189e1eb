//! Deletes state files that nothing refers to.

use kol_common::checkpoint::Store;
use kol_common::{JobId, KolError};

/// Deletes these files below a location. One that cannot be deleted stays behind and harms nobody.
///
/// # Errors
/// The location cannot be opened.
pub async fn collect(location: String, paths: Vec<String>) -> Result<(), KolError> {
    let store = Store::open(&location)?;
    for path in paths {
        if let Err(error) = store.delete(&path).await {
            tracing::debug!(%error, "a state file that is not needed stays behind");
        }
    }
    Ok(())
}

/// Deletes all state of a job.
///
/// # Errors
/// The location cannot be read.
pub async fn collect_all(location: String, job: JobId) -> Result<(), KolError> {
    let files = Store::open(&location)?.list(job.as_str()).await?;
    collect(location, files.into_iter().map(|(path, _)| path).collect()).await
}
