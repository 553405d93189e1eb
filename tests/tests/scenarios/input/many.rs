//! More creators than anybody has.

use std::cell::Cell;
use std::time::{Duration, Instant};

use kol_common::proto::{JobState, JobStatus};
use kol_fold::{Fold, Record};
use kol_harness::{Cluster, Job, Kafka, RedisServer, Topic, compare, scoring};

use super::{DAYS, START, job, record};

const MANY: usize = 1_000_000;
/// Likes repeat after so many creators: they have the market of all.
const SAMPLE: usize = 1_000;
/// A busy machine takes its time: what is tried here is memory.
const LIMIT: Duration = Duration::from_secs(600);
/// What the harness allows an executor, and what is too little for a million with their readings.
const MEMORY: u64 = 512 << 20;
const LITTLE: u64 = 256 << 20;

/// One event of one creator. The last comes later, so that there is a market for the others.
fn event(number: usize) -> Record {
    let kol = format!("kol_{number}");
    let value = format!(r#"{{"username":"{kol}","like_count":{}}}"#, number % SAMPLE);
    let at = START + if number + 1 == MANY { 3 * 60_000 } else { 0 };
    record(&kol, at, value)
}

fn refused(status: &JobStatus) -> bool {
    status.problems.iter().any(|p| p.code == "MEMORY_LIMIT")
}

/// Waits until a status pleases while memory stays within its limit.
fn within(
    memory: u64,
    cluster: &Cluster,
    job: &str,
    pleases: impl Fn(&JobStatus) -> bool,
) -> JobStatus {
    let most = Cell::new(0);
    let status = cluster.wait_status(job, "the end of a million", LIMIT, |status| {
        most.set(most.get().max(cluster.executors[0].rss()));
        pleases(status)
    });
    let mib = most.get() >> 20;
    println!("at most {mib} MiB were in use");
    assert!(most.get() < memory, "{mib} MiB were in use");
    status
}

#[test]
fn a_million_creators_fit_into_half_a_gibibyte_and_what_does_not_fit_is_refused_in_words() {
    if !Kafka::shared().is_real() {
        eprintln!("NOT TESTED: the embedded broker keeps too little");
        return;
    }
    let topic = Topic::create(Kafka::shared(), "many", 4);
    topic.produce(&(0..MANY).map(event).collect::<Vec<_>>());
    fits(&topic);
    is_refused(&topic);
}

fn fits(topic: &Topic) {
    let cluster = Cluster::start(1);
    let redis = RedisServer::start();
    // How long a million takes that come at once is the machine's, which other scenarios share.
    let patient = Job {
        sink: "[checkpoint]\ntimeout = \"3m\"".into(),
        ..job("fits", "counters = \"delta\"")
    };
    let id = cluster.submit(&patient, topic, &redis);
    let all = |status: &JobStatus| {
        assert!(!refused(status), "{}", status.reason);
        status.caught_up && status.kols == MANY as u64
    };
    let status = within(MEMORY, &cluster, &id, all);
    let sample = (0..SAMPLE).chain([MANY - 1]).map(event);
    let sample: Vec<_> = sample.collect();
    let view = Fold::of(&scoring(&status), &sample).view().unwrap();
    // All others are in ranking and hashes, and the sample is there to the digit.
    let mut differences = compare(&mut redis.connect(), &view);
    let others = differences.len();
    differences.retain(|d| !d.ends_with(" is in Redis, not in the fold"));
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(others, 2 * (MANY - sample.len()));
    cluster.cancel(&id);
    cluster.assert_no_complaints();
}

/// A million with their readings do not fit into less.
fn is_refused(topic: &Topic) {
    let mut cluster = Cluster::start(0);
    cluster.set_memory("256m");
    cluster.add_executor();
    let redis = RedisServer::start();
    let id = cluster.submit(&job("refused", DAYS), topic, &redis);
    let status = within(LITTLE, &cluster, &id, refused);
    assert_eq!(status.state(), JobState::Degraded);
    assert!(status.problems[0].help.contains("raise --memory"));
    // It is so later, too, and nobody dies of it. In between a checkpoint file may make room for some records.
    let since = Instant::now();
    let status = within(LITTLE, &cluster, &id, |status| {
        refused(status) && since.elapsed() > Duration::from_secs(2)
    });
    assert!(status.kols < MANY as u64, "{}", status.reason);
    assert!(status.lag_records > Some(0) && !status.caught_up);
    cluster.cancel(&id);
    cluster.assert_no_complaints();
}
