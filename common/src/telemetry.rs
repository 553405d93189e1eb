//! Logs, set up once per process.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;

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

/// What is logged when it says nothing. What the Redis client finds out is reported by who uses it, with a
/// code and what to do.
const DEFAULT: &str = "info,redis=off";

/// Starts logging to standard error. The level (`info` when not given or malformed) is in the syntax of tracing's filters:
/// `info,kol_executor::sink=debug`.
pub fn init_logging(format: LogFormat, level: Option<&str>) {
    let (filter, malformed) = filter(level);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would panic where nobody reads standard error.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call (two roles in one process) keeps the first logger.
    let _already_set = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Some(error) = malformed {
        tracing::warn!(code = "LOG_FILTER", %error, "the level is not a filter: logging at info");
    }
}

/// Says on standard output that a process serves, with its addresses: for people, or as JSON. It serves also where nobody
/// reads that.
pub fn announce(format: LogFormat, process: &str, addresses: &[(&str, SocketAddr)]) {
    let _nobody_reads = writeln!(
        std::io::stdout().lock(),
        "{}",
        ready(format, process, addresses)
    );
}

/// Says on standard error, where nothing is logged yet, why a process cannot start.
pub fn refuse(process: &str, error: &KolError) {
    let _nobody_reads = writeln!(std::io::stderr().lock(), "{process}: {error}");
}

fn ready(format: LogFormat, process: &str, addresses: &[(&str, SocketAddr)]) -> String {
    match format {
        LogFormat::Text => {
            let addresses = addresses.iter();
            let addresses: Vec<_> = addresses.map(|(name, at)| format!("{name}={at}")).collect();
            format!("{process} ready {}", addresses.join(" "))
        }
        LogFormat::Json => {
            let mut line = serde_json::json!({ "ready": process });
            for (name, at) in addresses {
                line[*name] = serde_json::json!(at);
            }
            line.to_string()
        }
    }
}

/// The filter of this text, and what is wrong with it.
fn filter(text: Option<&str>) -> (EnvFilter, Option<String>) {
    match EnvFilter::try_new(text.unwrap_or(DEFAULT)) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(DEFAULT), Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_ready_is_of_the_format_of_the_log() {
        let at = "127.0.0.1:7077".parse().unwrap();
        let line = |format| ready(format, "kol-master", &[("grpc", at)]);
        assert_eq!(
            line(LogFormat::Text),
            "kol-master ready grpc=127.0.0.1:7077"
        );
        let json = r#"{"ready":"kol-master","grpc":"127.0.0.1:7077"}"#;
        assert_eq!(line(LogFormat::Json), json);
    }

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
