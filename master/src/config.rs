//! Configuration: defaults ← TOML file ← `KOL_MASTER_*` in the environment ← flags.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use kol_common::KolError;
use kol_common::checkpoint::Location;
use kol_common::process::this_machine;
use kol_common::telemetry::LogFormat;
use serde::{Deserialize, Serialize};
pub use shared::Shared;
use shared::{Written, wrong};

mod shared;

/// Keeps the jobs: looks up their topics, assigns partitions to executors, and shows their state.
///
/// Every flag can also stand in the file given with --config, or in the environment as KOL_MASTER_…
/// (for example KOL_MASTER_STATE_DIR); flags win over the environment, the environment over the file.
/// Exit status: 0 after SIGTERM or SIGINT, 1 when it cannot run, 2 for wrong flags.
#[derive(Clone, Debug, Default, Parser, Serialize)]
#[command(name = "kol-master", version)]
pub struct Flags {
    /// Configuration file (TOML).
    #[arg(long, env = "KOL_MASTER_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address of the gRPC server; port 0 takes a free one [default: 127.0.0.1:7077].
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// Address of the HTTP server: health, metrics, API [default: 127.0.0.1:4040].
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<SocketAddr>,
    /// Host under which people and other clusters find this master [default: the name of this machine].
    #[arg(long, value_name = "HOST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// Folder of the master's own state [default: ./kol-master-state].
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    shared: shared::EtcdFlags,
    /// Job specs may place checkpoints only below this folder or s3://BUCKET/PATH [default: checkpoints
    /// in --state-dir]. Executors must reach it under the same name.
    #[arg(long, value_name = "PLACE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_root: Option<String>,
    /// Savepoints may also be written below this folder or s3://BUCKET/PATH, and jobs begin with state from
    /// there; may be given several times, or with commas.
    #[arg(long, value_name = "PLACE", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow_root: Vec<String>,
    /// Folder that `file:` secret references of job specs are read from.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets_dir: Option<PathBuf>,
    /// Folder with ca.crt, tls.crt, tls.key and tokens: TLS and login at both servers. `kol-client certs init`
    /// makes one.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<PathBuf>,
    /// Allows other addresses than loopback without TLS and login. For networks where only trusted hosts can
    /// connect.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    insecure: bool,
    /// Host under which people open the page, besides loopback, where a proxy or a tunnel leads to this address; may be
    /// given several times, or with commas. Without a login other names are refused.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow_host: Vec<String>,
    /// How long a partition may take to finish when it is moved or stopped, and this process to end
    /// [default: 10s].
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_timeout: Option<String>,
    /// How log lines are written: text or json [default: text].
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<String>,
    /// What is logged, as `info` or `warn,kol_executor::sink=debug` [default: info].
    #[arg(long, env = "KOL_LOG", value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_level: Option<String>,
    /// Sends traces of how jobs come to run to this collector of OpenTelemetry, over OTLP/gRPC, as http://127.0.0.1:4317
    /// [default: none are recorded].
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_endpoint: Option<String>,
}

/// The configuration of one master.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Address of the gRPC server.
    pub listen: SocketAddr,
    /// Address of the HTTP server.
    pub http: SocketAddr,
    /// Host under which people and other clusters find it.
    pub host: String,
    /// Folder of the state store.
    pub state_dir: PathBuf,
    /// Where the state is instead, if masters share it.
    pub etcd: Option<Shared>,
    /// Checkpoints of jobs lie below this.
    pub checkpoint_root: Location,
    /// State may be read and written below these, too.
    pub allow_roots: Vec<Location>,
    /// Where `file:` secret references are read.
    pub secrets_dir: Option<PathBuf>,
    /// Folder with certificates and tokens.
    pub tls: Option<PathBuf>,
    /// Other addresses than loopback are allowed without them.
    pub insecure: bool,
    /// Hosts that requests to the HTTP server may name where there is no login, besides loopback.
    pub allow_hosts: Vec<String>,
    /// How long a partition may take to drain, and this process to end.
    pub drain_timeout: Duration,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is logged, if not the default.
    pub log_level: Option<String>,
    /// Where traces go, if any are recorded.
    pub otlp_endpoint: Option<String>,
    /// Folder of job specs that are submitted at start.
    pub autostart: Option<PathBuf>,
}

/// The file as it is written; also the shape of the other layers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: SocketAddr,
    http: SocketAddr,
    host: Option<String>,
    state_dir: PathBuf,
    etcd: Option<String>,
    etcd_prefix: String,
    etcd_tls: Option<PathBuf>,
    etcd_user: Option<String>,
    etcd_password: Option<String>,
    etcd_insecure: bool,
    advertise: Option<String>,
    checkpoint_root: Option<String>,
    allow_root: Several,
    secrets_dir: Option<PathBuf>,
    tls: Option<PathBuf>,
    insecure: bool,
    allow_host: Several,
    drain_timeout: String,
    log_format: String,
    log_level: Option<String>,
    otlp_endpoint: Option<String>,
    jobs: RawJobs,
}

