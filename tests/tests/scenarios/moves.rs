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
/// When the events begin, and how far they are apart.
const START_MS: u64 = 1_750_636_800_000;
/// Over how long partitions report their longest stall, and a report is late.
const STALLS: Duration = Duration::from_millis(2_500);
/// Readings that are produced at once.
const CHUNK: u64 = 100_000;

/// The creators in state, and videos of each; these variables set other numbers.
#[derive(Clone, Copy)]
struct World {
    kols: u64,
    videos: u64,
}

impl World {
    fn of_this_run() -> Self {
        let number = |name: &str, or: u64| std::env::var(name).map_or(or, |n| n.parse().unwrap());
        Self {
            kols: number("KOL_MOVES_KOLS", 50_000),
            videos: number("KOL_MOVES_VIDEOS", 5),
        }
    }

    /// Readings until each video has one.
    fn readings(self) -> u64 {
        self.kols * self.videos
    }

    /// What an executor may take that has all of them, for `--memory`.
    fn memory(self) -> String {
        let kib = self.readings() / 10 + self.kols;
        format!("{}m", 1_024 + kib / 1_024)
    }

    /// How long reading so many, and whatever is in proportion to them, may take.
    fn limit(self) -> Duration {
        LIMIT + Duration::from_millis(self.readings() / 10)
    }

    /// A reading of a video of a creator, `number` of so many.
    fn reading(self, number: u64) -> Record {
        let (kol, video) = (number % self.kols, number / self.kols % self.videos);
        // An hour for all readings of one video, so that few creators leave.
        let at = START_MS + number * 3_600_000 / self.kols;
        let value = format!(
            "{{\"event_time\":\"{}\",\"username\":\"kol_{kol}\",\"video_id\":\"{}\",\"like_count\":{}}}",
            Millis(at).iso(),
            7_000_000 + kol * self.videos + video,
            number + 10,
        );
        Record {
            timestamp_ms: Some(at),
            key: Some(format!("kol_{kol}").into_bytes()),
            value: Some(value.into_bytes()),
            ..Record::default()
        }
    }

    fn produce(self, topic: &Topic, numbers: std::ops::Range<u64>) {
        let records: Vec<Record> = numbers.map(|number| self.reading(number)).collect();
        topic.produce(&records);
    }
}

