//! Bad input of every kind, through real processes: each is a clear error or a counted, visible drop,
//! never a crash, a stall or silence. Afterwards Redis equals the fold.

mod many;
mod records;
mod servers;
mod specs;

use std::time::Duration;

use kol_common::Millis;
use kol_common::proto::{ErrorInfo, JobStatus};
use kol_fold::Record;
use kol_harness::{Cluster, Job};

const LIMIT: Duration = Duration::from_secs(40);
const DAYS: &str = "window = \"24h\"\nslide = \"1h\"";
/// When the made-up records were written: 2025-06-23.
const START: u64 = 1_750_636_800_000;
const HOUR: u64 = 3_600_000;

/// A record of `kol` that was written `at`.
fn record(kol: &str, at: u64, value: impl Into<Vec<u8>>) -> Record {
    Record {
        timestamp_ms: Some(at),
        key: Some(kol.into()),
        value: Some(value.into()),
        ..Record::default()
    }
}

/// A reading of `kol`'s only video, with more fields as JSON.
fn reading(kol: &str, at: u64, fields: &str) -> Record {
    let time = Millis(at).iso();
    let value =
        format!(r#"{{"event_time":"{time}","username":"{kol}","video_id":"v_{kol}",{fields}}}"#);
    record(kol, at, value)
}

/// Waits until the job's status names a problem with this code.
fn wait_problem(cluster: &Cluster, job: &str, code: &str) -> ErrorInfo {
    let named = |status: &JobStatus| status.problems.iter().find(|p| p.code == code).cloned();
    let what = format!("the status says {code}");
    let status = cluster.wait_status(job, &what, LIMIT, |status| named(status).is_some());
    named(&status).unwrap()
}

/// A replay of this name.
fn job(name: &str, scoring: &str) -> Job {
    Job {
        name: name.into(),
        ..Job::replay(scoring)
    }
}
