//! Where most scenarios begin: a job that has read the first half of a generated log.

use std::time::Duration;

use kol_common::proto::JobStatus;

use super::{Cluster, Job, Kafka, Key, RedisServer, Topic, generated, wait_for};
use kol_fold::Record;

const LIMIT: Duration = Duration::from_secs(90);
const SCORING: &str = "window = \"24h\"\nslide = \"1h\"";
/// What is said of an executor that was killed.
const GONE: [&str; 2] = ["EXECUTOR_SUSPECT", "EXECUTOR_LOST"];

/// A cluster with one job.
pub struct Scene {
    /// The cluster that runs the job.
    pub cluster: Cluster,
    /// What the job reads.
    pub topic: Topic,
    /// Where it writes.
    pub redis: RedisServer,
    /// The job's id.
    pub job: String,
    /// What the log holds.
    pub first: Vec<Record>,
    /// What is still to come.
    pub second: Vec<Record>,
}

impl Scene {
    /// A job whose first half is read and confirmed by Redis.
    pub fn half_way(cluster: Cluster, name: &str, partitions: u32) -> Self {
        Self::half_way_of(&Self::job(), cluster, name, partitions)
    }

    /// The same, of this job.
    pub fn half_way_of(job: &Job, cluster: Cluster, name: &str, partitions: u32) -> Self {
        let topic = Topic::create(Kafka::shared(), name, partitions);
        let mut first = generated(Key::Username, 300, 20_000, 21);
        let second = first.split_off(first.len() / 2);
        topic.produce(&first);
        let redis = RedisServer::start();
        let job = cluster.submit(job, &topic, &redis);
        cluster.wait_caught_up(&job, first.len() as u64, LIMIT);
        Self {
            cluster,
            topic,
            redis,
            job,
            first,
            second,
        }
    }

    /// What is submitted.
    pub fn job() -> Job {
        Job::replay(SCORING)
    }

    /// Records of both halves.
    pub fn all(&self) -> u64 {
        (self.first.len() + self.second.len()) as u64
    }

    /// The newest committed epoch, once it holds that many records.
    pub fn wait_checkpoint(&self, records: u64) -> u64 {
        wait_for("a checkpoint of everything", LIMIT, || {
            let arguments = ["checkpoints", &self.job, "-o", "json"];
            let newest = self.cluster.client(&arguments).json()["checkpoints"][0].clone();
            let partitions = newest["partitions"].as_array().cloned().unwrap_or_default();
            let offsets = partitions.iter().filter_map(|p| p["offset"].as_u64());
            match newest["epoch"].as_u64() {
                Some(epoch) if offsets.sum::<u64>() == records => Ok(epoch),
                _ => Err(newest.to_string()),
            }
        })
    }

    /// The law of the whole system, and nobody complains.
    pub fn ends_as_the_fold(&self) -> JobStatus {
        let Self {
            cluster,
            topic,
            redis,
            job,
            ..
        } = self;
        cluster.assert_equals_fold(job, topic, redis, LIMIT);
        cluster.assert_no_complaints();
        cluster.try_status(job).expect("a status")
    }

    /// Offsets at which an executor started partitions since `from` bytes of its log.
    pub fn starts(&self, executor: usize, from: usize) -> Vec<u64> {
        let log = self.cluster.executors[executor].log();
        let lines = log[from..]
            .lines()
            .filter(|l| l.contains("a partition starts"));
        let offset = |line: &str| {
            let (_, rest) = line.split_once("offset=")?;
            rest.split(' ').next()?.parse().ok()
        };
        lines.map(|l| offset(l).expect("an offset")).collect()
    }

    /// All events of both halves were counted once: counters are part of the state.
    pub fn counted_once(&self, status: &JobStatus) {
        let events = status.totals.as_ref().map(|t| t.events);
        assert_eq!(events, Some(self.all()));
    }

    /// Kills an executor.
    pub fn kill(&mut self, executor: usize) {
        for code in GONE {
            self.cluster.allow(code, "an executor was killed");
        }
        self.cluster.executors[executor].kill();
    }

    /// Waits until the master has noticed that somebody is missing.
    pub fn wait_noticed(&self) {
        let what = "the loss is noticed";
        let noticed = |status: &JobStatus| !status.caught_up;
        self.cluster.wait_status(&self.job, what, LIMIT, noticed);
    }
}
