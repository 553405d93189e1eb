//! The way of one event to Redis while everything is idle.

use std::time::{Duration, Instant};

use kol_common::Millis;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord};
use redis::Commands as _;

use super::figures::{Report, Section};
use super::{Plan, percentile};
use kol_harness::{Cluster, Job, Kafka, RedisServer, Topic};

const LIMIT: Duration = Duration::from_secs(5);

/// Shows the figures.
pub fn latency(plan: &Plan, report: &mut Report) {
    let topic = Topic::create(Kafka::shared(), "bench-latency", 4);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = cluster.submit(&Job::replay("counters = \"delta\""), &topic, &redis);
    cluster.wait_caught_up(&job, 0, Duration::from_secs(30));
    let mut connection = redis.connect();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", topic.kafka().bootstrap())
        .set("linger.ms", "0")
        .create()
        .unwrap();
    // The first record also waits for the producer's connections.
    one(&topic, &producer, &mut connection, usize::MAX);
    let mut samples: Vec<Duration> = (0..plan.samples)
        .map(|n| {
            // Out of step with every timer of the system.
            std::thread::sleep(Duration::from_millis(150 + (n as u64 * 37) % 100));
            one(&topic, &producer, &mut connection, n)
        })
        .collect();
    samples.sort();
    let about = format!(
        "one event while everything is idle, until its creator is in Redis, {} times; flush interval 100 ms",
        samples.len()
    );
    let mut section = Section::new("latency", about);
    let ms = |share| percentile(&samples, share).as_secs_f64() * 1e3;
    let figures = [("p50 ms", 0.5), ("p99 ms", 0.99), ("max ms", 1.0)];
    section.note("one event", &figures.map(|(name, share)| (name, ms(share))));
    report.add(section);
}

fn one(
    topic: &Topic,
    producer: &BaseProducer,
    redis: &mut redis::Connection,
    n: usize,
) -> Duration {
    let kol = format!("latency_{n}");
    let event = format!(
        r#"{{"username":"{kol}","event_time":"{}","like_count":5}}"#,
        Millis::now().iso()
    );
    let record = BaseRecord::to(&topic.name).key(&kol).payload(&event);
    let key = format!("trending:tiktok:{kol}");
    let begun = Instant::now();
    producer.send(record).map_err(|(e, _)| e).unwrap();
    while begun.elapsed() < LIMIT {
        if redis.exists::<_, bool>(&key).unwrap() {
            break;
        }
        producer.poll(Duration::from_millis(1));
    }
    begun.elapsed()
}
