//! A steady load for minutes: does the executor keep up, and does its memory stay flat.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kol_client::generate::Generator;
use kol_client::producer::TopicWriter;
use kol_common::Millis;

use super::figures::{Report, Section};
use super::{Plan, cpu, history, percentile};
use kol_harness::{Cluster, Job, Kafka, RedisServer, Topic};

const EVERY: Duration = Duration::from_secs(10);

/// Prints a line every ten seconds, and shows the figures.
pub fn steady(plan: &Plan, report: &mut Report) {
    let topic = Topic::create(Kafka::shared(), "bench-steady", 4);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = cluster.submit(&Job::replay(""), &topic, &redis);
    let about = format!(
        "{} events/s of {} creators for {:?}, 1 executor; figures of epochs are those of each of their partitions",
        plan.rate, plan.kols, plan.steady
    );
    println!("steady: {about}");
    let (bootstrap, name) = (topic.kafka().bootstrap().to_owned(), topic.name.clone());
    let plan_there = plan.clone();
    let producer = std::thread::spawn(move || produce(&bootstrap, &name, &plan_there));
    let pid = cluster.executors[0].pid();
    let (begun, before) = (Instant::now(), cpu(pid));
    let (mut after_minute, mut worst_lag) = (None, 0);
    let mut epochs = Epochs::default();
    while begun.elapsed() < plan.steady {
        std::thread::sleep(EVERY.min(plan.steady - begun.elapsed().min(plan.steady)));
        let status = cluster.try_status(&job).unwrap();
        let rss = cluster.executors[0].rss() >> 20;
        epochs.sample(&cluster, &job);
        if begun.elapsed() > Duration::from_secs(60) {
            after_minute.get_or_insert(rss);
            worst_lag = worst_lag.max(status.lag_records.unwrap_or_default());
        }
        println!(
            "  {:>4} s  {:>10} events  lag {:>8}  {:>5} MiB  {:>4.0} % of a core",
            begun.elapsed().as_secs(),
            status.totals.unwrap_or_default().events,
            status.lag_records.unwrap_or_default(),
            rss,
            100.0 * (cpu(pid) - before).as_secs_f64() / begun.elapsed().as_secs_f64()
        );
    }
    let written = producer.join().unwrap();
    cluster.wait_caught_up(&job, written, Duration::from_secs(60));
    let status = cluster.try_status(&job).unwrap();
    let events = written.max(1) as f64;
    let merges = status.totals.unwrap_or_default().merges as f64;
    let mut section = Section::new("steady", about);
    section.note(
        "executor",
        &[
            (
                "ns an event, merges included",
                (cpu(pid) - before).as_secs_f64() * 1e9 / events,
            ),
            ("merges an event", merges / events),
            (
                "MiB after a minute",
                after_minute.unwrap_or_default() as f64,
            ),
            ("MiB at the end", (cluster.executors[0].rss() >> 20) as f64),
            ("most lag after a minute", worst_lag as f64),
        ],
    );
    epochs.note(plan.rate, &mut section);
    report.add(section);
}

/// What epochs took, by their numbers; of each partition: until its file was durable, until Redis had
/// confirmed what came before the barrier, and the longest pause of reading.
#[derive(Default)]
struct Epochs {
    took: BTreeMap<u64, Vec<[Duration; 3]>>,
    /// What each wrote, and when it began, ms.
    written: BTreeMap<u64, (u64, u64)>,
}

impl Epochs {
    /// Notes those that are kept now.
    fn sample(&mut self, cluster: &Cluster, job: &str) {
        let answer = cluster.client(&["checkpoints", job, "-o", "json"]).json();
        for epoch in answer["checkpoints"].as_array().into_iter().flatten() {
            let parts = epoch["partitions"].as_array().into_iter().flatten();
            let took = parts.map(|part| {
                let us = |key: &str, unit: u64| {
                    Duration::from_micros(unit * part[key].as_u64().unwrap_or_default())
                };
                [
                    us("durable_ms", 1_000),
                    us("confirmed_ms", 1_000),
                    us("pause_us", 1),
                ]
            });
            let number = epoch["epoch"].as_u64().unwrap_or_default();
            self.took.insert(number, took.collect());
            let parts = epoch["partitions"].as_array().into_iter().flatten();
            let written = parts.filter_map(|part| part["written_bytes"].as_u64());
            let begun = epoch["begun_ms"].as_u64().unwrap_or_default();
            self.written.insert(number, (written.sum(), begun));
        }
    }

    fn note(&self, rate: u64, section: &mut Section) {
        // Of epochs that follow each other, what the later one wrote of the events between them.
        let pairs = self.written.iter().zip(self.written.iter().skip(1));
        let follow = pairs.filter(|((one, _), (next, _))| *one + 1 == **next);
        let (bytes, ms) = follow.fold((0, 0), |(bytes, ms), ((_, one), (_, next))| {
            (bytes + next.0, ms + next.1.saturating_sub(one.1))
        });
        section.note(
            "an epoch",
            &[(
                "bytes an event",
                bytes as f64 * 1e3 / (ms.max(1) * rate) as f64,
            )],
        );
        let names = [
            "state file durable",
            "confirmed by Redis",
            "pause of reading",
        ];
        for (place, name) in names.into_iter().enumerate() {
            let of_epochs = self.took.values().flatten().map(|took| took[place]);
            let mut all: Vec<_> = of_epochs.collect();
            all.sort();
            let ms = |share| percentile(&all, share).as_secs_f64() * 1e3;
            let figures = [("p50 ms", 0.5), ("p99 ms", 0.99), ("max ms", 1.0)];
            section.note(name, &figures.map(|(figure, share)| (figure, ms(share))));
        }
    }
}

/// Produces at the rate of the plan, for as long as its steady run is; answers how many.
pub(super) fn produce(bootstrap: &str, topic: &str, plan: &Plan) -> u64 {
    let mut options = history(plan.kols, 1);
    options.start = Millis::now();
    options.step_us = (1_000_000 / plan.rate).max(1);
    let mut generator = Generator::new(options);
    let mut writer = TopicWriter::new(bootstrap, topic).unwrap();
    let mut value = Vec::new();
    let begun = Instant::now();
    let mut written = 0;
    while begun.elapsed() < plan.steady {
        let due = (begun.elapsed().as_secs_f64() * plan.rate as f64) as u64;
        while written < due {
            let meta = generator.next_into(&mut value);
            let key = Generator::username(meta.kol);
            writer.write(Some(key.as_bytes()), &value).unwrap();
            written += 1;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    writer.finish().unwrap().0
}
