//! On what was measured: a figure means nothing without it.

use std::fmt;
use std::process::Command;

use kol_common::Millis;
use kol_harness::{RedisServer, kafka_libs};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Machine {
    processor: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    /// Processes that wanted a core, in the last minute before the measurements: 0 on a quiet machine.
    load: f64,
    commit: String,
    toolchain: String,
    profile: String,
    kafka: String,
    librdkafka: String,
    redis: String,
    begun: String,
}

impl Machine {
    /// This one, now.
    pub fn this() -> Self {
        Self {
            processor: line_of("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: number(&line_of("/proc/meminfo", "MemTotal")) / 1_024,
            kernel: kernel(),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or_default(),
            commit: commit(),
            toolchain: toolchain(),
            profile: if cfg!(debug_assertions) {
                "dev".to_owned()
            } else {
                "release".to_owned()
            },
            kafka: kafka(),
            librdkafka: rdkafka::util::get_rdkafka_version().1,
            redis: redis(),
            begun: Millis::now().iso(),
        }
    }
}

impl Machine {
    /// In a line, as pages show it.
    pub(crate) fn in_short(&self) -> String {
        let (day, _) = self.begun.split_once('T').unwrap_or_default();
        format!(
            "{day}, commit {}, {}, {} cores, load {}, Kafka {}, Redis {}",
            self.commit, self.processor, self.cores, self.load, self.kafka, self.redis
        )
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, {} cores, {} MiB, Linux {}, load {}; {}",
            self.processor, self.cores, self.memory_mib, self.kernel, self.load, self.begun
        )?;
        write!(
            f,
            "commit {}, Rust {}, profile {}, Kafka {}, librdkafka {}, Redis {}",
            self.commit, self.toolchain, self.profile, self.kafka, self.librdkafka, self.redis
        )
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// What stands behind the first `key:` of a file.
fn line_of(file: &str, key: &str) -> String {
    let text = read(file);
    let values = text.lines().filter_map(|line| line.split_once(':'));
    let mut of_key = values.filter(|(name, _)| name.trim() == key);
    of_key
        .next()
        .map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// Its version, without what a distribution added.
fn kernel() -> String {
    let release = read("/proc/sys/kernel/osrelease");
    let version = release.trim().split('-').next();
    version.unwrap_or_default().to_owned()
}

fn number(text: &str) -> u64 {
    let digits = text.split(' ').next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(kol_harness::root())
        .output();
    output.map_or_else(
        |_| String::new(),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
    )
}

fn commit() -> String {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"]);
    match (
        &*commit,
        &*output("git", &["status", "--porcelain", "-uno"]),
    ) {
        ("", _) => "unknown".to_owned(),
        (_, "") => commit,
        _ => commit + " with changes",
    }
}

fn toolchain() -> String {
    let text = include_str!("../../../rust-toolchain.toml");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("channel = "));
    line.unwrap_or_default().trim_matches('"').to_owned()
}

/// By the name of its library.
fn kafka() -> String {
    let libs = kafka_libs().and_then(|folder| std::fs::read_dir(folder).ok());
    let mut versions = libs.into_iter().flatten().flatten().filter_map(|file| {
        let name = file.file_name().into_string().ok()?;
        let version = name.strip_prefix("kafka_2.13-")?.strip_suffix(".jar")?;
        Some(version.to_owned())
    });
    let version = versions.find(|version| version.starts_with(|c: char| c.is_ascii_digit()));
    version.unwrap_or_else(|| "embedded in librdkafka".to_owned())
}

fn redis() -> String {
    let redis = RedisServer::start();
    let info: String = redis::cmd("INFO")
        .arg("server")
        .query(&mut redis.connect())
        .unwrap_or_default();
    let version = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    version.unwrap_or_default().to_owned()
}