/// One text, several between commas (a variable has nothing else), or a list.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Several {
    Text(String),
    List(Vec<String>),
}

impl Several {
    fn all(self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split(',').map(|one| one.trim().to_owned()).collect(),
            Self::List(all) => all,
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJobs {
    autostart: Option<PathBuf>,
}

impl Default for Raw {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            listen: local(7077),
            http: local(4040),
            host: None,
            state_dir: "./kol-master-state".into(),
            etcd: None,
            etcd_prefix: "kol/".into(),
            etcd_tls: None,
            etcd_user: None,
            etcd_password: None,
            etcd_insecure: false,
            advertise: None,
            checkpoint_root: None,
            allow_root: Several::List(Vec::new()),
            secrets_dir: None,
            tls: None,
            insecure: false,
            allow_host: Several::List(Vec::new()),
            drain_timeout: "10s".into(),
            log_format: "text".into(),
            log_level: None,
            otlp_endpoint: None,
            jobs: RawJobs::default(),
        }
    }
}

/// The variables that are read. Others with the same prefix belong to others: Kubernetes sets
/// `KOL_MASTER_PORT` and more for a service that is called kol-master.
const VARIABLES: [&str; 22] = [
    "listen",
    "http",
    "host",
    "state_dir",
    "etcd",
    "etcd_prefix",
    "etcd_tls",
    "etcd_user",
    "etcd_password",
    "etcd_insecure",
    "advertise",
    "checkpoint_root",
    "allow_root",
    "secrets_dir",
    "tls",
    "insecure",
    "allow_host",
    "drain_timeout",
    "log_format",
    "log_level",
    "otlp_endpoint",
    "jobs_autostart",
];

impl Config {
    /// Puts the layers together.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, a value of the wrong kind: named with its place.
    pub fn load(flags: &Flags) -> Result<Self, KolError> {
        let mut layers = Figment::from(Serialized::defaults(Raw::default()));
        if let Some(file) = &flags.config {
            layers = layers.merge(Toml::file_exact(file));
        }
        let environment =
            Env::prefixed("KOL_MASTER_")
                .only(&VARIABLES)
                .map(|key| match key.as_str() {
                    "jobs_autostart" => "jobs.autostart".into(),
                    other => other.into(),
                });
        let raw: Raw = layers
            .merge(environment)
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|errors| {
                let all: Vec<_> = errors.into_iter().map(|e| e.to_string()).collect();
                wrong(all.join("; "))
            })?;
        let written = Written {
            etcd: raw.etcd,
            prefix: raw.etcd_prefix,
            tls: raw.etcd_tls,
            user: raw.etcd_user,
            password: raw.etcd_password,
            insecure: raw.etcd_insecure,
            advertise: raw.advertise,
        };
        let etcd = Shared::of(written, raw.listen)?;
        let root = match raw.checkpoint_root {
            Some(place) => location(place)?,
            None => folder(raw.state_dir.join("checkpoints"))?,
        };
        Ok(Self {
            listen: raw.listen,
            http: raw.http,
            host: raw.host.unwrap_or_else(this_machine),
            state_dir: raw.state_dir,
            etcd,
            checkpoint_root: root,
            allow_roots: (raw.allow_root.all().into_iter().map(location))
                .collect::<Result<_, _>>()?,
            secrets_dir: raw.secrets_dir,
            tls: raw.tls,
            insecure: raw.insecure,
            allow_hosts: raw.allow_host.all(),
            drain_timeout: humantime::parse_duration(&raw.drain_timeout)
                .map_err(|e| wrong(format!("drain_timeout `{}`: {e}", raw.drain_timeout)))?,
            log_format: raw.log_format.parse().map_err(wrong)?,
            log_level: raw.log_level,
            otlp_endpoint: raw.otlp_endpoint,
            autostart: raw.jobs.autostart,
        })
    }
}

/// A location, or the path of a folder.
fn location(place: String) -> Result<Location, KolError> {
    if place.contains("://") {
        return place.parse();
    }
    folder(place.into())
}

