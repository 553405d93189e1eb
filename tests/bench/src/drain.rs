//! Draining a backlog: events a second, and for each processor second of the executor, beside loops over the same client
//! that do less, in the same rounds.

use std::time::{Duration, Instant};

use kol_common::proto::JobStatus;
use kol_harness::{Cluster, Job, RedisServer};

use super::bare::Bare;
use super::figures::{Report, Section};
use super::input::{Filled, Input};
use super::{Plan, cpu};

/// Longest time for one topic.
pub(super) const LIMIT: Duration = Duration::from_secs(900);

const PARTITIONS: u32 = 4;
/// Until the master has what partitions say of themselves.
const REPORTED: Duration = Duration::from_secs(2);
/// Names of figures that other figures are computed from.
pub(super) const RATE: &str = "events/s";
pub(super) const OF_CPU: &str = "events/CPU-s";
pub(super) const EACH: &str = "ns an event";
/// The row of the job as most people run it.
pub(super) const OURS: &str = "executor, cumulative";

/// The same with counters of new engagement, and what its scoring says.
pub(super) const DELTA: (&str, &str) = ("executor, delta", "counters = \"delta\"");
const JOBS: [(&str, &str); 2] = [(OURS, ""), DELTA];

/// Shows the figures; the highest rate of events of crawls that one executor took in, by the median.
pub fn drain(plan: &Plan, report: &mut Report) -> f64 {
    let inputs = [
        ("drain", Input::Crawls),
        ("drain, generated", Input::Generated),
    ];
    let rates = inputs.map(|(name, input)| {
        let filled = Filled::with(input, PARTITIONS, plan.events, plan.kols);
        let about = format!(
            "{} events of {} creators as of {}, {} bytes with the key, {PARTITIONS} partitions, {} rounds",
            plan.events,
            plan.kols,
            input.name(),
            filled.each(),
            plan.rounds
        );
        let mut section = Section::new(name, about);
        for _ in 0..plan.rounds {
            round(&filled, &mut section);
        }
        let rate = section.of(OURS, RATE).map_or(0.0, |series| series.median());
        report.add(section);
        rate
    });
    rates[0]
}

/// Bare loops and jobs, each once over the same topic.
fn round(filled: &Filled, section: &mut Section) {
    let of_cpu = [Bare::Consume, Bare::Parse].map(|bare| {
        let (wall, cpu) = bare.run(filled);
        section.note(bare.name(), &speed(filled.events, wall, cpu));
        filled.events as f64 / cpu.as_secs_f64()
    });
    for (name, scoring) in JOBS {
        let cluster = Cluster::start(1);
        let drained = Drained::of(&cluster, filled, scoring);
        drained.note(name, of_cpu, section);
    }
}

/// The figures of something that has taken in so many events.
pub(super) fn speed(events: u64, wall: Duration, cpu: Duration) -> [(&'static str, f64); 3] {
    let events = events as f64;
    [
        (RATE, events / wall.as_secs_f64()),
        (OF_CPU, events / cpu.as_secs_f64()),
        (EACH, cpu.as_secs_f64() * 1e9 / events),
    ]
}

/// A topic that was drained.
pub(super) struct Drained {
    events: u64,
    wall: Duration,
    /// Of the executors.
    cpu: Duration,
    /// Processor time of Redis.
    redis: Duration,
    status: JobStatus,
    resident: u64,
}

impl Drained {
    /// Drains a topic with a new job, into a new Redis, until Redis has confirmed everything.
    pub(super) fn of(cluster: &Cluster, filled: &Filled, scoring: &str) -> Self {
        let redis = RedisServer::start();
        let used = || {
            cluster
                .executors
                .iter()
                .map(|e| cpu(e.pid()))
                .sum::<Duration>()
        };
        let (before, begun) = (used(), Instant::now());
        let job = cluster.submit(&Job::replay(scoring), &filled.topic, &redis);
        cluster.wait_caught_up(&job, filled.events, LIMIT);
        let (wall, cpu, of_redis) = (begun.elapsed(), used() - before, cpu(redis.pid()));
        // What partitions count is in their next reports.
        std::thread::sleep(REPORTED);
        Self {
            events: filled.events,
            wall,
            cpu,
            redis: of_redis,
            status: cluster.try_status(&job).unwrap(),
            resident: cluster.executors.iter().map(|e| e.rss()).sum(),
        }
    }

    /// How fast it was.
    pub(super) fn speed(&self) -> [(&'static str, f64); 3] {
        speed(self.events, self.wall, self.cpu)
    }

    /// Adds its figures to a row, with ratios to the bare loops of the same round, by events for a processor second.
    pub(super) fn note(&self, row: &str, [consume, parse]: [f64; 2], section: &mut Section) {
        let speed = self.speed();
        let merges = self
            .status
            .totals
            .as_ref()
            .map_or(0, |totals| totals.merges);
        let kols = self.status.kols.max(1) as f64;
        section.note(row, &speed);
        section.note(
            row,
            &[
                ("× consume", speed[1].1 / consume),
                ("× parse", speed[1].1 / parse),
                ("Redis s", self.redis.as_secs_f64()),
                ("merges a creator", merges as f64 / kols),
                (
                    "state bytes a creator",
                    self.status.state_bytes as f64 / kols,
                ),
                ("resident MiB", (self.resident >> 20) as f64),
            ],
        );
    }
}