/// Produces further readings, 2,000 a second, until it is stopped: how many there are then.
struct Feed {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Feed {
    fn start(topic: Arc<Topic>, world: World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut next = world.readings();
            while !stopped.load(Ordering::Relaxed) {
                world.produce(&topic, next..next + 40);
                next += 40;
                std::thread::sleep(Duration::from_millis(20));
            }
            next
        });
        Self { stop, thread }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// One partition, as last seen.
struct Seen {
    assignment_epoch: u64,
    since: Instant,
    /// How long it paused when it came to this owner is noted.
    is_noted: bool,
}

/// What partitions report, over and over.
#[derive(Default)]
struct Watch {
    seen: BTreeMap<u32, Seen>,
    /// How long those paused that changed hands since the last report, and since the beginning.
    moves: Vec<Duration>,
    all_moves: Vec<Duration>,
    /// How long those got no records that stayed where they are.
    stalls: Vec<Duration>,
    limit: Duration,
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
                since: now,
                is_noted: false,
            };
            let is_new = |seen: &Seen| seen.assignment_epoch != report.assignment_epoch;
            if self.seen.get(&number).is_none_or(is_new) {
                self.seen.insert(number, new);
            }
            let Some(seen) = self.seen.get_mut(&number) else {
                continue;
            };
            if let Some(paused) = partition.paused_ms.filter(|_| !seen.is_noted) {
                seen.is_noted = true;
                self.moves.push(Duration::from_millis(paused));
            }
            if now - seen.since > STALLS {
                self.stalls.push(Duration::from_millis(report.stall_ms));
            }
        }
    }

    /// Looks until the executors that run partitions are so many, with equal shares.
    fn until_balanced(&mut self, cluster: &Cluster, job: &str, executors: usize) {
        let what = format!("{executors} executors with equal shares");
        wait_for(&what, self.limit, || {
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
        println!(
            "{what}: {}; longest of a partition that stayed {:?}",
            spread(&mut self.moves),
            self.stalls.iter().max().copied().unwrap_or_default(),
        );
        self.all_moves.append(&mut self.moves);
        self.stalls.clear();
    }
}

fn spread(moves: &mut [Duration]) -> String {
    moves.sort();
    let at = |part: usize| moves.get(moves.len() * part / 100).copied();
    let (p50, p90) = (at(50).unwrap_or_default(), at(90).unwrap_or_default());
    let longest = moves.last().copied().unwrap_or_default();
    format!(
        "{} moves, pauses p50 {p50:?}, p90 {p90:?}, longest {longest:?}",
        moves.len()
    )
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

/// The most records that a partition read again that changed hands.
fn most_again(cluster: &Cluster) -> Option<u64> {
    let log = cluster.master.log();
    let again = log.lines().filter_map(|line| {
        let (_, number) = line.split_once("read_again=")?;
        number.split_whitespace().next()?.parse::<u64>().ok()
    });
    again.max()
}

#[test]
fn executors_come_and_go_under_load_with_a_large_state_and_nothing_is_lost_or_doubled() {
    let world = World::of_this_run();
    let topic = Arc::new(Topic::create(Kafka::shared(), "moves", PARTITIONS));
    let redis = RedisServer::start();
    let patience = format!("{}s", world.limit().as_secs());
    let mut cluster = Cluster::start_with(0, &[("KOL_EXECUTOR_DRAIN_TIMEOUT", &patience)]);
    cluster.set_memory(&world.memory());
    cluster.add_executor();
    let job = Job::replay("window = \"24h\"\nslide = \"1h\"");
    let job = cluster.submit(&job, &topic, &redis);
    let readings = world.readings();
    for first in (0..readings).step_by(CHUNK as usize) {
        world.produce(&topic, first..readings.min(first + CHUNK));
    }
    cluster.wait_caught_up(&job, readings, world.limit());
    let what = "an epoch with all of it";
    cluster.wait_status(&job, what, world.limit(), |status| {
        status
            .checkpoint
            .as_ref()
            .is_some_and(|c| c.failures == 0 && c.epoch > 0)
    });

    let feed = Feed::start(Arc::clone(&topic), world);
    let mut watch = Watch {
        limit: world.limit(),
        ..Watch::default()
    };
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
        assert!(cluster.executors[executor].wait_exit(watch.limit).success());
    }
    watch.look_for(&cluster, &job, Duration::from_secs(2));
    watch.report("4 → 2 executors");
    cluster.executors[1].signal("TERM");
    watch.until_balanced(&cluster, &job, 1);
    assert!(cluster.executors[1].wait_exit(watch.limit).success());
    watch.look_for(&cluster, &job, Duration::from_secs(2));
    watch.report("2 → 1 executors");
    let read = feed.stop();

    let (ahead, cold) = starts(&cluster);
    println!(
        "{} creators, {} videos each: {}; {:?} records read again at most; {ahead} starts with a state read ahead, {cold} \
         without",
        world.kols,
        world.videos,
        spread(&mut watch.all_moves),
        most_again(&cluster),
    );
    assert!(
        cold <= PARTITIONS as usize,
        "those at the beginning: {cold}"
    );
    // One that moves on before it is processed pauses once.
    let timed = watch.all_moves.len();
    assert!((1..=ahead).contains(&timed), "{timed} of {ahead} are timed");
    let status = cluster.wait_caught_up(&job, read, world.limit());
    assert_eq!(status.totals.unwrap().events, read, "each counts once");
    cluster.assert_equals_fold(&job, &topic, &redis, world.limit());
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

/// Ends what runs until this is true, also when the scenario fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// It works for a tenth of the time, as on a host that is overloaded.
#[test]
fn an_executor_that_is_slow_gives_its_partitions_away_and_nothing_is_lost_or_doubled() {
    let mut scene = Scene::half_way(Cluster::start(2), "slow", 4);
    scene
        .cluster
        .allow("EXECUTOR_SUSPECT", "it hardly ever works");
    scene.wait_checkpoint(scene.first.len() as u64);
    let slow = &scene.cluster.executors[0];
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let _ends_it = Ends(&over);
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                slow.signal("STOP");
                std::thread::sleep(Duration::from_millis(180));
                slow.signal("CONT");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        scene.topic.produce(&scene.second[..2_000]);
        scene.cluster.client(&["drain", "executor-0"]).done();
        scene.topic.produce(&scene.second[2_000..]);
        becomes(&scene.cluster, "executor-0", "drained", 0);
        becomes(&scene.cluster, "executor-1", "alive", 4);
    });
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
}
