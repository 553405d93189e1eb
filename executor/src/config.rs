//! Command line of `kol-executor`. Every flag can come from the environment instead.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Parser;
use kol_common::process::this_machine;
use kol_common::telemetry::LogFormat;

/// Hosts partitions: reads Kafka, scores creators and merges results into Redis, as the master
/// assigns. Start as many as you need; each takes its share.
#[derive(Clone, Debug, Parser)]
#[command(name = "kol-executor", version, about)]
pub struct Config {
    /// URL of the master's gRPC server; of several masters all, separated by commas: the leader is found among them.
    #[arg(long, env = "KOL_MASTER", default_value = "http://127.0.0.1:7077")]
    pub master: String,
    /// Address of the admin server (health, metrics); port 0 takes a free one.
    #[arg(long, env = "KOL_EXECUTOR_HTTP", default_value = "127.0.0.1:0")]
    pub http: SocketAddr,
    /// Folder with ca.crt, tls.crt and tls.key, and tokens for the admin server: TLS to the master, whose
    /// URL then begins with https, and TLS and login at the admin server.
    #[arg(long, env = "KOL_TLS", value_name = "DIR")]
    pub tls: Option<PathBuf>,
    /// Allows other addresses than loopback, and a master elsewhere, without TLS and login. For networks where only
    /// trusted hosts can connect.
    #[arg(long, env = "KOL_INSECURE")]
    pub insecure: bool,
    /// Memory it may use, all of it: state, Kafka queues, flushes, dead letters, checkpoint files. Reading waits, and
    /// says so, before it is full.
    #[arg(long, env = "KOL_EXECUTOR_MEMORY", default_value = "1GiB", value_parser = memory)]
    pub memory: ByteSize,
    /// Processor cores for partitions; all of the machine's when left out.
    #[arg(long, env = "KOL_EXECUTOR_CORES")]
    pub cores: Option<u32>,
    /// Folder that `file:` secret references of job specs are read from.
    #[arg(long, env = "KOL_SECRETS_DIR")]
    pub secrets_dir: Option<PathBuf>,
    /// How long partitions may take to finish after SIGTERM.
    #[arg(long, env = "KOL_EXECUTOR_DRAIN_TIMEOUT", default_value = "10s", value_parser = humantime::parse_duration)]
    pub drain_timeout: Duration,
    /// Host name that the master shows for this executor [default: the name of this machine].
    #[arg(long, default_value_t = this_machine(), hide_default_value = true)]
    pub host: String,
    /// What this host fails together with, as a rack or a data centre: a partition that failed here goes to another zone
    /// if there is one.
    #[arg(
        long,
        env = "KOL_EXECUTOR_ZONE",
        default_value = "",
        hide_default_value = true
    )]
    pub zone: String,
    /// How log lines are written: text or json.
    #[arg(long, env = "KOL_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// `1g` and `512m` mean binary units, as everywhere else in this trade.
fn memory(text: &str) -> Result<ByteSize, String> {
    let lower = text.to_ascii_lowercase();
    let binary = match lower.strip_suffix(['k', 'm', 'g', 't']) {
        Some(number) => format!("{number}{}ib", &lower[number.len()..]),
        None => lower,
    };
    let size: ByteSize = binary
        .parse()
        .map_err(|_| format!("`{text}` is not a size: write 1g, 512m or 1.5GiB"))?;
    if size.as_u64() < 64 << 20 {
        return Err(format!(
            "{text} is too little: an executor needs 64m at least"
        ));
    }
    Ok(size)
}

impl Config {
    /// Cores for partitions.
    pub fn cores(&self) -> u32 {
        let all = || std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        self.cores.unwrap_or_else(all).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_is_called_as_its_machine_unless_a_flag_says_otherwise() {
        let called = |flags: &[&str]| {
            let flags = ["kol-executor"].iter().chain(flags);
            Config::parse_from(flags).host
        };
        assert_eq!(called(&[]), this_machine());
        assert_eq!(called(&["--host", "web-7"]), "web-7");
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        assert_eq!(memory("1g").unwrap().as_u64(), 1 << 30);
        assert_eq!(memory("512M").unwrap().as_u64(), 512 << 20);
        assert_eq!(memory("1.5GiB").unwrap().as_u64(), 3 << 29);
        assert!(memory("1k").is_err());
        assert!(memory("much").is_err());
    }
}
