//! A real etcd of one member.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{Process, free_port, wait_for};

/// A server with a folder of its own.
#[derive(Debug)]
pub struct Etcd {
    port: u16,
    process: Process,
    /// Last: it goes when nobody writes into it any more.
    _folder: TempDir,
}

impl Etcd {
    /// Starts one on free ports; `None`, loudly, when it is not installed.
    pub fn start() -> Option<Self> {
        let installed = Command::new("etcd").arg("--version").output();
        if !installed.is_ok_and(|output| output.status.success()) {
            eprintln!(
                "NOT TESTED WITH REAL ETCD: there is no program `etcd` (run tests/setup.sh, or apt-get install etcd-server)"
            );
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let client = format!("http://127.0.0.1:{port}");
        let peer = format!("http://127.0.0.1:{}", free_port());
        let members = format!("one={peer}");
        let arguments = [
            "--name",
            "one",
            "--data-dir",
            "data",
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
            "--initial-cluster",
            &members,
        ];
        let server = Self {
            port,
            process: Process::start("etcd", folder.path(), Path::new("etcd"), &arguments),
            _folder: folder,
        };
        wait_for("etcd to answer", Duration::from_secs(30), || {
            if server.ctl(&["endpoint", "health"]).contains("is healthy") {
                return Ok(());
            }
            Err(server.process.log())
        });
        Some(server)
    }

    /// `http://127.0.0.1:PORT`, for `--etcd`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What `etcdctl` prints, also where it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.url()])
            .args(arguments)
            .output()
            .expect("etcdctl");
        let all = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }
}
