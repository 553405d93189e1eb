//! A Docker daemon of a scenario's own, in namespaces of its own: network with the daemon's usual bridge, mounts and
//! processes. When the test ends, however it does, the kernel ends all of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use super::{Process, wait_for};

/// Programs that it takes, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 6] = [
    ("dockerd", "docker.io"),
    ("docker-compose", "docker-compose"),
    ("debootstrap", "debootstrap"),
    ("ip", "iproute2"),
    ("strip", "binutils"),
    ("unshare", "util-linux"),
];
/// Starts the daemon as the first process of its namespaces: folder, then nothing else. A containerd of this machine
/// must not be used: what it starts would be outside.
const START: &str = "set -e; ip link set lo up; \
    if [ -d /run/containerd ]; then mount -t tmpfs tmpfs /run/containerd; fi; \
    exec dockerd --host unix://$0/docker.sock --data-root $0/data --exec-root $0/exec --pidfile $0/docker.pid";

/// See the module.
#[derive(Debug)]
pub struct Docker {
    daemon: Process,
    /// Last: it goes when nobody writes into it any more.
    folder: TempDir,
}

impl Docker {
    /// Starts one; `None`, loudly, where that cannot be done.
    pub fn start() -> Option<Self> {
        if let Some(why) = missing() {
            return not_tested(&why);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("UTF-8");
        let namespaces = "--net --mount --pid --fork --kill-child --mount-proc";
        let mut arguments: Vec<&str> = namespaces.split(' ').collect();
        arguments.extend(["sh", "-c", START, path]);
        let daemon = Process::start("dockerd", folder.path(), Path::new("unshare"), &arguments);
        let mut docker = Self { daemon, folder };
        for _ in 0..300 {
            if docker
                .command("docker")
                .arg("info")
                .output()
                .is_ok_and(|o| o.status.success())
            {
                return Some(docker);
            }
            if !docker.daemon.runs() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = docker.daemon.log();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        not_tested(&format!("dockerd does not start: {last:#?}"))
    }

    /// A program of Docker that speaks to this daemon: `docker` or `docker-compose`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(installed(program).unwrap_or_else(|| program.into()));
        let socket = self.folder.path().join("docker.sock");
        command
            .env("DOCKER_HOST", format!("unix://{}", socket.display()))
            .env("DOCKER_BUILDKIT", "1")
            .env("DOCKER_CONFIG", self.folder.path());
        command
    }

    /// What `docker` prints; it must succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command("docker").args(arguments).output();
        done(&format!("docker {arguments:?}"), output)
    }

    /// Runs `work` on a thread inside the daemon's network, where published ports are. Threads and processes that it
    /// starts are there, too; servers of the harness must not be started by it.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let network = format!("/proc/{}/ns/net", self.first());
        let network = File::open(network).expect("the network of the daemon");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(network, CloneFlags::CLONE_NEWNET).expect("the daemon's network");
                work()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Kills the first process of a container from outside, as the kernel does when memory is short.
    pub fn crash(&self, container: &str) {
        let process = self.run(&["inspect", "--format", "{{.State.Pid}}", container]);
        let target = self.first().to_string();
        let killed = Command::new("nsenter")
            .args([
                "--target",
                &target,
                "--pid",
                "kill",
                "-KILL",
                process.trim(),
            ])
            .output();
        done("kill", killed);
    }

    /// The first process of the namespaces, as this machine numbers it.
    fn first(&self) -> u32 {
        let parent = self.daemon.pid();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let children = children.expect("the children of unshare");
        let first = children.split_whitespace().next();
        first
            .and_then(|pid| pid.parse().ok())
            .expect("the daemon runs")
    }
}

impl Drop for Docker {
    /// Containers first, so that what they mounted is not in the way of removing the folder.
    fn drop(&mut self) {
        let all = self
            .command("docker")
            .args(["ps", "--all", "--quiet"])
            .output();
        let all = all.map(|output| output.stdout).unwrap_or_default();
        let all = String::from_utf8_lossy(&all).into_owned();
        if !all.trim().is_empty() {
            let mut remove = self.command("docker");
            remove
                .args(["rm", "--force", "--volumes"])
                .args(all.split_whitespace());
            let _ended_below_in_any_case = remove.output();
        }
        self.daemon.kill();
        let path = self.folder.path().join("data");
        wait_for(
            "the daemon's files to be free",
            Duration::from_secs(10),
            || match std::fs::remove_dir_all(&path) {
                Err(error) if path.exists() => Err(error.to_string()),
                _ => Ok(()),
            },
        );
    }
}

/// Standard output of a program that must have succeeded.
pub(super) fn done(what: &str, output: std::io::Result<Output>) -> String {
    let output = output.unwrap_or_else(|e| panic!("{what}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{what} ended with {}:\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn not_tested(why: &str) -> Option<Docker> {
    eprintln!("NOT TESTED WITH DOCKER: {why}. deploy/docker-compose.yml was not started.");
    None
}

/// Why there can be no daemon.
fn missing() -> Option<String> {
    let user = Command::new("id").arg("-u").output().expect("id").stdout;
    if String::from_utf8_lossy(&user).trim() != "0" {
        return Some("only root can start dockerd".to_owned());
    }
    let mut absent = PROGRAMS
        .iter()
        .filter(|(program, _)| installed(program).is_none());
    absent.next().map(|(program, package)| {
        format!(
            "there is no program `{program}` (run tests/setup.sh, or apt-get install {package})"
        )
    })
}

/// Debian's programs go first: another client may be too new for its daemon.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = ["/usr/bin", "/usr/sbin", "/sbin", "/bin"].into_iter();
    let all = folders.chain(path.split(':'));
    let mut found = all.map(|folder| Path::new(folder).join(program));
    found.find(|path| path.is_file())
}
