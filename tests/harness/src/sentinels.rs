//! Redis servers that Sentinels watch.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{Process, RedisServer, free_port, wait_for};

const LIMIT: Duration = Duration::from_secs(30);

/// Three Sentinels that watch one primary as the service `rankings`.
#[derive(Debug)]
pub struct Sentinels {
    ports: Vec<u16>,
    _processes: Vec<Process>,
    /// Last: they go when nobody writes into it any more.
    _folder: TempDir,
}

impl Sentinels {
    /// Starts them, and waits until they know each other and a replica.
    pub fn watch(primary: &RedisServer) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut ports, mut processes) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let (port, watched) = (free_port(), primary.port());
            let config = folder.path().join(format!("sentinel-{number}.conf"));
            let text = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor rankings 127.0.0.1 {watched} 2\n\
                 sentinel down-after-milliseconds rankings 1000\n\
                 sentinel failover-timeout rankings 5000\n"
            );
            std::fs::write(&config, text).expect("a configuration");
            let name = format!("sentinel-{number}");
            let arguments = [config.to_str().expect("UTF-8"), "--sentinel"];
            let program = Path::new("redis-server");
            processes.push(Process::start(&name, folder.path(), program, &arguments));
            ports.push(port);
        }
        let sentinels = Self {
            ports,
            _processes: processes,
            _folder: folder,
        };
        for place in 0..3 {
            sentinels.wait_field(place, "num-other-sentinels", "2");
            sentinels.wait_field(place, "num-slaves", "1");
        }
        sentinels
    }

    /// `redis+sentinel://…/rankings/0`; the first host does not answer.
    pub fn url(&self) -> String {
        let hosts = self.ports.iter().map(|port| format!("127.0.0.1:{port}"));
        let hosts: Vec<_> = hosts.collect();
        let nobody = free_port();
        format!(
            "redis+sentinel://127.0.0.1:{nobody},{}/rankings/0",
            hosts.join(",")
        )
    }

    /// Waits until all of them name this server as the primary.
    pub fn wait_primary(&self, server: &RedisServer) {
        for place in 0..3 {
            self.wait_field(place, "port", &server.port().to_string());
        }
    }

    fn wait_field(&self, place: usize, field: &str, value: &str) {
        let what = format!("sentinel {place} to say {field} {value}");
        wait_for(&what, LIMIT, || {
            let output = std::process::Command::new("redis-cli")
                .args(["-p", &self.ports[place].to_string()])
                .args(["SENTINEL", "MASTER", "rankings"])
                .output()
                .expect("redis-cli");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let mut lines = text.lines().skip_while(|line| *line != field);
            let found = lines.nth(1) == Some(value);
            found.then_some(()).ok_or(text)
        });
    }
}
