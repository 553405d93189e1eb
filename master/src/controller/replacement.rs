//! Whether a job that is to replace a running one could run. That is looked up before the running one ends: what
//! is refused changes nothing.

use std::time::Duration;

use kol_common::KolError;
use kol_common::job::{JobSpec, StartingOffsets};

use crate::job::discovery::Outside;
use crate::job::tenure::Owned;

/// Longest look at Kafka: it is over before whoever submits stops waiting.
const LIMIT: Duration = Duration::from_secs(10);

/// The answer to the look at whose keys in Redis the job would write, unless its topics or its Redis cannot be
/// used now.
///
/// # Errors
/// As of that look, or of a look at the topics. None of them is retryable: for a job that replaces none, some are.
pub(super) async fn could_run(
    owned: impl Future<Output = Result<Owned, KolError>>,
    spec: &JobSpec,
    outside: &Outside,
) -> Result<Owned, KolError> {
    match tokio::join!(owned, topics_are_there(spec, outside)) {
        (Err(held), _) if !held.retryable => Err(held),
        (_, Err(error)) | (Err(error), _) => Err(not_replaced(error, &spec.name)),
        (Ok(owned), Ok(())) => Ok(owned),
    }
}

async fn topics_are_there(spec: &JobSpec, outside: &Outside) -> Result<(), KolError> {
    let (source, secrets) = (spec.source.clone(), outside.secrets.clone());
    // Where it would start is looked up once it does.
    let offsets = StartingOffsets::Earliest;
    let starts = outside.brokers.starts(source, Vec::new(), offsets, secrets);
    let late = || KolError::external("SOURCE_UNREACHABLE", "Kafka does not answer in time");
    let in_time = tokio::time::timeout(LIMIT, starts).await;
    in_time.unwrap_or_else(|_| Err(late())).map(drop)
}

fn not_replaced(mut error: KolError, job: &str) -> KolError {
    error.message = format!(
        "job `{job}` runs as before, since the one to replace it could not: {}",
        error.message
    );
    let again = "Submit again once that is right, or stop the job that runs first.";
    error.help = format!("{} {again}", error.help).trim().to_owned();
    error.job(job).terminal()
}
