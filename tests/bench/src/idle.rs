//! What partitions cost in which nothing happens.

use std::time::{Duration, Instant};

use kol_harness::{Cluster, Job, Kafka, RedisServer, Topic};

use super::cpu;
use super::drain::LIMIT;
use super::figures::{Report, Section};

const PARTITIONS: u32 = 1_000;
/// Until everything that follows a start is done, and then what is measured.
const SETTLE: Duration = Duration::from_secs(75);
const MEASURED: Duration = Duration::from_secs(30);

/// Shows the figures.
pub fn idle(report: &mut Report) {
    let topic = Topic::create(Kafka::shared(), "bench-idle", PARTITIONS);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = cluster.submit(&Job::replay(""), &topic, &redis);
    cluster.wait_caught_up(&job, 0, LIMIT);
    std::thread::sleep(SETTLE);
    let pids = [
        ("executor", cluster.executors[0].pid()),
        ("master", cluster.master.pid()),
        ("Redis", redis.pid()),
    ];
    let (begun, before) = (Instant::now(), pids.map(|(_, pid)| cpu(pid)));
    std::thread::sleep(MEASURED);
    let lasted = begun.elapsed();
    let about = format!("{PARTITIONS} partitions without events, an epoch a second, {MEASURED:?}");
    let mut section = Section::new("idle", about);
    for ((name, pid), before) in pids.into_iter().zip(before) {
        let share = (cpu(pid) - before).as_secs_f64() / lasted.as_secs_f64();
        section.note(name, &[("% of a core", 100.0 * share)]);
    }
    section.note(
        "executor",
        &[("resident MiB", (cluster.executors[0].rss() >> 20) as f64)],
    );
    report.add(section);
    topic.delete();
}
