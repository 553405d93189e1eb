//! A real etcd of one member, in the clear or with TLS and login.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{Process, free_port, wait_for};

/// A server with a folder of its own.
#[derive(Debug)]
pub struct Etcd {
    port: u16,
    process: Process,
    /// The folder that `kol-client certs init` made, where it speaks TLS.
    certs: Option<PathBuf>,
    /// What etcdctl says to be let in.
    login: Vec<String>,
    arguments: Vec<String>,
    /// Last: it goes when nobody writes into it any more.
    folder: TempDir,
}

impl Etcd {
    /// Starts one on free ports; `None`, loudly, when it is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// Starts one as the README says it, with the certificates that `kol-client certs init` made in this folder: only
    /// clients with the certificate of a master get in.
    pub fn start_secured(certs: &Path) -> Option<Self> {
        Self::start_with(Some(certs.to_owned()))
    }

    fn start_with(certs: Option<PathBuf>) -> Option<Self> {
        let installed = Command::new("etcd").arg("--version").output();
        if !installed.is_ok_and(|output| output.status.success()) {
            eprintln!(
                "NOT TESTED WITH REAL ETCD: there is no program `etcd` (run tests/setup.sh, or apt-get install etcd-server)"
            );
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let client = url(port, certs.is_some());
        let peer = format!("http://127.0.0.1:{}", free_port());
        let members = format!("one={peer}");
        let mut arguments = vec![
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
        let file = |name: &str| {
            let certs = certs.as_ref().map(|certs| certs.join("etcd").join(name));
            certs.unwrap_or_default().display().to_string()
        };
        let (ca, certificate, key) = (file("ca.crt"), file("tls.crt"), file("tls.key"));
        if certs.is_some() {
            arguments.extend(["--cert-file", &certificate, "--key-file", &key]);
            arguments.extend(["--trusted-ca-file", &ca, "--client-cert-auth"]);
            arguments.extend(["--client-cert-allowed-hostname", "kol-master"]);
        }
        let server = Self {
            port,
            process: Process::start("etcd", folder.path(), Path::new("etcd"), &arguments),
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            certs,
            login: Vec::new(),
            folder,
        };
        server.wait();
        Some(server)
    }

    fn wait(&self) {
        wait_for("etcd to answer", Duration::from_secs(30), || {
            if self.ctl(&["endpoint", "health"]).contains("is healthy") {
                return Ok(());
            }
            Err(self.process.log())
        });
    }

    /// Kills it and starts it again with what it has on disk.
    pub fn restart(&mut self) {
        self.process.kill();
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        self.process = Process::start("etcd", self.folder.path(), Path::new("etcd"), &arguments);
        self.wait();
    }

    /// `http://127.0.0.1:PORT`, for `--etcd`; `https` with TLS.
    pub fn url(&self) -> String {
        url(self.port, self.certs.is_some())
    }

    /// From here on it wants a login: this user may read and write the keys below a prefix.
    pub fn want_login(&mut self, user: &str, password: &str, prefix: &str) {
        for command in [
            vec!["user", "add", "root:root"],
            vec!["user", "grant-role", "root", "root"],
            vec!["role", "add", "kol"],
            vec![
                "role",
                "grant-permission",
                "kol",
                "readwrite",
                prefix,
                "--prefix=true",
            ],
        ] {
            self.ctl(&command);
        }
        self.add_user(user, password);
        let enabled = self.ctl(&["auth", "enable"]);
        assert!(enabled.contains("Authentication Enabled"), "{enabled}");
        self.login = vec!["--user".to_owned(), "root:root".to_owned()];
    }

    /// A user with the rights of the one before it.
    pub fn add_user(&self, user: &str, password: &str) {
        self.ctl(&["user", "add", &format!("{user}:{password}")]);
        let granted = self.ctl(&["user", "grant-role", user, "kol"]);
        assert!(granted.contains("is granted"), "{granted}");
    }

    /// Another password of a user, whose tokens end.
    pub fn set_password(&self, user: &str, password: &str) {
        let changed = self.ctl_with(&["user", "passwd", user, "--interactive=false"], password);
        assert!(changed.contains("Password updated"), "{changed}");
    }

    /// What `etcdctl` prints, also where it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.ctl_with(arguments, "")
    }

    /// The same, with its standard input.
    fn ctl_with(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3");
        command.args(["--endpoints", &self.url()]).args(&self.login);
        if let Some(certs) = &self.certs {
            let own = certs.join("master");
            let files = [
                ("--cacert", "ca.crt"),
                ("--cert", "tls.crt"),
                ("--key", "tls.key"),
            ];
            for (flag, name) in files {
                command.arg(flag).arg(own.join(name));
            }
        }
        command.args(arguments).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("etcdctl");
        let mut stdin = child.stdin.take().expect("a pipe");
        // One that fails at once reads nothing.
        let _may_be_broken = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("etcdctl");
        let all = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }
}

fn url(port: u16, has_tls: bool) -> String {
    let scheme = if has_tls { "https" } else { "http" };
    format!("{scheme}://127.0.0.1:{port}")
}
