//! A Redis server.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{Process, free_port, wait_for};

/// Longest time in which a replica must be in step.
const SYNC: Duration = Duration::from_secs(60);

/// A Redis server without persistence: started again, it is empty.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    password: Option<&'static str>,
    process: Option<Process>,
    /// Last: it goes when nobody writes into it any more.
    folder: TempDir,
}

impl RedisServer {
    /// Starts one on a free port.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments of redis-server.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_as(arguments, None)
    }

    /// One that refuses everybody who does not give the password.
    pub fn start_locked(password: &'static str) -> Self {
        Self::start_as(&["--requirepass", password], Some(password))
    }

    fn start_as(arguments: &[&str], password: Option<&'static str>) -> Self {
        let mut server = Self {
            folder: tempfile::tempdir().expect("a folder"),
            port: free_port(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            password,
            process: None,
        };
        server.up();
        server
    }

    /// `redis://…`, as job specs have it: without the password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The free port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running Redis").pid()
    }

    /// Sends it a signal, by name: `STOP` makes it hang, as a disk or a machine does, until `CONT`.
    pub fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("a running Redis");
        process.signal(signal);
    }

    /// Kills it: everything in it is gone.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port, empty.
    pub fn up(&mut self) {
        let port = self.port.to_string();
        let mut arguments = vec!["--port", &port, "--save", "", "--bind", "127.0.0.1"];
        arguments.extend(self.arguments.iter().map(String::as_str));
        let program = Path::new("redis-server");
        let process = Process::start("redis", self.folder.path(), program, &arguments);
        self.process = Some(process);
        wait_for("Redis to listen", Duration::from_secs(10), || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| e.to_string())
        });
    }

    /// Becomes a replica of another one, and waits until it has what that one has.
    pub fn replicate(&self, primary: &Self) {
        self.follow(primary);
        wait_for("the replica to be in step", SYNC, || {
            let info = self.cli("INFO replication");
            let up = info.contains("master_link_status:up");
            up.then_some(()).ok_or(info)
        });
    }

    /// Is demoted to a replica of another one.
    pub fn follow(&self, primary: &Self) {
        self.cli(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    }

    /// Is a primary from here on.
    pub fn promote(&self) {
        self.cli("REPLICAOF NO ONE");
    }

    /// Opens a connection, with its password if it has one.
    pub fn connect(&self) -> redis::Connection {
        let login = self.password.map(|p| format!(":{p}@")).unwrap_or_default();
        let url = format!("redis://{login}127.0.0.1:{}/0", self.port);
        let client = redis::Client::open(url).expect("a Redis URL");
        client.get_connection().expect("a Redis connection")
    }

    /// What `redis-cli` prints for a command as a person types it.
    pub fn cli(&self, command: &str) -> String {
        self.cli_as(self.password, command)
    }

    /// The same with another password than the one it was started with.
    pub fn cli_as(&self, password: Option<&str>, command: &str) -> String {
        let output = std::process::Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(command.split(' '))
            .envs(password.map(|p| ("REDISCLI_AUTH", p)))
            .output()
            .expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
