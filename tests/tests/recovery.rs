//! Checkpoints, and what is left after something died: state comes back from the last committed
//! epoch, only what came after it is read again, and in the end Redis equals the fold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kol_common::proto::{JobState, JobStatus};
use kol_tests::fold::Record;
use kol_tests::harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, generated, wait_for};
use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

const LIMIT: Duration = Duration::from_secs(60);
const GONE: [(&str, &str); 2] = [
    ("silent or cut off", "an executor was killed"),
    (
        "gone: its partitions go elsewhere",
        "an executor was killed",
    ),
];

struct Scene {
    cluster: Cluster,
    topic: Topic,
    redis: RedisServer,
    job: String,
    first: Vec<Record>,
    second: Vec<Record>,
}

/// A job that has read half of a generated log, all of it in a committed epoch.
fn half_way(executors: usize, partitions: u32) -> Scene {
    let topic = Topic::create(Kafka::shared(), "recovery", partitions);
    let mut first = generated(Key::Username, 300, 20_000, 21);
    let second = first.split_off(first.len() / 2);
    topic.produce(&first);
    let redis = RedisServer::start();
    let cluster = Cluster::start(executors);
    let scoring = "window = \"24h\"\nslide = \"1h\"";
    let job = cluster.submit(&Job::replay(scoring), &topic, &redis);
    let scene = Scene {
        cluster,
        topic,
        redis,
        job,
        first,
        second,
    };
    scene.wait_checkpoint(scene.first.len() as u64);
    scene
}

impl Scene {
    /// The newest committed epoch, once it holds that many records.
    fn wait_checkpoint(&self, records: u64) -> u64 {
        wait_for("a checkpoint of everything", LIMIT, || {
            let answer = self
                .cluster
                .client(&["checkpoints", &self.job, "-o", "json"]);
            let newest = answer.json()["checkpoints"][0].clone();
            let partitions = newest["partitions"].as_array().cloned().unwrap_or_default();
            let read: u64 = partitions
                .iter()
                .map(|p| p["offset"].as_u64().unwrap())
                .sum();
            if read == records {
                Ok(newest["epoch"].as_u64().unwrap())
            } else {
                Err(newest.to_string())
            }
        })
    }

    fn ends_as_the_fold(&self) -> JobStatus {
        let Self {
            cluster,
            topic,
            redis,
            job,
            ..
        } = self;
        cluster.assert_equals_fold(job, topic, redis, LIMIT);
        cluster.assert_no_complaints();
        cluster.try_status(job).unwrap()
    }

    /// Offsets at which an executor started partitions since `from` bytes of its log.
    fn starts(&self, executor: usize, from: usize) -> Vec<u64> {
        let log = self.cluster.executors[executor].log();
        let lines = log[from..]
            .lines()
            .filter(|l| l.contains("a partition starts"));
        let offset = |line: &str| {
            let rest = line.split_once("offset=").unwrap().1;
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        lines.map(offset).collect()
    }

    /// All events were counted once: counters are part of the state.
    fn counted_once(&self, status: &JobStatus) {
        let all = (self.first.len() + self.second.len()) as u64;
        assert_eq!(status.totals.unwrap().events, all);
    }

    fn allow(&mut self, explained: &[(&'static str, &'static str)]) {
        for (part, reason) in explained {
            self.cluster.allow(part, reason);
        }
    }

    fn checkpoints(&self) -> PathBuf {
        self.cluster.folder().join("state/checkpoints")
    }

    /// Kills an executor, and waits until the master has noticed.
    fn kill(&mut self, executor: usize) {
        self.allow(&GONE);
        self.cluster.executors[executor].kill();
        let what = "the loss is noticed";
        self.cluster
            .wait_status(&self.job, what, LIMIT, |status| !status.caught_up);
    }

    fn state_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.checkpoints(), &mut files);
        files.sort();
        files
    }
}

/// Reads the ranking all the time, as a dashboard does.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u64, u64)>,
}

