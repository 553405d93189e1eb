//! A steady load, at shares of what one executor takes in at most: what it costs, and how old what readers see in Redis
//! is.

use std::time::{Duration, Instant};

use kol_bench_parts::crawl::{Crawl, Options};
use kol_client::producer::TopicWriter;
use kol_common::Millis;
use kol_harness::{Cluster, Job, Kafka, RedisServer, Topic};

use super::drain::{LIMIT, RATE};
use super::figures::{Report, Section};
use super::probes::{Probes, Reader};
use super::{Plan, cpu, percentile};

const PARTITIONS: u32 = 4;
const SHARES: [f64; 3] = [0.1, 0.5, 0.8];
/// Not measured: the job starts, and creators are seen for the first time.
const WARM_UP: Duration = Duration::from_secs(10);
const HOUR: u64 = 3_600_000;

/// Shows the figures.
pub fn loaded(plan: &Plan, maximum: f64, report: &mut Report) {
    let about = format!(
        "shares of {maximum:.0} events/s, {} creators as of crawls, {:?} after {WARM_UP:?}; age of what a reader finds \
         of {} creators a second, from when their event was due; an epoch a second, a window advance, {} rounds",
        plan.kols,
        plan.loaded,
        super::probes::A_SECOND,
        plan.rounds
    );
    let mut section = Section::new("loaded", about);
    for _ in 0..plan.rounds {
        for share in SHARES {
            let load = Load::of(plan, maximum * share);
            load.run(&format!("{:.0} %", share * 100.0), &mut section);
        }
    }
    report.add(section);
}

/// So many events a second.
#[derive(Clone, Copy)]
struct Load {
    rate: f64,
    kols: u64,
    measured: Duration,
    /// Event time of its first event: an hour ends in the midst of what is measured.
    start: Millis,
}

impl Load {
    fn of(plan: &Plan, rate: f64) -> Self {
        let hour = (Millis::now().0 / HOUR - 1) * HOUR;
        let before = WARM_UP + plan.loaded / 2;
        Self {
            rate,
            kols: plan.kols,
            measured: plan.loaded,
            start: Millis(hour).since(before.into()),
        }
    }

    fn total(&self) -> Duration {
        WARM_UP + self.measured
    }

    fn run(self, row: &str, section: &mut Section) {
        let topic = Topic::create(Kafka::shared(), "bench-loaded", PARTITIONS);
        let redis = RedisServer::start();
        let cluster = Cluster::start(1);
        let job = cluster.submit(&Job::replay(""), &topic, &redis);
        cluster.wait_caught_up(&job, 0, LIMIT);
        let begun = Instant::now();
        let (bootstrap, name) = (topic.kafka().bootstrap().to_owned(), topic.name.clone());
        let crowd = std::thread::spawn(move || self.produce(begun, &bootstrap, &name));
        let (probes, sent) = Probes::new(&topic, begun, self.start, self.total());
        let probes = std::thread::spawn(move || probes.send());
        let reader = Reader::new(redis.connect(), PARTITIONS);
        let ages = std::thread::spawn(move || reader.read(&sent, begun + WARM_UP));
        std::thread::sleep(WARM_UP);
        let pids = [cluster.executors[0].pid(), redis.pid()];
        let before = pids.map(cpu);
        let mut lag = 0;
        while begun.elapsed() < self.total() {
            std::thread::sleep(Duration::from_millis(500));
            lag = lag.max(
                cluster
                    .try_status(&job)
                    .map_or(0, |status| status.lag_records.unwrap_or_default()),
            );
        }
        let lasted = begun.elapsed() - WARM_UP;
        let [executor, of_redis] = pids.map(cpu);
        let written = crowd.join().unwrap() + probes.join().unwrap();
        let ages = ages.join().unwrap();
        let slowest = ages.last().map_or(Duration::ZERO, |(_, at)| *at);
        let ages: Vec<_> = ages.into_iter().map(|(age, _)| age).collect();
        cluster.wait_caught_up(&job, written, LIMIT);
        let share = |now: Duration, before: Duration| {
            100.0 * (now - before).as_secs_f64() / lasted.as_secs_f64()
        };
        let age = |share| percentile(&ages, share).as_secs_f64() * 1e3;
        section.note(
            row,
            &[
                (RATE, self.rate),
                ("p50 ms", age(0.5)),
                ("p99 ms", age(0.99)),
                ("p99.9 ms", age(0.999)),
                ("max ms", age(1.0)),
                ("that was after s", slowest.as_secs_f64()),
                ("executor % of a core", share(executor, before[0])),
                ("Redis % of a core", share(of_redis, before[1])),
                ("most lag", lag as f64),
            ],
        );
        topic.delete();
    }

    /// Writes events when they are due; how many.
    fn produce(&self, begun: Instant, bootstrap: &str, topic: &str) -> u64 {
        let events = (self.rate * self.total().as_secs_f64()) as u64;
        let mut crawl = Crawl::new(Options {
            kols: self.kols,
            events,
            end: Millis(self.start.0 + Millis::from(self.total()).0),
            span: self.total().into(),
            seed: 42,
        });
        let mut writer = TopicWriter::new(bootstrap, topic).unwrap();
        let mut value = Vec::new();
        let mut written = 0;
        while written < events {
            let due = (begun.elapsed().as_secs_f64() * self.rate) as u64;
            while written < due.min(events) {
                let kol = crawl.next_into(&mut value);
                writer
                    .write(Some(Crawl::username(kol).as_bytes()), &value)
                    .unwrap();
                written += 1;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        writer.finish().unwrap();
        written
    }
}
