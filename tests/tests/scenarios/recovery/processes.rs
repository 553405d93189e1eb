//! Executors, the whole cluster or Redis died: work resumes from the last committed epoch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kol_harness::{Cluster, Job, RedisServer, Scene, wait_for};
use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::{LIMIT, half_way, kill};

/// Reads the ranking all the time, as a dashboard does.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u64, u64)>,
}

impl Reader {
    fn start(redis: &RedisServer) -> Self {
        let mut connection = redis.connect();
        let mut size = move || -> u64 {
            let answer = redis::cmd("ZCARD")
                .arg("ranking:tiktok:trending")
                .query(&mut connection);
            answer.unwrap()
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let first = size();
            let (mut least, mut looks) = (first, 0);
            while !stopped.load(Ordering::Relaxed) {
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

#[test]
fn partitions_of_a_killed_executor_resume_from_the_last_checkpoint() {
    let mut scene = half_way(2, 4);
    let from = scene.cluster.executors[1].log().len();
    let reader = Reader::start(&scene.redis);
    kill(&mut scene, 0);
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
fn what_is_provisional_and_not_decided_yet_comes_back_from_the_last_checkpoint() {
    let job = Job::replay("profile = \"rising\"\nwindow = \"24h\"\nslide = \"1h\"");
    let mut scene = Scene::half_way_of(&job, Cluster::start(2), "rising", 4);
    scene.wait_checkpoint(scene.first.len() as u64);
    kill(&mut scene, 0);
    scene.topic.produce(&scene.second);
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
}

#[test]
fn a_cluster_that_died_as_a_whole_resumes_from_the_last_checkpoint() {
    let mut scene = half_way(2, 4);
    scene.cluster.allow("SESSION_LOST", "the master was killed");
    for executor in 0..2 {
        scene.kill(executor);
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
    scene.cluster.allow("REDIS_LOST_DATA", "it was emptied");
    kill(&mut scene, 0);
    scene.redis.cli("FLUSHALL");
    scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    assert_eq!(status.totals.unwrap().events, scene.first.len() as u64);
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
