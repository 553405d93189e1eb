//! A whole log at full speed through Kafka, executors and Redis: what is in Redis equals the fold, to
//! the digit, however the log is keyed and partitioned and however many executors read it.

use std::time::Duration;

use kol_harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, real_or_generated};

const LIMIT: Duration = Duration::from_secs(180);

/// One way of scoring: its name, and its lines of `[scoring]`.
type Way = (&'static str, &'static str);

const DAYS: Way = ("24h/1h", "window = \"24h\"\nslide = \"1h\"");
const MINUTES: Way = ("5m/1m", "window = \"5m\"\nslide = \"1m\"");
const DELTA: Way = (
    "delta",
    "counters = \"delta\"\nwindow = \"5m\"\nslide = \"1m\"",
);
const SPARK: Way = (
    "spark-compat",
    "profile = \"spark-compat\"\ncounters = \"delta\"\nwindow = \"5m\"\nslide = \"1m\"",
);
const RISING: Way = (
    "rising",
    "profile = \"rising\"\nwindow = \"24h\"\nslide = \"1h\"",
);
const RISING_MINUTES: Way = (
    "rising-5m",
    "profile = \"rising\"\nwindow = \"5m\"\nslide = \"1m\"",
);
const KEYS: [Key; 3] = [Key::Username, Key::VideoId, Key::None];

/// Fills one topic and replays it into a Redis of its own for each way of scoring.
fn replay(key: Key, partitions: u32, executors: usize, ways: &[Way]) {
    let topic = Topic::create(Kafka::shared(), "replay", partitions);
    topic.produce(&real_or_generated(key));
    let cluster = Cluster::start(executors);
    for (name, scoring) in ways {
        eprintln!("{key:?} {partitions} partitions {executors} executors {name}");
        let redis = RedisServer::start();
        let mut job = Job::replay(scoring);
        job.name = name.replace('/', "-");
        let id = cluster.submit(&job, &topic, &redis);
        cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
        if key == Key::None && *name == DAYS.0 {
            warns_about_keys(&cluster, &id);
        }
        cluster.stop(&id);
    }
    cluster.assert_no_complaints();
}

fn warns_about_keys(cluster: &Cluster, job: &str) {
    let warned = |text: &String| text.contains("gains are wrong") && text.contains(" through ");
    let status = cluster.wait_status(job, "a warning about keys", LIMIT, |status| {
        status.warnings.iter().any(warned)
    });
    assert!(status.videos_split > 0, "{status:?}");
}

#[test]
fn one_partition_by_creator_equals_the_fold_in_every_way_of_scoring() {
    let ways = [DAYS, MINUTES, DELTA, SPARK, RISING, RISING_MINUTES];
    replay(Key::Username, 1, 1, &ways);
}

#[test]
fn four_partitions_by_video_on_two_executors_equal_the_fold() {
    replay(Key::VideoId, 4, 2, &[DAYS, MINUTES, DELTA, SPARK, RISING]);
}

#[test]
fn thirty_two_partitions_without_keys_on_four_executors_equal_the_fold() {
    replay(Key::None, 32, 4, &[DAYS, DELTA, SPARK, RISING]);
}

#[test]
fn thirty_two_partitions_by_creator_on_two_executors_equal_the_fold() {
    replay(Key::Username, 32, 2, &[DAYS, RISING]);
}

#[test]
#[ignore = "all 135 combinations: `make matrix`"]
fn every_combination_equals_the_fold() {
    for key in KEYS {
        for partitions in [1, 4, 32] {
            for executors in [1, 2, 4] {
                let ways = [DAYS, MINUTES, DELTA, SPARK, RISING];
                replay(key, partitions, executors, &ways);
            }
        }
    }
}
