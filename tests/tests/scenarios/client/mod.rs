//! kol-client against a real cluster, as people and scripts use it.

mod jobs;
mod line;
mod secrets;
mod specs;
mod topics;

use std::path::Path;
use std::time::Duration;

use kol_harness::{ClientRun, Job, client};

const LIMIT: Duration = Duration::from_secs(40);
const DAYS: &str = "window = \"24h\"\nslide = \"1h\"";

/// Runs kol-client in a folder where no master is to be found.
fn alone(folder: &Path, arguments: &[&str]) -> ClientRun {
    client(folder, arguments, &[("KOL_MASTER", "http://127.0.0.1:1")])
}

/// Writes a job spec into a folder, as `job.toml`.
fn write_spec(folder: &Path, job: &Job, bootstrap: &str, topics: &[&str], redis: &str) {
    let spec = job.toml(bootstrap, topics, redis);
    std::fs::write(folder.join("job.toml"), spec).unwrap();
}
