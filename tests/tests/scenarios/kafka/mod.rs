//! What Kafka does to a log while a job reads it.

mod lost_tail;
mod reading;
mod recreated;

use std::time::Duration;

use kol_fold::Record;
use kol_harness::{Cluster, Job, Kafka, RedisServer, Topic};

const LIMIT: Duration = Duration::from_secs(40);

const SCORING: &str = "window = \"24h\"\nslide = \"1h\"";

/// These need what the embedded broker cannot do.
fn real_kafka() -> Option<&'static Kafka> {
    let kafka = Kafka::shared();
    if !kafka.is_real() {
        eprintln!("NOT TESTED: this scenario needs real Kafka");
    }
    kafka.is_real().then_some(kafka)
}

struct Scene {
    topic: Topic,
    redis: RedisServer,
    cluster: Cluster,
    job: String,
}

impl Scene {
    /// Waits until Redis equals the fold of a log at the window end that the job is at.
    fn becomes(&self, log: &[Record]) {
        kol_harness::wait_for("Redis to equal the fold", LIMIT, || {
            let status = self.cluster.try_status(&self.job);
            let status = status.map_err(|e| e.to_string())?;
            let spec = kol_harness::scoring(&status);
            let fold = kol_fold::Fold::of(&spec, log);
            let end = status.window_end_ms.ok_or("no window end")?;
            let view = fold.view_at(end);
            let differences = kol_harness::compare(&mut self.redis.connect(), &view);
            match differences.first() {
                None if status.caught_up => Ok(()),
                None => Err(format!("not caught up: {status:#?}")),
                Some(first) => Err(format!("{} differences: {first}", differences.len())),
            }
        });
    }
}

fn scene(kafka: &'static Kafka, partitions: u32, records: &[Record]) -> Scene {
    scene_of(&Job::replay(SCORING), kafka, partitions, records)
}

fn scene_of(job: &Job, kafka: &'static Kafka, partitions: u32, records: &[Record]) -> Scene {
    let topic = Topic::create(kafka, "kafka", partitions);
    topic.produce(records);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = cluster.submit(job, &topic, &redis);
    Scene {
        topic,
        redis,
        cluster,
        job,
    }
}

/// Waits for a checkpoint that has so many records.
fn wait_epoch_of(scene: &Scene, records: usize) {
    let what = format!("a checkpoint of {records} records");
    kol_harness::wait_for(&what, LIMIT, || {
        let arguments = ["checkpoints", &scene.job, "-o", "json"];
        let newest = scene.cluster.client(&arguments).json()["checkpoints"][0].clone();
        let parts = newest["partitions"].as_array().cloned().unwrap_or_default();
        let offsets = parts.iter().filter_map(|p| p["offset"].as_u64());
        (offsets.sum::<u64>() == records as u64)
            .then_some(())
            .ok_or_else(|| newest.to_string())
    });
}

/// Waits for a checkpoint that has the id of the topic in all partitions.
fn knows_its_topic(cluster: &Cluster, job: &str) {
    kol_harness::wait_for("a checkpoint that knows its topic", LIMIT, || {
        let arguments = ["checkpoints", job, "-o", "json"];
        let newest = cluster.client(&arguments).json()["checkpoints"][0].clone();
        let parts = newest["partitions"].as_array().cloned();
        let parts = parts.filter(|parts| parts.iter().all(|p| p["topic_id"].is_string()));
        parts.map(drop).ok_or_else(|| newest.to_string())
    });
}
