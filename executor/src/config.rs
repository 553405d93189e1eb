//! Configuration: defaults ← TOML file ← environment ← flags.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::Parser;
use kol_common::KolError;
use kol_common::net::with_schemes;
use kol_common::process::this_machine;
use kol_common::telemetry::LogFormat;
use serde::Deserialize;

/// Largest configuration file, bytes.
const MAX_FILE: u64 = 1 << 20;

/// Hosts partitions: reads Kafka, scores creators and merges results into Redis, as the master
/// assigns. Start as many as you need; each takes its share.
///
/// Every flag can also stand in the file given with --config (memory = "4g"), or in the environment; flags
/// win over the environment, the environment over the file.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "kol-executor", version)]
pub struct Flags {
    /// Configuration file (TOML).
    #[arg(long, env = "KOL_EXECUTOR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the master's gRPC server, as HOST:PORT or a URL; of several masters all, separated by commas: the leader
    /// is found among them [default: http://127.0.0.1:7077].
    #[arg(long, env = "KOL_MASTER", value_name = "URLS")]
    master: Option<String>,
    /// Address of the admin server (health, metrics); port 0 takes a free one [default: 127.0.0.1:0].
    #[arg(long, env = "KOL_EXECUTOR_HTTP", value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Folder with ca.crt, tls.crt and tls.key, and tokens for the admin server: TLS to the master, whose
    /// URL then begins with https, and TLS and login at the admin server.
    #[arg(long, env = "KOL_TLS", value_name = "DIR")]
    tls: Option<PathBuf>,
    /// Allows other addresses than loopback, and a master elsewhere, without TLS and login. For networks where only
    /// trusted hosts can connect.
    #[arg(long, env = "KOL_INSECURE")]
    insecure: bool,
    /// Host under which the admin server is called, besides loopback, where a proxy or a tunnel leads to it; may be given
    /// several times, or with commas. Without a login other names are refused.
    #[arg(
        long,
        env = "KOL_EXECUTOR_ALLOW_HOST",
        value_name = "HOST",
        value_delimiter = ','
    )]
    allow_host: Vec<String>,
    /// Memory it may use, all of it: state, Kafka queues, flushes, dead letters, checkpoint files. Reading waits, and
    /// says so, before it is full [default: 1GiB].
    #[arg(long, env = "KOL_EXECUTOR_MEMORY", value_name = "SIZE", value_parser = memory)]
    memory: Option<ByteSize>,
    /// Processor cores for partitions; all of the machine's when left out.
    #[arg(long, env = "KOL_EXECUTOR_CORES")]
    cores: Option<u32>,
    /// Folder that `file:` secret references of job specs are read from.
    #[arg(long, env = "KOL_SECRETS_DIR", value_name = "DIR")]
    secrets_dir: Option<PathBuf>,
    /// How long partitions may take to finish after SIGTERM [default: 10s].
    #[arg(long, env = "KOL_EXECUTOR_DRAIN_TIMEOUT", value_name = "TIME", value_parser = humantime::parse_duration)]
    drain_timeout: Option<Duration>,
    /// Host name that the master shows for this executor [default: the name of this machine].
    #[arg(long)]
    host: Option<String>,
    /// What this host fails together with, as a rack or a data centre: a partition that failed here goes to another zone
    /// if there is one.
    #[arg(long, env = "KOL_EXECUTOR_ZONE")]
    zone: Option<String>,
    /// How log lines are written: text or json [default: text].
    #[arg(long, env = "KOL_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged, as `info` or `warn,kol_executor::sink=debug` [default: info].
    #[arg(long, env = "KOL_LOG", value_name = "FILTER")]
    log_level: Option<String>,
    /// Sends traces of how jobs come to run to this collector of OpenTelemetry, over OTLP/gRPC, as http://127.0.0.1:4317
    /// [default: none are recorded].
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
}

/// The file as it is written: every key may be left out, and one that is unknown is refused. Sizes, times and
/// formats are texts as in flags.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
struct File {
    master: Option<String>,
    http: Option<SocketAddr>,
    tls: Option<PathBuf>,
    insecure: bool,
    allow_host: Vec<String>,
    memory: Option<String>,
    cores: Option<u32>,
    secrets_dir: Option<PathBuf>,
    drain_timeout: Option<String>,
    host: Option<String>,
    zone: Option<String>,
    log_format: Option<String>,
    log_level: Option<String>,
    otlp_endpoint: Option<String>,
}

