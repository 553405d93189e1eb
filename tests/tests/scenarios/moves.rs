//! Executors that come and go while events flow, with a large state: partitions move live. How long each of them pauses
//! is printed, and not judged: machines differ.
#![allow(
    clippy::unwrap_used,
    reason = "a scenario fails by panicking, also in its helpers"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kol_common::Millis;
use kol_common::proto::{JobState, JobStatus};
use kol_fold::Record;
use kol_harness::{Cluster, Job, Kafka, RedisServer, Scene, Topic, wait_for};

const LIMIT: Duration = Duration::from_secs(180);
const PARTITIONS: u32 = 8;
const VIDEOS: u32 = 5;
/// When the events begin, and how far they are apart.
const START_MS: u64 = 1_750_636_800_000;
/// Creators in state: [`KOLS_VARIABLE`] sets another number.
const KOLS: u32 = 50_000;
const KOLS_VARIABLE: &str = "KOL_MOVES_KOLS";

/// A reading of a video of a creator, `number` of so many.
fn reading(number: u32, kols: u32) -> Record {
    let (kol, video) = (number % kols, number / kols % VIDEOS);
    // An hour for all readings of one video, so that few creators leave.
    let at = START_MS + u64::from(number) * 3_600_000 / u64::from(kols);
    let value = format!(
        "{{\"event_time\":\"{}\",\"username\":\"kol_{kol}\",\"video_id\":\"{}\",\"like_count\":{}}}",
        Millis(at).iso(),
        7_000_000 + kol * VIDEOS + video,
        u64::from(number) + 10,
    );
    Record {
        timestamp_ms: Some(at),
        key: Some(format!("kol_{kol}").into_bytes()),
        value: Some(value.into_bytes()),
        ..Record::default()
    }
}

/// Produces readings from `first` on, 2,000 a second, until it is stopped: how many.
struct Feed {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Feed {
    fn start(topic: Arc<Topic>, first: u32, kols: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut next = first;
            while !told.load(Ordering::Relaxed) {
                let part: Vec<Record> = (next..next + 40).map(|n| reading(n, kols)).collect();
                topic.produce(&part);
                next += 40;
                std::thread::sleep(Duration::from_millis(20));
            }
            next - first
        });
        Self { stop, thread }
    }

    fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// One partition, as last seen.
struct Seen {
    assignment_epoch: u64,
    position: u64,
    since: Instant,
}

/// What partitions report, over and over: reports come every 200 ms.
#[derive(Default)]
struct Watch {
    seen: BTreeMap<u32, Seen>,
    /// From the last progress of one owner to the first of the next.
    moves: Vec<Duration>,
    /// Between two reports of progress of one owner.
    stalls: Vec<Duration>,
}

impl Watch {
    fn look(&mut self, status: &JobStatus) {
        let now = Instant::now();
        for partition in &status.partitions {
            let number = partition.partition.as_ref().map_or(0, |p| p.partition);
            let Some(report) = &partition.report else {
                continue;
            };
            let new = Seen {
                assignment_epoch: report.assignment_epoch,
                position: report.position,
                since: now,
            };
            let Some(seen) = self.seen.get(&number) else {
                self.seen.insert(number, new);
                continue;
            };
            // The next owner reads again what came after the epoch that it begins with.
            if new.position > seen.position {
                let pause = now - seen.since;
                if new.assignment_epoch == seen.assignment_epoch {
                    self.stalls.push(pause);
                } else {
                    self.moves.push(pause);
                }
                self.seen.insert(number, new);
            }
        }
    }

    /// Looks until the executors that run partitions are so many, with equal shares.
    fn until_balanced(&mut self, cluster: &Cluster, job: &str, executors: usize) {
        let what = format!("{executors} executors with equal shares");
        wait_for(&what, LIMIT, || {
            std::thread::sleep(Duration::from_millis(20));
            let status = cluster.try_status(job).map_err(|e| e.to_string())?;
            self.look(&status);
            let mut shares: BTreeMap<String, usize> = BTreeMap::new();
            for partition in &status.partitions {
                *shares.entry(partition.executor_id.clone()).or_default() += 1;
            }
            let share = PARTITIONS as usize / executors;
            let equal = shares.len() == executors && shares.values().all(|n| *n == share);
            (equal && status.state() == JobState::Running)
                .then_some(())
                .ok_or_else(|| format!("{:?} {shares:?}", status.state()))
        });
    }

    fn look_for(&mut self, cluster: &Cluster, job: &str, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::thread::sleep(Duration::from_millis(20));
            self.look(&cluster.try_status(job).unwrap());
        }
    }

    /// Prints what was seen since the last time.
    fn report(&mut self, what: &str) {
        self.moves.sort();
        let longest = |all: &[Duration]| all.iter().max().copied().unwrap_or_default();
        println!(
            "{what}: {} moves, pauses p50 {:?}, longest {:?}; longest of a partition that stayed {:?}",
            self.moves.len(),
            self.moves
                .get(self.moves.len() / 2)
                .copied()
                .unwrap_or_default(),
            longest(&self.moves),
            longest(&self.stalls),
        );
        self.moves.clear();
        self.stalls.clear();
    }
}

fn leave(cluster: &mut Cluster, executor: usize) {
    cluster.executors[executor].signal("TERM");
    let ended = cluster.executors[executor].wait_exit(LIMIT);
    assert!(ended.success(), "{ended}");
}

