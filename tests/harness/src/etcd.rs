//! A real etcd of one member.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{Process, free_port, wait_for};

/// A server with a folder of its own: what it has taken is there when it is started again.
#[derive(Debug)]
pub struct Etcd {
    client: u16,
    peer: u16,
    process: Option<Process>,
    /// Last: it goes when nobody writes into it any more.
    folder: TempDir,
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
        let mut server = Self {
            client: free_port(),
            peer: free_port(),
            process: None,
            folder: tempfile::tempdir().expect("a folder"),
        };
        server.up();
        Some(server)
    }

    /// `http://127.0.0.1:PORT`, for `--etcd`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.client)
    }

    /// `host:port` of its clients' side.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client)
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("etcd runs");
        process.signal(signal);
    }

    /// Kills it; what it has taken stays.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same ports and folder.
    pub fn up(&mut self) {
        let client = self.url();
        let peer = format!("http://127.0.0.1:{}", self.peer);
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
        let process = Process::start("etcd", self.folder.path(), Path::new("etcd"), &arguments);
        wait_for("etcd to answer", Duration::from_secs(30), || {
            let asked = Command::new("etcdctl")
                .env("ETCDCTL_API", "3")
                .args(["--endpoints", &client, "endpoint", "health"])
                .output()
                .map_err(|e| e.to_string())?;
            if asked.status.success() {
                return Ok(());
            }
            Err(process.log())
        });
        self.process = Some(process);
    }
}