impl Reader {
    fn start(redis: &RedisServer) -> Self {
        let mut connection = redis.connect();
        let mut size = move || -> u64 {
            let asked = redis::cmd("ZCARD")
                .arg("ranking:tiktok:trending")
                .query(&mut connection);
            asked.unwrap()
        };
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let first = size();
            let (mut least, mut looks) = (first, 0);
            while !told.load(Ordering::Relaxed) {
                least = least.min(size());
                looks += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            (first, least, looks)
        });
        Self { stop, thread }
    }

    /// The generated log has no creator that goes quiet for long enough to leave.
    fn saw_nobody_leave(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (first, least, looks) = self.thread.join().unwrap();
        assert!(first > 0 && looks > 100, "{first} creators, {looks} looks");
        assert_eq!(least, first, "the ranking fell apart");
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn partitions_of_a_killed_executor_go_on_from_the_last_checkpoint() {
    let mut scene = half_way(2, 4);
    let from = scene.cluster.executors[1].log().len();
    let reader = Reader::start(&scene.redis);
    scene.kill(0);
    // A few hours of events while the reader looks. Of days at once, partitions that are read later
    // would have creators who are quiet for days by the clock of the others.
    let (few, rest) = scene.second.split_at(500);
    scene.topic.produce(few);
    let read = (scene.first.len() + few.len()) as u64;
    scene.cluster.wait_caught_up(&scene.job, read, LIMIT);
    reader.saw_nobody_leave();
    scene.topic.produce(rest);
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(1, from);
    assert_eq!(starts.len(), 2, "only those of the dead one: {starts:?}");
    let least = scene.first.len() as u64 / 4 / 2;
    assert!(starts.iter().all(|offset| *offset > least), "{starts:?}");
}

#[test]
fn a_cluster_that_died_as_a_whole_goes_on_from_the_last_checkpoint() {
    let mut scene = half_way(2, 4);
    scene.allow(&GONE);
    scene.allow(&[("no session with the master", "the master was killed")]);
    for executor in &mut scene.cluster.executors {
        executor.kill();
    }
    scene.cluster.restart_master();
    let executor = scene.cluster.add_executor();
    scene.topic.produce(&scene.second);
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(executor, 0);
    assert_eq!(starts.iter().sum::<u64>(), scene.first.len() as u64);
}

#[test]
fn a_redis_that_lost_everything_while_nobody_wrote_is_filled_from_the_checkpoint() {
    let mut scene = half_way(1, 4);
    scene.allow(&[("Redis lost data", "it was emptied")]);
    scene.kill(0);
    scene.redis.cli("FLUSHALL");
    scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    assert_eq!(status.totals.unwrap().events, scene.first.len() as u64);
}

#[test]
fn a_damaged_state_file_is_reported_and_an_older_state_or_the_log_is_used() {
    let mut scene = half_way(1, 2);
    scene.allow(&[("CHECKPOINT_DAMAGED", "the file was damaged")]);
    scene.topic.produce(&scene.second);
    scene.wait_checkpoint((scene.first.len() + scene.second.len()) as u64);
    scene.kill(0);
    for file in scene.state_files() {
        let mut content = std::fs::read(&file).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0x40;
        std::fs::write(&file, content).unwrap();
    }
    let executor = scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(executor, 0);
    assert!(starts.contains(&0), "from the log at last: {starts:?}");
}

#[test]
fn a_checkpoint_folder_that_is_away_degrades_the_job_and_nothing_else() {
    let mut scene = half_way(1, 2);
    scene.allow(&[("an epoch was given up", "the folder is away")]);
    let folder = scene.checkpoints();
    let aside = folder.with_file_name("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "not a folder").unwrap();
    let what = "the status names the checkpoints";
    scene.topic.produce(&scene.second[..1_000]);
    scene
        .cluster
        .wait_status(&scene.job, what, LIMIT, |status| {
            let named = |p: &kol_common::proto::ErrorInfo| p.code == "CHECKPOINT_FAILED";
            status.state() == JobState::Degraded && status.problems.iter().any(named)
        });
    let read = (scene.first.len() + 1_000) as u64;
    scene.cluster.wait_caught_up(&scene.job, read, LIMIT);
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    scene.topic.produce(&scene.second[1_000..]);
    let all = (scene.first.len() + scene.second.len()) as u64;
    scene.wait_checkpoint(all);
    let status = scene.ends_as_the_fold();
    assert_eq!(status.state(), JobState::Running, "{}", status.reason);
    scene.kill(0);
    scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
}

#[test]
fn lag_tools_see_the_offsets_of_committed_epochs() {
    let scene = half_way(1, 4);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", scene.topic.kafka().bootstrap())
        .set("group.id", "kol-streaming-consumer")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range(&scene.topic.name, 0, 3);
    wait_for("the group's offsets", LIMIT, || {
        let committed = consumer
            .committed_offsets(list.clone(), Duration::from_secs(5))
            .map_err(|e| e.to_string())?;
        let offsets = committed.elements().into_iter();
        let sum: i64 = offsets.filter_map(|e| e.offset().to_raw()).sum();
        if sum == scene.first.len() as i64 {
            Ok(())
        } else {
            Err(format!("{committed:?}"))
        }
    });
}

#[test]
fn state_files_that_were_left_behind_are_deleted_and_no_other() {
    let mut scene = half_way(1, 2);
    let left = scene
        .checkpoints()
        .join(&scene.job)
        .join("0/000000000000-1-left.state");
    std::fs::write(&left, "of an owner that died").unwrap();
    scene.topic.produce(&scene.second);
    wait_for("what was left behind to go", LIMIT, || {
        if left.exists() {
            Err("it is there".to_owned())
        } else {
            Ok(())
        }
    });
    let all = (scene.first.len() + scene.second.len()) as u64;
    scene.wait_checkpoint(all);
    let answer = scene
        .cluster
        .client(&["checkpoints", &scene.job, "-o", "json"]);
    let kept = answer.json()["checkpoints"].as_array().unwrap().len();
    assert_eq!(kept, 3, "as many epochs as the spec says");
    scene.kill(0);
    let executor = scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(executor, 0);
    assert_eq!(starts.iter().sum::<u64>(), all, "nothing was read again");
}
