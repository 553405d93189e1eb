//! Two masters with a real etcd: the leader dies, is cut off from etcd, leaves; data flows meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kol_fold::Record;
use kol_harness::{
    Cluster, Etcd, Kafka, Key, RedisServer, Scene, Topic, generated, http, wait_for,
};

const LIMIT: Duration = Duration::from_secs(60);
const PARTITIONS: u32 = 4;
/// What a failover may take.
const NEW_LEADER: Duration = Duration::from_secs(10);
const FIRST_EPOCH: Duration = Duration::from_secs(15);
/// What a partition may seem to stand, by what it reports.
const PAUSE: Duration = Duration::from_secs(1);

/// Something that is done again and again until it is stopped.
struct Steady<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Steady<T> {
    fn start(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || work(&stopped));
        Self { stop, thread }
    }

    fn stop(self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Produces 400 records a second; answers how many, and the longest time between two parts of them.
fn events(topic: Arc<Topic>, records: Vec<Record>) -> Steady<(usize, Duration)> {
    Steady::start(move |stop| {
        let (mut produced, mut slowest) = (0, Duration::ZERO);
        let mut last = Instant::now();
        for part in records.chunks(20) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            topic.produce(part);
            slowest = slowest.max(last.elapsed());
            last = Instant::now();
            produced += part.len();
            std::thread::sleep(Duration::from_millis(50));
        }
        (produced, slowest)
    })
}

