//! One job name, several lives: stops, savepoints, upgrades, rewinds and rollbacks. Whatever a job begins
//! with, in the end Redis equals the fold of the log.

mod rewind;
mod savepoint;
mod successor;

use std::time::Duration;

use kol_common::proto::{JobState, JobStatus};
use kol_fold::Record;
use kol_harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, generated, wait_for};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const SCORING: &str = "window = \"24h\"\nslide = \"1h\"";

struct Scene {
    cluster: Cluster,
    topic: Topic,
    redis: RedisServer,
    first: Vec<Record>,
    second: Vec<Record>,
}

impl Scene {
    /// A topic with half of a log, and a job that has read it.
    fn half_way(executors: usize) -> (Self, String) {
        Self::half_way_in(Cluster::start(executors))
    }

    /// The same in a cluster where state may also lie below this place.
    fn half_way_allowing(executors: usize, root: &str) -> (Self, String) {
        let allowed = [("KOL_MASTER_ALLOW_ROOT", root)];
        Self::half_way_in(Cluster::start_with(executors, &allowed))
    }

    fn half_way_in(cluster: Cluster) -> (Self, String) {
        let topic = Topic::create(Kafka::shared(), "lineage", 4);
        let mut first = generated(Key::Username, 200, 12_000, 77);
        let second = first.split_off(first.len() / 2);
        topic.produce(&first);
        let scene = Self {
            cluster,
            redis: RedisServer::start(),
            topic,
            first,
            second,
        };
        let job = scene.submit("", &[]).unwrap();
        scene.caught_up(&job);
        (scene, job)
    }

    /// Writes the spec with more lines of `[scoring]`, and submits it as a person does.
    fn submit(&self, scoring: &str, flags: &[&str]) -> Result<String, String> {
        submit_to(&self.cluster, &self.topic, &self.redis, scoring, flags)
    }

    fn client(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        self.cluster.client(&arguments).json()
    }

    /// A job that took the place of another: its id.
    fn next(&self, arguments: &[&str]) -> String {
        let answer = self.client(&[arguments, &["--wait"]].concat());
        answer["job_id"].as_str().unwrap().to_owned()
    }

    fn caught_up(&self, job: &str) -> JobStatus {
        let read = self.first.len() as u64;
        self.cluster.wait_caught_up(job, read, LIMIT)
    }

    fn is_the_fold(&self, job: &str) -> JobStatus {
        let Self {
            cluster,
            topic,
            redis,
            ..
        } = self;
        cluster.assert_equals_fold(job, topic, redis, LIMIT);
        cluster.try_status(job).unwrap()
    }

    /// Offsets at which the partitions of a job were started.
    fn starts(&self, job: &str) -> Vec<u64> {
        let logs = self.cluster.executors.iter().map(|e| e.log());
        let started = |line: &&str| line.contains("a partition starts") && line.contains(job);
        let offset = |line: &str| -> u64 {
            let rest = line.split_once("offset=").unwrap().1;
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        let of = |log: String| log.lines().filter(started).map(offset).collect::<Vec<_>>();
        logs.flat_map(of).collect()
    }

    fn state(&self, job: &str) -> JobState {
        self.cluster.try_status(job).unwrap().state()
    }
}

fn submit_to(
    cluster: &Cluster,
    topic: &Topic,
    redis: &RedisServer,
    scoring: &str,
    flags: &[&str],
) -> Result<String, String> {
    let job = Job::replay(&format!("{SCORING}\n{scoring}"));
    let toml = job.toml(topic.kafka().bootstrap(), &[&topic.name], &redis.url());
    std::fs::write(cluster.folder().join("job.toml"), toml).unwrap();
    let arguments = [&["submit", "job.toml", "-o", "json"], flags].concat();
    let answer = cluster.client(&arguments);
    if answer.code != Some(0) {
        return Err(answer.err);
    }
    Ok(answer.json()["job_id"].as_str().unwrap().to_owned())
}

fn total(offsets: &[u64]) -> usize {
    offsets.iter().sum::<u64>() as usize
}
