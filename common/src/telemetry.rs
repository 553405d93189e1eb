//! Logs and metrics, set up once per process.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::KolError;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("`{other}` is not a log format: use text or json")),
        }
    }
}

/// Environment variable with the filter.
const FILTER: &str = "KOL_LOG";
/// What is logged when it says nothing. What the Redis client finds out is reported by who uses it, with a
/// code and what to do.
const DEFAULT: &str = "info,redis=off";

/// Upper bounds of what is measured as a distribution: lengths of time, all of them.
const SECONDS: [f64; 10] = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// Starts logging to standard error. The level comes from `KOL_LOG` (`info` when unset or malformed), in
/// the syntax of tracing's filters: `info,kol_executor::sink=debug`.
pub fn init_logging(format: LogFormat) {
    let (filter, malformed) = filter(std::env::var(FILTER).ok().as_deref());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call (two roles in one process) keeps the first logger.
    let _already_set = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Some(error) = malformed {
        tracing::warn!(code = "LOG_FILTER", %error, "{FILTER} is not a filter: logging at info");
    }
}

/// The filter of this text, and what is wrong with it.
fn filter(text: Option<&str>) -> (EnvFilter, Option<String>) {
    match EnvFilter::try_new(text.unwrap_or(DEFAULT)) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(DEFAULT), Some(error.to_string())),
    }
}

/// Installs the process-wide metrics recorder; its handle renders the Prometheus text format.
///
/// # Errors
/// When a recorder is installed already.
pub fn init_metrics() -> Result<PrometheusHandle, KolError> {
    PrometheusBuilder::new()
        .set_buckets(&SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|e| KolError::internal("METRICS", e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_filter_logs_at_info_and_is_reported() {
        let (read, wrong) = filter(Some("warn,kol_executor::sink=debug"));
        assert_eq!(wrong, None);
        assert_eq!(read.to_string(), "kol_executor::sink=debug,warn");
        for (text, reported) in [(None, false), (Some("kol_executor=loud"), true)] {
            let (read, wrong) = filter(text);
            assert_eq!(read.to_string(), "redis=off,info");
            assert_eq!(wrong.is_some(), reported, "{text:?}");
        }
    }
}
