//! A wall clock that a scenario sets, for processes that know nothing of it: a small library answers in place
//! of the C library. Their monotonic clocks and their waits stay what they are, as when a person or NTP sets
//! the clock of a machine. (libfaketime moves the deadlines of condition variables as well, and librdkafka
//! then waits for hours.)

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// See the module. The clock is right until it is set.
#[derive(Debug)]
pub struct Clock(TempDir);

impl Clock {
    /// A clock of its own. Compiles the library, with the compiler that librdkafka needs as well.
    #[expect(
        clippy::new_without_default,
        reason = "it compiles a library: no default does that"
    )]
    pub fn new() -> Self {
        let clock = Self(tempfile::tempdir().expect("a folder"));
        clock.set(0);
        let source = clock.file("clock.c");
        std::fs::write(&source, include_str!("clock.c")).expect("the source is written");
        let built = Command::new("g++")
            .args(["-x", "c", "-shared", "-fPIC", "-O1", "-o"])
            .args([&clock.file("clock.so"), &source])
            .status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "g++ builds the clock"
        );
        clock
    }

    /// The environment of a process that has this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |name| self.file(name).to_str().expect("UTF-8").to_owned();
        vec![
            ("LD_PRELOAD".into(), text("clock.so")),
            ("CLOCK_AHEAD".into(), text("ahead")),
        ]
    }

    /// Sets the clock so many seconds ahead of the machine's.
    pub fn set(&self, ahead: i64) {
        let new = self.file("new");
        std::fs::write(&new, format!("{ahead}\n")).expect("the file is written");
        std::fs::rename(&new, self.file("ahead")).expect("it takes the place of the old one");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