/// How many partitions were started with a state that was read ahead, and without.
fn starts(cluster: &Cluster) -> (usize, usize) {
    let logs = cluster.executors.iter().map(|executor| executor.log());
    let lines: Vec<String> = logs
        .flat_map(|log| log.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains("a partition starts"))
        .collect();
    let ahead = lines
        .iter()
        .filter(|line| line.contains("ahead=true"))
        .count();
    (ahead, lines.len() - ahead)
}

#[test]
fn executors_come_and_go_under_load_with_a_large_state_and_nothing_is_lost_or_doubled() {
    let kols = std::env::var(KOLS_VARIABLE).map_or(KOLS, |n| n.parse().unwrap());
    let topic = Arc::new(Topic::create(Kafka::shared(), "moves", PARTITIONS));
    let redis = RedisServer::start();
    let mut cluster = Cluster::start_with(1, &[("KOL_EXECUTOR_DRAIN_TIMEOUT", "60s")]);
    let job = Job::replay("window = \"24h\"\nslide = \"1h\"");
    let job = cluster.submit(&job, &topic, &redis);
    let first = kols * VIDEOS;
    let all: Vec<Record> = (0..first).map(|number| reading(number, kols)).collect();
    all.chunks(100_000).for_each(|part| topic.produce(part));
    cluster.wait_caught_up(&job, u64::from(first), LIMIT);
    let what = "an epoch with all of it";
    cluster.wait_status(&job, what, LIMIT, |status| {
        status
            .checkpoint
            .as_ref()
            .is_some_and(|c| c.failures == 0 && c.epoch > 0)
    });

    let feed = Feed::start(Arc::clone(&topic), first, kols);
    let mut watch = Watch::default();
    watch.look_for(&cluster, &job, Duration::from_secs(3));
    watch.report("1 executor");
    cluster.add_executor();
    watch.until_balanced(&cluster, &job, 2);
    watch.look_for(&cluster, &job, Duration::from_secs(2));
    watch.report("1 → 2 executors");
    cluster.add_executor();
    cluster.add_executor();
    watch.until_balanced(&cluster, &job, 4);
    watch.look_for(&cluster, &job, Duration::from_secs(2));
    watch.report("2 → 4 executors");
    for executor in [3, 0] {
        cluster.executors[executor].signal("TERM");
    }
    watch.until_balanced(&cluster, &job, 2);
    for executor in [3, 0] {
        assert!(cluster.executors[executor].wait_exit(LIMIT).success());
    }
    watch.look_for(&cluster, &job, Duration::from_secs(2));
    watch.report("4 → 2 executors");
    cluster.executors[1].signal("TERM");
    watch.until_balanced(&cluster, &job, 1);
    leave(&mut cluster, 1);
    watch.look_for(&cluster, &job, Duration::from_secs(2));
    watch.report("2 → 1 executors");
    let produced = feed.stop();

    let (ahead, cold) = starts(&cluster);
    println!(
        "{kols} creators, {VIDEOS} videos each; {ahead} starts with a state read ahead, {cold} without"
    );
    assert!(
        cold <= PARTITIONS as usize,
        "those at the beginning: {cold}"
    );
    let read = u64::from(first + produced);
    let status = cluster.wait_caught_up(&job, read, LIMIT);
    assert_eq!(status.totals.unwrap().events, read, "each counts once");
    cluster.assert_equals_fold(&job, &topic, &redis, LIMIT);
    cluster.assert_no_complaints();
}

fn states(cluster: &Cluster) -> BTreeMap<String, (String, u64)> {
    let listed = cluster.client(&["executors", "-o", "json"]).json();
    let listed = listed.as_array().unwrap().iter();
    let state = |e: &serde_json::Value| {
        let text = |name: &str| e[name].as_str().unwrap().to_owned();
        (
            text("host"),
            (text("state"), e["partitions"].as_u64().unwrap()),
        )
    };
    listed.map(state).collect()
}

fn becomes(cluster: &Cluster, host: &str, state: &str, partitions: u64) {
    let wanted = (state.to_owned(), partitions);
    wait_for(&format!("{host} to be {wanted:?}"), LIMIT, || {
        let states = states(cluster);
        let is = states.get(host) == Some(&wanted);
        is.then_some(()).ok_or(format!("{states:?}"))
    });
}

#[test]
fn an_executor_that_is_drained_gives_its_partitions_away_and_gets_none_until_that_is_cancelled() {
    let mut scene = Scene::half_way(Cluster::start(2), "drain", 4);
    scene.cluster.allow("SESSION_LOST", "the master is killed");
    scene.wait_checkpoint(scene.first.len() as u64);
    let unknown = scene.cluster.client(&["drain", "nobody"]);
    assert!(
        unknown.fails(3).contains("EXECUTOR_NOT_FOUND"),
        "{unknown:?}"
    );
    assert!(
        scene
            .cluster
            .client(&["drain", "executor-0"])
            .done()
            .contains("executor-0")
    );
    becomes(&scene.cluster, "executor-0", "drained", 0);
    becomes(&scene.cluster, "executor-1", "alive", 4);
    scene.topic.produce(&scene.second);
    // Also for a master that was started since.
    scene.cluster.restart_master();
    becomes(&scene.cluster, "executor-0", "drained", 0);
    becomes(&scene.cluster, "executor-1", "alive", 4);
    // Where nobody else can have them, they stay.
    scene.cluster.client(&["drain", "executor-1"]).done();
    becomes(&scene.cluster, "executor-1", "draining", 4);
    scene
        .cluster
        .client(&["drain", "executor-0", "--cancel"])
        .done();
    becomes(&scene.cluster, "executor-1", "drained", 0);
    becomes(&scene.cluster, "executor-0", "alive", 4);
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    scene.cluster.assert_no_complaints();
}
