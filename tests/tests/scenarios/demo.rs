//! The demo, as somebody runs it who does not sit at a terminal.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kol_harness::{Key, Process, binary, real_or_generated};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// A demo whose every folder is below one of its own.
struct Demo {
    folder: TempDir,
    process: Process,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        std::fs::create_dir(&below).unwrap();
        let below = below.to_str().unwrap();
        let environment = [("TMPDIR", below)];
        let program = binary("kol-demo");
        let process = Process::start_with("demo", folder.path(), &program, arguments, &environment);
        Self { folder, process }
    }

    /// Kills an executor of it, as a person does who finds its process.
    fn kill(&self, host: &str) {
        let own = processes_in(self.folder.path());
        let is_it = |process: &&PathBuf| {
            let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            words.any(|word| word == b"--host") && words.next() == Some(host.as_bytes())
        };
        let process = own.iter().find(is_it).expect("a process of that host");
        let id = process.file_name().unwrap();
        let killed = Command::new("kill").arg("-KILL").arg(id).status();
        assert!(killed.unwrap().success());
    }

    /// Waits for its end; answers what it printed.
    fn end(mut self) -> String {
        let status = self.process.wait_exit(LIMIT);
        let text = self.process.log();
        assert!(status.success(), "{status}\n{text}");
        let below = self.folder.path().join("below");
        let files: Vec<_> = std::fs::read_dir(&below).unwrap().collect();
        assert!(files.is_empty(), "left behind: {files:?}");
        let processes = processes_in(&below);
        assert!(processes.is_empty(), "still running: {processes:?}");
        text
    }
}

/// Processes, in /proc, whose working directory is below `folder`, or was before it was deleted.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let place = |process: &PathBuf| std::fs::read_link(process.join("cwd"));
    let is_there = |process: &PathBuf| place(process).is_ok_and(|place| place.starts_with(folder));
    all.map(|entry| entry.path()).filter(is_there).collect()
}

#[test]
fn a_planted_video_climbs_the_ranking_and_all_creators_equal_the_fold() {
    let text = Demo::start(&["--seconds", "12"]).end();
    assert!(
        text.contains("2000 of 2000 creators equal the fold."),
        "{text}"
    );
    assert!(text.contains("events/s, 2,000 creators."), "{text}");
    assert!(
        text.contains("The old job: one, 19.15, for everybody."),
        "{text}"
    );
    for label in ["Cold", "Normal", "Warm", "Viral"] {
        assert!(text.contains(label), "no {label} in {text}");
    }
    let climb = text.lines().find(|l| l.contains("The viral video took"));
    let places: Vec<u64> = climb
        .expect("a climb")
        .split("number ")
        .skip(1)
        .map(|rest| {
            let number = rest.split(' ').next().unwrap();
            number.replace(',', "").parse().unwrap()
        })
        .collect();
    assert!(places[0] > 500 && places[1] < 100, "{climb:?}\n{text}");
}

#[test]
fn who_watches_reads_that_an_executor_was_lost_that_its_partitions_moved_and_that_all_is_well() {
    let mut demo = Demo::start(&["--seconds", "25"]);
    demo.process.wait_line("Continuing live", 0, LIMIT);
    demo.kill("executor-1");
    let text = demo.end();
    let mut rest = text.as_str();
    for next in [
        "  executor-1 was lost with 32 partitions: others take them over within seconds",
        "  the 32 partitions of executor-1 moved to executor-0 after ",
        "  all is well again ",
        "creators equal the fold.",
    ] {
        let at = rest.find(next);
        let at = at.unwrap_or_else(|| panic!("no `{next}` in {text}"));
        rest = &rest[at..];
    }
}

#[test]
fn an_interrupted_demo_stops_everything_it_started() {
    let mut demo = Demo::start(&[]);
    demo.process.wait_line("Continuing live", 0, LIMIT);
    demo.process.signal("INT");
    let text = demo.end();
    assert!(
        text.contains("Interrupted: everything is stopped."),
        "{text}"
    );
}

#[test]
fn a_file_is_played_with_a_window_that_fits_its_readings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("readings.jsonl.gz");
    let file = std::fs::File::create(&path).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    for record in real_or_generated(Key::Username) {
        packed.write_all(&record.value.unwrap()).unwrap();
        packed.write_all(b"\n").unwrap();
    }
    packed.finish().unwrap();
    let text = Demo::start(&["--seconds", "6", "--input", path.to_str().unwrap()]).end();
    assert!(text.contains("so the window is"), "{text}");
    assert!(text.contains("creators equal the fold."), "{text}");
}
