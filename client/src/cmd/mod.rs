//! One file a command.

pub mod alerts;
pub mod autoscale_advice;
pub mod cancel;
pub mod certs;
pub mod check;
pub mod checkpoints;
mod chosen;
pub mod completions;
pub mod convert_spark;
pub mod doctor;
pub mod drain;
pub mod executors;
pub mod explain;
pub mod generate;
pub mod health;
pub mod jobs;
pub mod partitions;
pub mod peek;
pub mod plan;
pub mod replay;
pub mod rewind;
pub mod rollback;
pub mod savepoint;
pub mod schema;
pub mod serve;
pub mod state;
pub mod status;
pub mod stop;
pub mod submit;
pub mod top;
pub(crate) mod written;

/// Parses `key=value` of `--set`.
fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not key=value"))?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
