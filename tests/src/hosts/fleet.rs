//! What runs on the hosts: on each a member of etcd, a master and an executor, with certificates that kol-client made.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kol_harness::{ClientRun, Process, binary, client, root, unexpected, wait_for};
use tempfile::TempDir;

use super::network::{self, address, name, on};
use super::terms::{Term, terms};
use super::watch::Page;

/// Ports: each host has its own.
const MASTER: u16 = 7077;
const MASTER_HTTP: u16 = 4040;
const EXECUTOR_HTTP: u16 = 4041;
const ETCD: u16 = 2379;
const ETCD_PEERS: u16 = 2380;
/// Longest start of a process.
const START: Duration = Duration::from_secs(30);

/// Codes in the logs, and why they are there.
const EXPLAINED: [(&str, &str); 14] = [
    ("ETCD_UNREACHABLE", "hosts are cut off"),
    ("LEADERSHIP_LOST", "the leader's host is cut off"),
    ("STATE_STORE", "the leader's host is cut off"),
    ("EXECUTOR_SUSPECT", "hosts are cut off"),
    ("EXECUTOR_LOST", "hosts are cut off"),
    ("SESSION_LOST", "hosts are cut off"),
    ("SESSION_ENDED", "hosts are cut off, and leaders step down"),
    ("MASTER_STALLED", "hosts are cut off"),
    ("EXECUTOR_STALLED", "hosts are cut off"),
    (
        "SINK_PAUSED",
        "Redis is not reached from a host that is cut off",
    ),
    ("FENCED", "a host came back after its partitions had moved"),
    (
        "PARTITION_ENDED",
        "see the line of the executor that was fenced",
    ),
    (
        "EPOCH_ABORTED",
        "the partitions of a host that is cut off do not take part",
    ),
    (
        "KAFKA_PROBE_STALLED",
        "Kafka is not reached from a host that is cut off",
    ),
];

/// See the module.
pub struct Fleet {
    etcd: Vec<Process>,
    masters: Vec<Process>,
    executors: Vec<Process>,
    /// Last, so that it goes when nobody writes into it any more.
    folder: TempDir,
}

impl Fleet {
    /// Starts everything on this many hosts.
    pub fn start(hosts: usize) -> Self {
        let mut fleet = Self {
            etcd: Vec::new(),
            masters: Vec::new(),
            executors: Vec::new(),
            folder: tempfile::tempdir().expect("a folder"),
        };
        fleet.make_certificates(hosts);
        let etcd = |host| fleet.start_etcd(host, hosts);
        fleet.etcd = (0..hosts).map(etcd).collect();
        fleet.wait_for_etcd();
        let master = |host| fleet.start_master(host, hosts);
        fleet.masters = (0..hosts).map(master).collect();
        let executor = |host| fleet.start_executor(host, hosts);
        fleet.executors = (0..hosts).map(executor).collect();
        fleet
    }

    /// kol-client of an operator who reaches all masters that can be reached.
    pub fn client(&self, arguments: &[&str]) -> ClientRun {
        let masters = masters(self.masters.len());
        let tls = self.certs("operator");
        let environment = [("KOL_MASTER", &*masters), ("KOL_TLS", text(&tls))];
        client(self.folder.path(), arguments, &environment)
    }

