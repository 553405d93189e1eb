//! Specs in a folder that are submitted when the master starts. A job that a person stopped or
//! cancelled stays ended until its file changes: what was submitted last is kept in the meta store. Keys that
//! another master's job owns are waited for: a master that lost its store finds those of its own former jobs,
//! which count for a minute.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kol_common::KolError;
use kol_common::proto::{JobState, SubmitOutcome};
use kol_common::redis::owner::KEYS_OWNED;

use crate::controller::{Begin, Handle, Submission};
use crate::election::LeaderStore;
use crate::meta::{MetaError, Transaction, Write};
use crate::specs::Admission;

/// How often, and how many times, a spec is submitted whose keys another master's job owns.
const AGAIN: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 9;
/// `autostart/{file name}` holds the text that was submitted last.
const SUBMITTED: &str = "autostart/";

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new job.
    Started,
    /// The job runs already.
    Running,
    /// A person ended the job, and the file is as it was.
    LeftEnded,
}

/// Submits every `*.toml` of `folder`, in the order of their names. A file that cannot be submitted
/// is logged and does not keep the others from it.
///
/// # Errors
/// The folder cannot be read.
pub async fn submit_all(
    folder: &Path,
    controller: &Handle,
    admission: &Admission,
    meta: &LeaderStore,
) -> Result<(), KolError> {
    let mut files = specs_in(folder)?;
    for attempt in 1..=ATTEMPTS {
        let mut owned = Vec::new();
        for file in files {
            match submit(&file, controller, admission, meta).await {
                Ok(outcome) => {
                    tracing::info!(code = "AUTOSTARTED", file = %file.display(), ?outcome, "autostart")
                }
                Err(error) if error.code == KEYS_OWNED && attempt < ATTEMPTS => {
                    tracing::info!(code = "AUTOSTART_WAITS", file = %file.display(), %error, "a spec of the autostart folder waits for its keys");
                    owned.push(file);
                }
                Err(error) => {
                    tracing::error!(code = "AUTOSTART_REFUSED", file = %file.display(), %error, "a spec of the autostart folder was not submitted");
                }
            }
        }
        if owned.is_empty() {
            break;
        }
        files = owned;
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

fn specs_in(folder: &Path) -> Result<Vec<PathBuf>, KolError> {
    let entries = std::fs::read_dir(folder).map_err(|e| {
        let what = format!("cannot read the autostart folder {}: {e}", folder.display());
        KolError::user("AUTOSTART", what).help("Correct [jobs] autostart, or create the folder.")
    })?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

async fn submit(
    file: &Path,
    controller: &Handle,
    admission: &Admission,
    meta: &LeaderStore,
) -> Result<Outcome, KolError> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| KolError::external("AUTOSTART", e.to_string()))?;
    let parsed = admission.read(&text, &file.display().to_string())?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let key = format!("{SUBMITTED}{name}");
    let unchanged = meta
        .get(&key)
        .await
        .map_err(failed)?
        .is_some_and(|entry| entry.value == text.as_bytes());
    if unchanged && ended_by_a_person(controller, &parsed.spec.name).await? {
        return Ok(Outcome::LeftEnded);
    }
    let submission = Submission {
        spec: parsed.spec,
        warnings: parsed.warnings,
        begin: Begin::Resume,
        replace: false,
        take_over: false,
        traceparent: String::new(),
    };
    let reply = controller.submit(submission).await?;
    meta.commit(Transaction {
        expected: Vec::new(),
        writes: vec![Write::Put(key, text.into_bytes())],
    })
    .await
    .map_err(failed)?;
    Ok(match reply.outcome() {
        SubmitOutcome::Unchanged => Outcome::Running,
        _ => Outcome::Started,
    })
}

/// Whether the newest job of that name was stopped or cancelled. A failed one is started again: what
/// it failed on may be repaired.
async fn ended_by_a_person(controller: &Handle, name: &str) -> Result<bool, KolError> {
    let jobs = controller.jobs().await?;
    let newest = jobs.iter().find(|job| job.name == name);
    Ok(newest.is_some_and(|job| {
        matches!(
            job.state(),
            JobState::Stopped | JobState::Cancelled | JobState::Stopping
        )
    }))
}

fn failed(error: MetaError) -> KolError {
    KolError::external("STATE_STORE", error.to_string())
}