fn folder(path: PathBuf) -> Result<Location, KolError> {
    let absolute = std::path::absolute(&path);
    let absolute = absolute.map_err(|e| wrong(format!("the folder `{}`: {e}", path.display())));
    absolute.map(Location::Folder)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;

    pub(super) fn load(toml: &str, arguments: &[&str]) -> Result<Config, KolError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.toml");
        std::fs::write(&file, toml).unwrap();
        let mut all = vec!["kol-master", "--config", file.to_str().unwrap()];
        all.extend(arguments);
        Config::load(&Flags::try_parse_from(all).unwrap())
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let config = load(
            "listen = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"\ndrain_timeout = \"3s\"\n[jobs]\nautostart = \"specs\"\n",
            &["--listen", "127.0.0.1:0", "--log-format", "json"],
        )
        .unwrap();
        assert_eq!(config.listen.port(), 0);
        assert_eq!(config.http.port(), 2);
        assert_eq!(config.drain_timeout, Duration::from_secs(3));
        assert_eq!(config.autostart, Some("specs".into()));
        assert_eq!(config.log_format, LogFormat::Json);
        assert_eq!(config.state_dir, PathBuf::from("./kol-master-state"));
        let root = &config.checkpoint_root;
        let Location::Folder(root) = root else {
            panic!("{root}");
        };
        assert!(root.is_absolute() && root.ends_with("kol-master-state/checkpoints"));
    }

    #[test]
    fn checkpoints_may_go_to_a_folder_or_to_a_bucket() {
        let root = |place: &str| load("", &["--checkpoint-root", place]).map(|c| c.checkpoint_root);
        assert_eq!(root("/srv/kol").unwrap().to_string(), "file:///srv/kol");
        for place in ["file:///srv/kol", "s3://kol-state/prod"] {
            assert_eq!(root(place).unwrap().to_string(), place);
        }
        assert_eq!(root("ftp://x").unwrap_err().code, "CHECKPOINT_LOCATION");
    }

    #[test]
    fn places_for_savepoints_are_flags_a_list_or_separated_by_commas() {
        let roots = |toml: &str, flags: &[&str]| {
            let roots = load(toml, flags).unwrap().allow_roots;
            let roots: Vec<_> = roots.iter().map(ToString::to_string).collect();
            roots.join(" ")
        };
        let both = "file:///backup s3://kol-backup/a";
        assert_eq!(roots("", &[]), "");
        let flags = [
            "--allow-root",
            "/backup",
            "--allow-root",
            "s3://kol-backup/a",
        ];
        assert_eq!(roots("allow_root = \"/other\"", &flags), both);
        let list = "allow_root = [\"file:///backup\", \"s3://kol-backup/a\"]";
        assert_eq!(roots(list, &[]), both);
        assert_eq!(
            roots("allow_root = \"/backup, s3://kol-backup/a\"", &[]),
            both
        );
        assert!(load("allow_root = \"\"", &[]).is_err());
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
        const SAMPLE: &str = include_str!("../../deploy/config/kol-master.toml");
        assert_eq!(load(SAMPLE, &[]).unwrap(), load("", &[]).unwrap());
        let all = everything(SAMPLE);
        load(&all, &[]).unwrap();
        let all: serde_json::Value = Figment::from(Toml::string(&all)).extract().unwrap();
        let keys = |value: &serde_json::Value| -> BTreeSet<String> {
            let all = value.as_object().unwrap().iter();
            all.flat_map(|(key, value)| match value.as_object() {
                Some(section) => section.keys().map(|k| format!("{key}_{k}")).collect(),
                None => vec![key.clone()],
            })
            .collect()
        };
        let known = keys(&serde_json::to_value(Raw::default()).unwrap());
        assert_eq!(keys(&all), known);
        assert_eq!(known, VARIABLES.map(str::to_owned).into());
        let command = Flags::command();
        let flags = command
            .get_arguments()
            .map(|flag| flag.get_id().to_string());
        let others = ["config", "jobs_autostart"];
        let flags: BTreeSet<_> = flags.filter(|flag| !others.contains(&&**flag)).collect();
        let known = known.into_iter().filter(|key| !others.contains(&&**key));
        assert_eq!(flags, known.collect());
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = load("[jobs]\nauto_start = \"x\"\n", &[]).unwrap_err();
        assert!(error.message.contains("auto_start"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_and_a_time_that_is_none_are_errors() {
        let flags = Flags {
            config: Some("/nonexistent/master.toml".into()),
            ..Flags::default()
        };
        assert!(Config::load(&flags).is_err());
        assert!(load("drain_timeout = \"soon\"", &[]).is_err());
    }

    #[test]
    fn the_file_of_the_kubernetes_manifests_is_read() {
        const FILE: &str = include_str!("../../deploy/kubernetes/base/kol-master.toml");
        let config = load(
            FILE,
            &["--advertise", "https://kol-master-0.kol-master:7077"],
        )
        .unwrap();
        assert_eq!(config.etcd.unwrap().members.urls.len(), 3);
        assert!(config.tls.is_some() && config.autostart.is_some());
    }
}