    /// What kol-client says on a host to the master there; whether that succeeded.
    pub fn client_on(&self, host: usize, arguments: &[&str]) -> (bool, String) {
        let [program, namespace] = on(host);
        let output = Command::new(program)
            .arg(namespace)
            .arg(binary("kol-client"))
            .args(["--master", &master(host), "--tls"])
            .arg(self.certs("operator"))
            .args(arguments)
            .output()
            .expect("kol-client");
        let all = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&all).into_owned(),
        )
    }

    /// Where the executors show their partitions.
    pub fn pages(&self) -> Vec<Page> {
        let token = std::fs::read_to_string(self.certs("viewer").join("token"));
        let header = format!("Authorization: Bearer {}", token.expect("a token").trim());
        let file = self.folder.path().join("authorization");
        std::fs::write(&file, header).expect("a file");
        let ca = self.certs("viewer").join("ca.crt");
        let page = |host| {
            let url = format!("https://{}:{EXECUTOR_HTTP}", address(host));
            vec![
                "--cacert".to_owned(),
                text(&ca).to_owned(),
                "--header".to_owned(),
                format!("@{}", file.display()),
                format!("{url}/api/v1/partitions"),
            ]
        };
        (0..self.executors.len()).map(page).collect()
    }

    /// The terms of all masters.
    pub fn terms(&self) -> Vec<Term> {
        let all = self.masters.iter().enumerate();
        all.flat_map(|(host, master)| terms(host, &master.log()))
            .collect()
    }

    /// WARN and ERROR lines that cut links do not explain.
    pub fn complaints(&self) -> Vec<String> {
        let all = self.masters.iter().chain(&self.executors);
        all.flat_map(|process| {
            let lines = unexpected(&process.log(), &EXPLAINED);
            let name = process.name().to_owned();
            lines.into_iter().map(move |line| format!("{name}: {line}"))
        })
        .collect()
    }

    /// The folder that kol-client runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn make_certificates(&self, hosts: usize) {
        let addresses: Vec<String> = (0..hosts).map(address).collect();
        let mut arguments = vec!["certs", "init", "certs"];
        for address in &addresses {
            arguments.extend(["--host", address]);
        }
        client(self.folder.path(), &arguments, &[]).done();
    }

    fn certs(&self, name: &str) -> PathBuf {
        self.folder.path().join("certs").join(name)
    }

    fn start_on(
        &self,
        host: usize,
        what: &str,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Process {
        let [enter, namespace] = on(host);
        let line = [&[&*namespace, text(program)], arguments].concat();
        let name = format!("{what}-on-{}", network::name(host));
        let folder = self.folder.path();
        Process::start_with(&name, folder, Path::new(&enter), &line, environment)
    }

    fn start_etcd(&self, host: usize, hosts: usize) -> Process {
        let url = |host, port| format!("https://{}:{port}", address(host));
        let (clients, peers) = (url(host, ETCD), url(host, ETCD_PEERS));
        let member = |host| format!("{}={}", name(host), url(host, ETCD_PEERS));
        let members: Vec<String> = (0..hosts).map(member).collect();
        let data = format!("etcd-{}", name(host));
        let file = |name| format!("certs/etcd/{name}");
        let (ca, certificate, key) = (file("ca.crt"), file("tls.crt"), file("tls.key"));
        let arguments = [
            "--name",
            &name(host),
            "--data-dir",
            &data,
            "--listen-client-urls",
            &clients,
            "--advertise-client-urls",
            &clients,
            "--listen-peer-urls",
            &peers,
            "--initial-advertise-peer-urls",
            &peers,
            "--initial-cluster",
            &members.join(","),
            // Without it a member that comes back makes the others elect again: then nobody renews a lease for seconds.
            "--pre-vote",
            "--cert-file",
            &certificate,
            "--key-file",
            &key,
            "--trusted-ca-file",
            &ca,
            "--client-cert-auth",
            "--client-cert-allowed-hostname",
            "kol-master",
            "--peer-cert-file",
            &certificate,
            "--peer-key-file",
            &key,
            "--peer-trusted-ca-file",
            &ca,
            "--peer-client-cert-auth",
            "--peer-cert-allowed-hostname",
            "kol-etcd",
        ];
        self.start_on(host, "etcd", Path::new("etcd"), &arguments, &[])
    }

    fn wait_for_etcd(&self) {
        wait_for("etcd to answer", START, || {
            let output = Command::new("etcdctl")
                .env("ETCDCTL_API", "3")
                .args(["--endpoints", &etcd(self.etcd.len())])
                .args(["--cacert", "certs/master/ca.crt"])
                .args(["--cert", "certs/master/tls.crt"])
                .args(["--key", "certs/master/tls.key"])
                .args(["endpoint", "health"])
                .current_dir(self.folder.path())
                .output()
                .map_err(|e| e.to_string())?;
            let logs = || self.etcd.iter().map(Process::log).collect();
            output.status.success().then_some(()).ok_or_else(logs)
        });
    }

    fn start_master(&self, host: usize, hosts: usize) -> Process {
        let (checkpoints, tls) = (self.folder.path().join("checkpoints"), self.certs("master"));
        let arguments = [
            "--listen",
            &format!("{}:{MASTER}", address(host)),
            "--http",
            &format!("{}:{MASTER_HTTP}", address(host)),
            "--host",
            &name(host),
            "--state-dir",
            &format!("state-{}", name(host)),
            "--checkpoint-root",
            text(&checkpoints),
            "--etcd",
            &etcd(hosts),
            "--etcd-tls",
            text(&tls),
            "--tls",
            text(&tls),
        ];
        let program = binary("kol-master");
        let mut process = self.start_on(host, "master", &program, &arguments, &[]);
        process.wait_line("kol-master ready", 0, START);
        process
    }

    fn start_executor(&self, host: usize, hosts: usize) -> Process {
        let tls = self.certs("executor");
        let arguments = [
            "--master",
            &masters(hosts),
            "--http",
            &format!("{}:{EXECUTOR_HTTP}", address(host)),
            "--host",
            &name(host),
            "--memory",
            "512m",
            "--cores",
            "1",
            "--tls",
            text(&tls),
        ];
        let program = binary("kol-executor");
        let mut process = self.start_on(host, "executor", &program, &arguments, &[]);
        process.wait_line("kol-executor ready", 0, START);
        process
    }
}

impl Drop for Fleet {
    /// The logs stay: the folder does not.
    fn drop(&mut self) {
        let root = root().canonicalize().unwrap_or_else(|_| root());
        let kept = root.join("target/hosts");
        let _nothing_to_keep_them_in = std::fs::create_dir_all(&kept);
        let all = self.etcd.iter().chain(&self.masters).chain(&self.executors);
        for process in all {
            let file = kept.join(format!("{}.log", process.name()));
            let _not_kept = std::fs::write(file, process.log());
        }
        println!("The logs are in {}", kept.display());
    }
}

fn master(host: usize) -> String {
    format!("https://{}:{MASTER}", address(host))
}

/// URLs of all masters, for `--master`.
fn masters(hosts: usize) -> String {
    let all: Vec<String> = (0..hosts).map(master).collect();
    all.join(",")
}

/// URLs of all members of etcd, for `--etcd`.
fn etcd(hosts: usize) -> String {
    let member = |host| format!("https://{}:{ETCD}", address(host));
    let all: Vec<String> = (0..hosts).map(member).collect();
    all.join(",")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
