//! Deletes state files that nothing refers to.

use kol_common::checkpoint::Store;
use kol_common::{JobId, KolError};

use super::Sweep;

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

/// Deletes what was left behind: files of epochs before the oldest kept one that no kept one refers to.
///
/// # Errors
/// The location cannot be read.
pub async fn sweep(location: String, job: JobId, sweep: Sweep) -> Result<(), KolError> {
    let files = Store::open(&location)?.list(job.as_str()).await?;
    let left = files.into_iter().map(|(path, _)| path);
    let left: Vec<String> = left.filter(|path| is_left_behind(path, &sweep)).collect();
    if !left.is_empty() {
        tracing::info!(%job, files = left.len(), "deleting state files that were left behind");
    }
    collect(location, left).await
}

/// The name of a state file begins with its epoch.
fn is_left_behind(path: &str, sweep: &Sweep) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let epoch = name.split('-').next().and_then(|e| e.parse::<u64>().ok());
    epoch.is_some_and(|epoch| epoch < sweep.before) && !sweep.used.contains(path)
}

/// Deletes all state of a job.
///
/// # Errors
/// The location cannot be read.
pub async fn collect_all(location: String, job: JobId) -> Result<(), KolError> {
    let files = Store::open(&location)?.list(job.as_str()).await?;
    collect(location, files.into_iter().map(|(path, _)| path).collect()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_past_that_nobody_refers_to_are_left_behind() {
        let sweep = Sweep {
            before: 40,
            used: ["job_1/0/000000000007-1-a.state".to_owned()].into(),
        };
        let left = |path: &str| is_left_behind(path, &sweep);
        assert!(left("job_1/0/000000000008-1-b.state"));
        assert!(!left("job_1/0/000000000007-1-a.state"), "in use");
        assert!(
            !left("job_1/0/000000000040-2-c.state"),
            "may be in the making"
        );
        assert!(!left("job_1/0/notes.txt"), "not ours");
    }
}
