//! A process that ends with the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use super::wait_for;
use crate::logs::has_code;

/// A running program whose output goes to a file. Killed when dropped, and by the kernel when the
/// test process dies.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

type Spawned = std::io::Result<Child>;

/// Spawns on a thread that lives as long as the test process: the kernel's parent-death signal
/// follows the thread that spawned, and a test's own thread ends before the servers it shares.
fn spawn(command: Command) -> Spawned {
    type Request = (Command, SyncSender<Spawned>);
    static NURSERY: OnceLock<SyncSender<Request>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (requests, inbox) = sync_channel::<Request>(16);
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _asker_gone = answer.send(command.spawn());
            }
        });
        requests
    });
    let (answer, spawned) = sync_channel(1);
    nursery.send((command, answer)).expect("the nursery lives");
    spawned.recv().expect("the nursery answers")
}

impl Process {
    /// Starts `program` with its output appended to `NAME.log` in `folder`.
    pub fn start(name: &str, folder: &Path, program: &Path, arguments: &[&str]) -> Self {
        Self::start_with(name, folder, program, arguments, &[])
    }

    /// The same with variables in its environment.
    pub fn start_with(
        name: &str,
        folder: &Path,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log);
        let out = out.expect("a log file");
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(std::process::Stdio::null())
            .stderr(out.try_clone().expect("a second handle"))
            .stdout(out);
        let child = spawn(command).unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it was started as.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All it has written.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for the newest line that holds `text`, written after `from` bytes of the log.
    pub fn wait_line(&mut self, text: &str, from: usize, limit: Duration) -> String {
        self.wait_newest(text, |line| line.contains(text), from, limit)
    }

    /// Waits for the newest event or error with this code, written after `from` bytes of the log.
    pub fn wait_code(&mut self, code: &str, from: usize, limit: Duration) -> String {
        self.wait_newest(code, |line| has_code(line, code), from, limit)
    }

    fn wait_newest(
        &mut self,
        text: &str,
        is_meant: impl Fn(&str) -> bool,
        from: usize,
        limit: Duration,
    ) -> String {
        let what = format!("`{text}` in the log of {}", self.name);
        wait_for(&what, limit, || {
            let log = self.log();
            let new = log.get(from..).unwrap_or_default();
            if let Some(line) = new.lines().rev().find(|line| is_meant(line)) {
                return Ok(line.to_owned());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!(
                    "{} ended with {status} before it wrote `{text}`:\n{new}",
                    self.name
                );
            }
            Err(new.to_owned())
        })
    }

    /// Sends a signal, by name: `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args(["-s", signal, &self.pid().to_string()])
            .status();
        assert!(
            sent.is_ok_and(|s| s.success()),
            "cannot send {signal} to {}",
            self.name
        );
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        let _already_over = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Waits for its end.
    pub fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || {
            let status = self.child.try_wait().map_err(|e| e.to_string())?;
            status.ok_or_else(|| self.log())
        })
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Memory in use, bytes.
    pub fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|l| l.starts_with("VmRSS:"));
        let kib = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) << 10
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
