//! The same rankings by Spark, beside ours, of the same topic.

use std::path::Path;
use std::time::{Duration, Instant};

use kol_harness::{Cluster, Process, RedisServer, root};
use redis::Commands as _;

use super::bare::Bare;
use super::drain::{DELTA, Drained, LIMIT, OF_CPU, RATE, speed};
use super::figures::{Report, Section};
use super::input::{Filled, Input};
use super::{Plan, cpu_with_children};

const PARTITIONS: u32 = 4;
const SPARK: &str = "Spark";
const EVERY: Duration = Duration::from_millis(100);

/// Shows the figures. Spark is where `tests/setup.sh spark` puts it.
pub fn spark(plan: &Plan, report: &mut Report) {
    let tools = root().join("target/tools/spark");
    if !tools.is_dir() {
        eprintln!(
            "NOT COMPARED WITH SPARK: it is not in target/tools/spark; run tests/setup.sh spark"
        );
        return;
    }
    let filled = Filled::with(Input::Crawls, PARTITIONS, plan.events, plan.kols);
    let about = format!(
        "{} events of {} creators as of crawls, {PARTITIONS} partitions, windows of 5 min that slide by 1 min, {} rounds",
        plan.events, plan.kols, plan.rounds
    );
    let mut section = Section::new("spark", about);
    let (ours, scoring) = DELTA;
    for _ in 0..plan.rounds {
        let of_cpu = [Bare::Consume, Bare::Parse].map(|bare| {
            let (_, cpu) = bare.run(&filled);
            filled.events as f64 / cpu.as_secs_f64()
        });
        let cluster = Cluster::start(1);
        let drained = Drained::of(&cluster, &filled, scoring);
        drop(cluster);
        drained.note(ours, of_cpu, &mut section);
        let (wall, cpu) = by_spark(&tools, &filled);
        let theirs = speed(filled.events, wall, cpu);
        section.note(SPARK, &theirs);
        let times = |(figure, theirs): (&'static str, f64), name| {
            let ours = drained
                .speed()
                .into_iter()
                .find(|(name, _)| *name == figure);
            (name, ours.map_or(f64::NAN, |(_, ours)| ours / theirs))
        };
        let [rate, of_cpu, _] = theirs;
        debug_assert_eq!((rate.0, of_cpu.0), (RATE, OF_CPU));
        section.note(
            ours,
            &[times(rate, "× Spark"), times(of_cpu, "× Spark of CPU")],
        );
    }
    report.add(section);
}

/// Has Spark drain a topic into a new Redis: the time by the clock and of processors, with its start.
fn by_spark(tools: &Path, filled: &Filled) -> (Duration, Duration) {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let jars = std::fs::read_dir(tools.join("libs")).unwrap().flatten();
    let jars: Vec<String> = jars.map(|jar| jar.path().display().to_string()).collect();
    let job = root().join("tests/bench/spark/job.py");
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let arguments = [
        job.display().to_string(),
        format!("--bootstrap={}", filled.topic.kafka().bootstrap()),
        format!("--topic={}", filled.topic.name),
        format!("--redis-port={}", redis.port()),
        format!("--jars={}", jars.join(",")),
        format!(
            "--checkpoint={}",
            folder.path().join("checkpoint").display()
        ),
        format!("--cores={cores}"),
    ];
    let arguments = arguments.each_ref().map(String::as_str);
    let python = tools.join("python").display().to_string();
    let environment = [("PYTHONPATH", &*python), ("PYSPARK_PYTHON", "python3")];
    let begun = Instant::now();
    let mut process = Process::start_with(
        "spark",
        folder.path(),
        "python3".as_ref(),
        &arguments,
        &environment,
    );
    let mut used = Duration::ZERO;
    while process.runs() {
        assert!(begun.elapsed() < LIMIT, "{}", process.log());
        // Of processes that have ended their parents have the time.
        let all = family(process.pid()).into_iter().map(cpu_with_children);
        used = used.max(all.sum());
        std::thread::sleep(EVERY);
    }
    let wall = begun.elapsed();
    let ranked: u64 = redis.connect().zcard("ranking:tiktok:trending").unwrap();
    assert!(ranked > 0, "{}", process.log());
    (wall, used)
}

/// A process and all that it started.
fn family(first: u32) -> Vec<u32> {
    let mut all = vec![first];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(thread.path().join("children"));
            let children = children.unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        next += 1;
    }
    all
}