/// The longest time in which no report of a partition showed progress, by what its executor serves.
fn longest_pause(http: String) -> Steady<Duration> {
    Steady::start(move |stop| {
        let mut seen: BTreeMap<String, (u64, Instant)> = BTreeMap::new();
        let mut longest = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            for (partition, position) in positions(&http) {
                let now = Instant::now();
                let entry = seen.entry(partition).or_insert((position, now));
                longest = longest.max(now - entry.1);
                if entry.0 != position {
                    *entry = (position, now);
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(seen.len(), PARTITIONS as usize);
        longest
    })
}

fn positions(address: &str) -> Vec<(String, u64)> {
    let reports = http::json(address, "/api/v1/partitions");
    let report = |report: &serde_json::Value| {
        // It is unknown while the state is being restored.
        let position = report["position"].as_u64().unwrap_or_default();
        (report["partition"].to_string(), position)
    };
    reports.as_array().unwrap().iter().map(report).collect()
}

fn admin(cluster: &mut Cluster, executor: usize) -> String {
    let line = cluster.executors[executor].wait_line("kol-executor ready", 0, LIMIT);
    line.split_once("http=").unwrap().1.trim().to_owned()
}

fn epoch(cluster: &Cluster, job: &str) -> u64 {
    let status = cluster.try_status(job).unwrap();
    status.checkpoint.map_or(0, |checkpoint| checkpoint.epoch)
}

/// Waits for an epoch after `before`.
fn wait_epoch(cluster: &Cluster, job: &str, before: u64, limit: Duration) -> u64 {
    wait_for("an epoch", limit, || {
        let status = cluster.try_status(job).map_err(|e| e.to_string())?;
        let epoch = status.checkpoint.as_ref().map_or(0, |c| c.epoch);
        (epoch > before).then_some(epoch).ok_or_else(|| {
            format!(
                "{:?} {epoch} after {before}: {:?}",
                status.state(),
                status.problems
            )
        })
    })
}

#[test]
fn a_leader_dies_or_loses_etcd_or_leaves_and_data_flows_on() {
    let Some(etcd) = Etcd::start() else { return };
    let mut cluster = Cluster::start_elected(1, &etcd);
    for (code, reason) in [
        ("SESSION_LOST", "leaders die, and all are called"),
        ("SESSION_ENDED", "leaders step down and leave"),
        ("ETCD_UNREACHABLE", "etcd is stopped"),
        ("LEADERSHIP_LOST", "etcd is stopped"),
        ("STATE_STORE", "etcd is stopped"),
        ("MASTER_STALLED", "a leader dies"),
    ] {
        cluster.allow(code, reason);
    }
    let mut term = cluster.wait_leader(0, NEW_LEADER);
    let topic = Arc::new(Topic::create(Kafka::shared(), "masters", PARTITIONS));
    let redis = RedisServer::start();
    let records = generated(Key::Username, 200, 60_000, 12);
    topic.produce(&records[..2_000]);
    let job = cluster.submit(&Scene::job(), &topic, &redis);
    cluster.wait_caught_up(&job, 2_000, LIMIT);
    let mut committed = wait_epoch(&cluster, &job, 0, LIMIT);
    a_follower_reads_and_points_at_the_leader(&cluster, &job);

    let produced = events(Arc::clone(&topic), records[2_000..].to_vec());
    let pauses = longest_pause(admin(&mut cluster, 0));
    std::thread::sleep(Duration::from_secs(1));
    committed = committed.max(epoch(&cluster, &job));

    // The leader dies.
    let killed = Instant::now();
    cluster.master.kill();
    term = cluster.wait_leader(term, NEW_LEADER);
    let elected = killed.elapsed();
    committed = wait_epoch(&cluster, &job, committed, FIRST_EPOCH - elected);
    println!(
        "killed: leader after {elected:?}, epoch after {:?}",
        killed.elapsed()
    );
    cluster.restart_standbys();

    // The leader cannot reach etcd, and steps down by itself.
    let from = cluster.master.log().len();
    let stopped = Instant::now();
    etcd.signal("STOP");
    cluster
        .master
        .wait_code("LEADERSHIP_LOST", from, Duration::from_secs(5));
    let down = stopped.elapsed();
    wait_for("the master to follow", PAUSE, || {
        let reply = cluster.leadership(cluster.grpc());
        let reply = reply.map_err(|e| e.to_string())?;
        (!reply.leads)
            .then_some(())
            .ok_or_else(|| "leads".to_owned())
    });
    std::thread::sleep(Duration::from_secs(3));
    etcd.signal("CONT");
    let again = Instant::now();
    term = cluster.wait_leader(term, NEW_LEADER);
    committed = wait_epoch(&cluster, &job, committed, FIRST_EPOCH);
    println!(
        "etcd stopped: down after {down:?}; back: epoch after {:?}",
        again.elapsed()
    );

    // The leader leaves, and another is elected at once.
    let left = Instant::now();
    cluster.master.signal("TERM");
    cluster.wait_leader(term, Duration::from_secs(4));
    let elected = left.elapsed();
    wait_epoch(&cluster, &job, committed, FIRST_EPOCH);
    println!(
        "left: leader after {elected:?}, epoch after {:?}",
        left.elapsed()
    );

    let longest = pauses.stop();
    let (produced, slowest) = produced.stop();
    println!("longest pause of a partition: {longest:?}; of the events: {slowest:?}");
    assert!(
        longest < PAUSE + slowest,
        "a partition paused for {longest:?}"
    );
    assert!(produced < 58_000, "events came until the end");
    cluster.assert_equals_fold(&job, &topic, &redis, LIMIT);
    cluster.assert_no_complaints();
}

fn a_follower_reads_and_points_at_the_leader(cluster: &Cluster, job: &str) {
    let leader = format!("http://{}", cluster.grpc());
    let follower = format!("http://{}", cluster.standby());
    let run = |arguments: &[&str]| {
        let mut all = vec!["--master", follower.as_str()];
        all.extend(arguments);
        cluster.client(&all)
    };
    let of_leader = cluster.client(&["status", job, "-o", "json"]).json();
    let of_follower = run(&["status", job, "-o", "json"]).json();
    for field in ["id", "name", "state"] {
        assert_eq!(of_follower[field], of_leader[field], "{field}");
    }
    let kept = run(&["checkpoints", job, "-o", "json"]).json();
    assert!(kept["checkpoints"][0]["epoch"].as_u64() > Some(0), "{kept}");
    for refused in [&["stop", job][..], &["savepoint", job], &["executors"]] {
        let answer = run(refused);
        assert_ne!(answer.code, Some(0), "{refused:?}");
        assert!(answer.err.contains("MASTER_FOLLOWS"), "{answer:#?}");
        assert!(answer.err.contains(&leader), "{answer:#?}");
    }
    assert_eq!(
        cluster.leadership(cluster.standby()).unwrap().leader,
        leader
    );
}
