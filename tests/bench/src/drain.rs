//! Draining a backlog: events a second, and for each processor second of the executor, beside a loop
//! over bare librdkafka that only consumes.

use std::time::{Duration, Instant};

use kol_client::generate::Generator;
use kol_client::producer::TopicWriter;
use kol_common::SourcePartition;
use kol_common::job::KafkaSource;
use kol_common::secrets::Secrets;
use kol_executor::memory::Memory;
use kol_executor::source::{Batch, KafkaLogs, Logs as _, Place};

use super::{Plan, cpu, history};
use kol_harness::{Cluster, Job, Kafka, RedisServer, Topic};

const PARTITIONS: u32 = 4;
const LIMIT: Duration = Duration::from_secs(600);

/// Prints the figures.
pub fn drain(plan: &Plan) {
    let topic = Topic::create(Kafka::shared(), "bench-drain", PARTITIONS);
    let bytes = fill(&topic, plan);
    let (bare_wall, bare_cpu) = consume_only(&topic, plan.events);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let pid = cluster.executors[0].pid();
    let before = cpu(pid);
    let begun = Instant::now();
    let job = cluster.submit(&Job::replay(""), &topic, &redis);
    let status = cluster.wait_caught_up(&job, plan.events, LIMIT);
    let (wall, used) = (begun.elapsed(), cpu(pid) - before);
    let rate = |events: u64, time: Duration| events as f64 / time.as_secs_f64();
    println!(
        "drain: {} events of {} creators, {PARTITIONS} partitions, 1 executor",
        plan.events, status.kols
    );
    println!(
        "  executor       {:>10.0} events/s   {:>10.0} events per CPU-second",
        rate(plan.events, wall),
        rate(plan.events, used)
    );
    println!(
        "  consume only   {:>10.0} events/s   {:>10.0} events per CPU-second",
        rate(plan.events, bare_wall),
        rate(plan.events, bare_cpu)
    );
    println!(
        "  ratio          {:>10.2}            {:>10.2}",
        rate(plan.events, wall) / rate(plan.events, bare_wall),
        bare_cpu.as_secs_f64() / used.as_secs_f64()
    );
    println!(
        "  an event       {:>10.0} ns of a core  {:>10} bytes",
        used.as_secs_f64() * 1e9 / plan.events as f64,
        bytes / plan.events
    );
    println!(
        "  a creator      {:>10} bytes of state with its 8 videos",
        status.state_bytes / status.kols.max(1)
    );
    println!(
        "  memory         {} MiB resident for {} creators and {} MiB of state",
        cluster.executors[0].rss() >> 20,
        status.kols,
        status.state_bytes >> 20
    );
}

/// Answers how many bytes the values have.
fn fill(topic: &Topic, plan: &Plan) -> u64 {
    let mut bytes = 0;
    let mut generator = Generator::new(history(plan.kols, plan.events));
    let mut writer = TopicWriter::new(topic.kafka().bootstrap(), &topic.name).unwrap();
    let mut value = Vec::new();
    for _ in 0..plan.events {
        let meta = generator.next_into(&mut value);
        writer
            .write(Some(Generator::username(meta.kol).as_bytes()), &value)
            .unwrap();
        bytes += value.len() as u64;
    }
    writer.finish().unwrap();
    bytes
}

/// The same client and batches as the executor's, and nothing done with the records.
fn consume_only(topic: &Topic, events: u64) -> (Duration, Duration) {
    let spec = KafkaSource {
        bootstrap: topic.kafka().bootstrap().to_owned(),
        topics: vec![topic.name.clone()],
        ..KafkaSource::default()
    };
    let source = KafkaLogs::new(Memory::new(1 << 30))
        .open(&spec.into(), &Secrets::default(), "bench")
        .unwrap();
    let own = std::process::id();
    let (begun, before) = (Instant::now(), cpu(own));
    let mut queues: Vec<_> = (0..PARTITIONS)
        .map(|p| {
            source
                .open(&SourcePartition::new(&topic.name, p), Place::at(0))
                .unwrap()
        })
        .collect();
    let mut batch = Batch::with_capacity(1_024);
    let mut seen = 0;
    while seen < events && begun.elapsed() < LIMIT {
        let before = seen;
        for queue in &mut queues {
            queue.take(&mut batch, 1_024);
            seen += batch.records().flatten().count() as u64;
        }
        if seen == before {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    (begun.elapsed(), cpu(own) - before)
}
