//! What `--memory` says holds whatever piles up: partitions, creators, and a Redis that does not answer.

use std::time::{Duration, Instant};

use kol_common::proto::JobStatus;
use kol_fold::Record;
use kol_harness::{Cluster, Job, Kafka, RedisServer, Topic};

/// When the records were written: 2025-06-23.
const START: u64 = 1_750_636_800_000;
/// What the harness allows an executor.
const MEMORY: u64 = 512 << 20;
const LIMIT: Duration = Duration::from_secs(300);

/// How large a run is.
#[derive(Clone, Copy)]
struct Shape {
    partitions: u32,
    creators: usize,
    /// Lines of `[scoring]`.
    scoring: &'static str,
    /// How long Redis does not answer.
    hangs: Duration,
}

/// Two small events of each creator.
fn records(creators: usize) -> Vec<Record> {
    let event = |round: u64, number: usize| {
        let kol = format!("kol_{number}");
        let value = format!(r#"{{"username":"{kol}","like_count":{}}}"#, number % 1_000);
        Record {
            timestamp_ms: Some(START + round * 60_000),
            key: Some(kol.into()),
            value: Some(value.into()),
            ..Record::default()
        }
    };
    let rounds = (0..2).flat_map(|round| (0..creators).map(move |number| (round, number)));
    rounds.map(|(round, number)| event(round, number)).collect()
}

/// The most memory that a process ever had, in bytes.
fn most(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.expect("the kernel says so") << 10
}

fn positions(status: &JobStatus) -> u64 {
    let reports = status.partitions.iter().filter_map(|p| p.report.as_ref());
    reports.map(|report| report.position).sum()
}

/// Runs a job over many partitions while Redis hangs; answers its last status before Redis is back, and the most
/// memory that the executor had.
fn run(shape: Shape, cluster: &mut Cluster, topic: &Topic, redis: &RedisServer) -> (String, u64) {
    cluster.allow("SINK_PAUSED", "Redis hangs");
    cluster.allow("EPOCH_ABORTED", "Redis hangs");
    let job = Job {
        name: "memory".into(),
        ..Job::replay(shape.scoring)
    };
    let id = cluster.submit(&job, topic, redis);
    cluster.wait_status(&id, "it reads", LIMIT, |status| positions(status) > 20_000);
    redis.signal("STOP");
    let since = Instant::now();
    let status = cluster.wait_status(&id, "Redis hangs", LIMIT, |_| since.elapsed() > shape.hangs);
    println!(
        "when Redis is back: {} of {} read, {} creators, {:?}",
        positions(&status),
        2 * shape.creators,
        status.kols,
        status.problems.first().map(|p| (&p.code, &p.message))
    );
    redis.signal("CONT");
    let most = most(cluster.executors[0].pid());
    (id, most)
}

fn assert_within(most: u64) {
    println!("at most {} MiB were in use", most >> 20);
    assert!(most < MEMORY / 10 * 11, "{} MiB were in use", most >> 20);
}

#[test]
fn many_partitions_and_a_redis_that_hangs_stay_within_the_memory_and_all_arrives_in_the_end() {
    if !Kafka::shared().is_real() {
        eprintln!("NOT TESTED: the embedded broker keeps too little");
        return;
    }
    let shape = Shape {
        partitions: 100,
        creators: 300_000,
        scoring: "counters = \"delta\"",
        hangs: Duration::from_secs(10),
    };
    let topic = Topic::create(Kafka::shared(), "memory", shape.partitions);
    topic.produce(&records(shape.creators));
    let redis = RedisServer::start();
    let mut cluster = Cluster::start(1);
    let (id, _) = run(shape, &mut cluster, &topic, &redis);
    let all = |status: &JobStatus| status.caught_up && status.kols == shape.creators as u64;
    cluster.wait_status(&id, "all of it", LIMIT, all);
    assert_within(most(cluster.executors[0].pid()));
    assert_eq!(
        redis.cli("ZCARD ranking:tiktok:trending").trim(),
        shape.creators.to_string()
    );
    cluster.assert_no_complaints();
}

/// Two million creators do not fit: they are refused in words, and the kernel has nothing to kill.
#[test]
#[ignore = "minutes: the shape above shows the same"]
fn two_million_creators_in_two_hundred_partitions_are_refused_in_words_while_redis_hangs() {
    let shape = Shape {
        partitions: 200,
        creators: 2_000_000,
        scoring: "counters = \"delta\"",
        hangs: Duration::from_secs(60),
    };
    let topic = Topic::create(Kafka::shared(), "memory", shape.partitions);
    topic.produce(&records(shape.creators));
    let redis = RedisServer::start();
    let mut cluster = Cluster::start(1);
    let (id, before) = run(shape, &mut cluster, &topic, &redis);
    assert_within(before);
    let refused = |status: &JobStatus| status.problems.iter().any(|p| p.code == "MEMORY_LIMIT");
    let status = cluster.wait_status(&id, "it is refused", LIMIT, refused);
    let said = status.problems.iter().find(|p| p.code == "MEMORY_LIMIT");
    println!("{said:?}");
    // It stays so, and nobody dies of it.
    let since = Instant::now();
    let stays = |status: &JobStatus| {
        assert!(refused(status), "{}", status.reason);
        since.elapsed() > Duration::from_secs(20)
    };
    cluster.wait_status(&id, "it stays", LIMIT, stays);
    assert_within(most(cluster.executors[0].pid()));
}
