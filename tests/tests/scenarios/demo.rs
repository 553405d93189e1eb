//! The demo, as somebody runs it who does not sit at a terminal.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kol_harness::{Key, Process, binary, real_or_generated};
use tempfile::TempDir;

/// A machine that is busy with other tests takes minutes for the history of eight days.
const LIMIT: Duration = Duration::from_secs(400);
/// From Ctrl-C to the end; a second of it is for machines that are busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(3);

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

    /// Kills an executor of it.
    fn kill(&self, host: &str) {
        self.kill_process(|words| {
            let mut words = words.split(|byte| *byte == 0);
            words.any(|word| word == b"--host") && words.next() == Some(host.as_bytes())
        });
    }

    /// Kills its master.
    fn kill_master(&self) {
        self.kill_process(|words| {
            let program = words.split(|byte| *byte == 0).next();
            program.is_some_and(|program| program.ends_with(b"/kol-master"))
        });
    }

    /// Kills a process of it, as a person does who finds it by its command line.
    fn kill_process(&self, is_meant: impl Fn(&[u8]) -> bool) {
        let own = processes_in(self.folder.path());
        let line = |process: &PathBuf| std::fs::read(process.join("cmdline")).unwrap_or_default();
        let process = own.iter().find(|process| is_meant(&line(process)));
        let process = process.expect("a process with that command line");
        let id = process.file_name().unwrap();
        let killed = Command::new("kill").arg("-KILL").arg(id).status();
        assert!(killed.unwrap().success());
    }

    /// Ctrl-C; answers what it printed until it ended, which is at once.
    fn interrupt(self) -> String {
        self.process.signal("INT");
        let begun = Instant::now();
        let text = self.end();
        let took = begun.elapsed();
        assert!(took < AT_ONCE, "{took:?} until the end: {text}");
        assert!(
            text.ends_with("Interrupted: everything is stopped.\n"),
            "{text}"
        );
        text
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
    // It has looked who has which partitions by then.
    demo.process.wait_line("events/s, lag", 0, LIMIT);
    demo.kill("executor-1");
    are_said_in_order(
        &demo.end(),
        &[
            "  executor-1 was lost with 32 partitions: others take them over within seconds",
            "  the 32 partitions of executor-1 moved to executor-0 after ",
            "  all is well again ",
            "creators equal the fold.",
        ],
    );
}

fn are_said_in_order(text: &str, all: &[&str]) {
    let mut rest = text;
    for next in all {
        let at = rest.find(next);
        let at = at.unwrap_or_else(|| panic!("no `{next}` in {text}"));
        rest = &rest[at..];
    }
}

#[test]
fn a_master_that_is_killed_is_started_again_while_executors_continue() {
    let mut demo = Demo::start(&["--seconds", "20"]);
    demo.process.wait_line("events/s, lag", 0, LIMIT);
    demo.kill_master();
    are_said_in_order(
        &demo.end(),
        &[
            "  kol-master was lost: executors continue without it; it is started again in 5 s",
            "kol-master does not answer, Redis ",
            "  kol-master is back after ",
            "and each partition is still where it was",
            "creators equal the fold.",
        ],
    );
}

#[test]
fn a_master_that_is_killed_before_the_screen_opens_is_started_again() {
    let mut demo = Demo::start(&["--seconds", "5"]);
    demo.process.wait_line("Submitting the job.", 0, LIMIT);
    demo.kill_master();
    are_said_in_order(
        &demo.end(),
        &[
            "kol-master was lost, and is started again",
            "Read, scored and in Redis",
            "creators equal the fold.",
        ],
    );
}

#[test]
fn an_interrupted_demo_stops_everything_it_started_at_once_whatever_it_does() {
    for moment in [
        "Starting an embedded",
        "Submitting the job.",
        "Continuing live",
        "events/s, lag",
    ] {
        let mut demo = Demo::start(&[]);
        demo.process.wait_line(moment, 0, LIMIT);
        let text = demo.interrupt();
        assert!(!text.contains("Error"), "{text}");
    }
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