/// The configuration of one executor.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// URLs of the masters' gRPC servers, separated by commas.
    pub master: String,
    /// Address of the admin server.
    pub http: SocketAddr,
    /// Folder with certificates and tokens.
    pub tls: Option<PathBuf>,
    /// Other addresses than loopback are allowed without them.
    pub insecure: bool,
    /// Hosts that requests to the admin server may name where there is no login, besides loopback.
    pub allow_hosts: Vec<String>,
    /// Memory that the process may use.
    pub memory: ByteSize,
    /// Processor cores for partitions, if not all of the machine's.
    pub cores: Option<u32>,
    /// Where `file:` secret references are read.
    pub secrets_dir: Option<PathBuf>,
    /// How long partitions may take to finish.
    pub drain_timeout: Duration,
    /// Host name that the master shows.
    pub host: String,
    /// What this host fails together with; empty if nobody said.
    pub zone: String,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is logged, if not the default.
    pub log_level: Option<String>,
    /// Where traces go, if any are recorded.
    pub otlp_endpoint: Option<String>,
}

impl File {
    fn read(path: &Path) -> Result<Self, KolError> {
        let named = |why: String| wrong(format!("{}: {why}", path.display()));
        let size = std::fs::metadata(path).map_err(|e| named(e.to_string()))?;
        if size.len() > MAX_FILE {
            return Err(named(format!("more than {MAX_FILE} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| named(e.to_string()))?;
        toml::from_str(&text).map_err(|e| named(e.to_string().trim_end().to_owned()))
    }
}

impl Config {
    /// Puts the layers together.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, a value of the wrong kind: named with its place.
    pub fn load(flags: Flags) -> Result<Self, KolError> {
        let file = flags.config.as_deref().map(File::read).transpose()?;
        let file = file.unwrap_or_default();
        let local = || SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let memory = key("memory", file.memory, memory)?;
        let drain_timeout = key(
            "drain_timeout",
            file.drain_timeout,
            humantime::parse_duration,
        )?;
        let log_format = key("log_format", file.log_format, str::parse)?;
        let tls = flags.tls.or(file.tls);
        let master = flags.master.or(file.master);
        let master = master.unwrap_or_else(|| "http://127.0.0.1:7077".to_owned());
        Ok(Self {
            master: with_schemes(&master, tls.is_some()),
            http: flags.http.or(file.http).unwrap_or_else(local),
            tls,
            insecure: flags.insecure || file.insecure,
            allow_hosts: [flags.allow_host, file.allow_host]
                .into_iter()
                .find(|hosts| !hosts.is_empty())
                .unwrap_or_default(),
            memory: flags.memory.or(memory).unwrap_or(ByteSize::gib(1)),
            cores: flags.cores.or(file.cores),
            secrets_dir: flags.secrets_dir.or(file.secrets_dir),
            drain_timeout: flags
                .drain_timeout
                .or(drain_timeout)
                .unwrap_or(Duration::from_secs(10)),
            host: flags.host.or(file.host).unwrap_or_else(this_machine),
            zone: flags.zone.or(file.zone).unwrap_or_default(),
            log_format: flags.log_format.or(log_format).unwrap_or_default(),
            log_level: flags.log_level.or(file.log_level),
            otlp_endpoint: flags.otlp_endpoint.or(file.otlp_endpoint),
        })
    }

    /// Cores for partitions.
    pub fn cores(&self) -> u32 {
        let all = || std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        self.cores.unwrap_or_else(all).max(1)
    }
}

/// What a text of the file means.
fn key<T, E: std::fmt::Display>(
    name: &str,
    text: Option<String>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, KolError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let read = read(&text).map_err(|why| wrong(format!("{name} `{text}`: {why}")));
    read.map(Some)
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

fn wrong(what: String) -> KolError {
    KolError::user("CONFIG_INVALID", what).help("See kol-executor --help for the keys there are.")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    const SAMPLE: &str = include_str!("../../deploy/config/kol-executor.toml");

    fn load(toml: &str, arguments: &[&str]) -> Result<Config, KolError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("executor.toml");
        std::fs::write(&file, toml).unwrap();
        let mut all = vec!["kol-executor", "--config", file.to_str().unwrap()];
        all.extend(arguments);
        Config::load(Flags::try_parse_from(all).unwrap())
    }

    #[test]
    fn an_executor_is_called_as_its_machine_unless_a_flag_says_otherwise() {
        assert_eq!(load("", &[]).unwrap().host, this_machine());
        assert_eq!(load("", &["--host", "web-7"]).unwrap().host, "web-7");
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        assert_eq!(memory("1g").unwrap().as_u64(), 1 << 30);
        assert_eq!(memory("512M").unwrap().as_u64(), 512 << 20);
        assert_eq!(memory("1.5GiB").unwrap().as_u64(), 3 << 29);
        assert!(memory("1k").is_err());
        assert!(memory("much").is_err());
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let file = "master = \"http://localhost:1\"\nmemory = \"2g\"\ninsecure = true\n\
            drain_timeout = \"3s\"\nlog_format = \"json\"\n";
        let config = load(file, &["--memory", "3g", "--http", "127.0.0.1:4"]).unwrap();
        assert_eq!(config.memory, ByteSize::gib(3));
        assert_eq!(config.http.port(), 4);
        assert_eq!(config.master, "http://localhost:1");
        assert_eq!(config.drain_timeout, Duration::from_secs(3));
        assert_eq!(config.log_format, LogFormat::Json);
        assert!(config.insecure);
        let config = load("", &[]).unwrap();
        assert_eq!(config.memory, ByteSize::gib(1));
        assert_eq!(config.master, "http://127.0.0.1:7077");
        assert!(!config.insecure);
    }

    #[test]
    fn a_master_is_reached_over_tls_where_the_executor_has_certificates() {
        let plain = load("", &["--master", "127.0.0.1:7077"]).unwrap();
        assert_eq!(plain.master, "http://127.0.0.1:7077");
        let listed = "master = \"kol-1:7077, kol-2:7077\"\ntls = \"certs/executor\"";
        let secured = load(listed, &[]).unwrap();
        assert_eq!(secured.master, "https://kol-1:7077,https://kol-2:7077");
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named() {
        for (file, word) in [
            ("memmory = \"1g\"", "memmory"),
            ("memory = \"1k\"", "64m"),
            ("drain_timeout = \"soon\"", "drain_timeout `soon`"),
            ("log_format = \"xml\"", "xml"),
            ("cores = \"two\"", "cores"),
        ] {
            let error = load(file, &[]).unwrap_err();
            assert_eq!(error.code, "CONFIG_INVALID");
            assert!(error.message.contains(word), "{error}");
        }
        let flags = ["kol-executor", "--config", "/nonexistent/executor.toml"];
        let missing = Config::load(Flags::parse_from(flags)).unwrap_err();
        assert!(
            missing.message.contains("/nonexistent/executor.toml"),
            "{missing}"
        );
    }

    /// The sample with every setting in it, also those that are commented out as `#key = value`.
    fn everything(sample: &str) -> String {
        let lines = sample.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        });
        lines.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn every_key_and_every_flag_is_in_the_sample_file_which_changes_nothing_as_it_is() {
        assert_eq!(load(SAMPLE, &[]).unwrap(), load("", &[]).unwrap());
        let all = everything(SAMPLE);
        load(&all, &[]).unwrap();
        let all: toml::Table = all.parse().unwrap();
        let mut sample: Vec<&str> = all.keys().map(String::as_str).collect();
        sample.sort_unstable();
        let keys = serde_json::to_value(File::default()).unwrap();
        let mut keys: Vec<&str> = keys
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        assert_eq!(sample, keys);
        let command = Flags::command();
        let flags = command.get_arguments().map(|flag| flag.get_id().as_str());
        let mut flags: Vec<&str> = flags.filter(|&flag| flag != "config").collect();
        flags.sort_unstable();
        assert_eq!(flags, keys);
    }

    #[test]
    fn the_file_of_the_kubernetes_manifests_is_read() {
        const FILE: &str = include_str!("../../deploy/kubernetes/base/kol-executor.toml");
        let config = load(FILE, &["--memory", "2147483648"]).unwrap();
        assert_eq!(
            config.memory,
            ByteSize::gib(2),
            "bytes, as Kubernetes gives them"
        );
        assert!(config.master.starts_with("https://") && config.tls.is_some());
    }
}
