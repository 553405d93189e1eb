//! `make compose-check`: the shipped compose file, in a Docker daemon of its own, on the image of the binaries under
//! test. Events flow while executors are added and taken away, and while a master and an executor die.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a scenario fails by panicking, also in its helpers"
)]

mod composed;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kol_common::proto::JobState;
use kol_fold::Record;
use kol_harness::{Docker, Kafka, Key, Topic, generated, kafka_libs};

use composed::{Composed, JOB, PARTITIONS};
use watch::Watch;

/// Bytes that the image may have.
const MOST: u64 = 100_000_000;
/// Records of one part, and how often one is produced: 2,000 a second.
const PART: usize = 40;
const EACH: Duration = Duration::from_millis(20);
/// By then every partition has had events in every step.
const STEP: Duration = Duration::from_secs(3);

#[test]
fn the_compose_file_scales_and_loses_containers_and_ends_as_the_fold() {
    let Some(libs) = kafka_libs() else {
        eprintln!("NOT TESTED WITH DOCKER: Kafka is not installed (tests/setup.sh)");
        return;
    };
    let Some(docker) = Docker::start() else {
        return;
    };
    let begun = Instant::now();
    docker.make_images(&composed::file(), &libs);
    println!("images made in {:.1?}", begun.elapsed());
    docker.inside(|| scales_and_loses_containers(&docker));
}

fn scales_and_loses_containers(docker: &Docker) {
    let begun = Instant::now();
    let composed = Composed::up(docker);
    println!("up in {:.1?}", begun.elapsed());
    the_image_is_small_and_has_nothing_but_the_binaries(&composed);
    composed.wait("all partitions are assigned", |status| {
        let owned = status
            .partitions
            .iter()
            .filter(|p| p.report.is_some())
            .count();
        status.state() == JobState::Running && owned == PARTITIONS as usize
    });

    let topic = Topic::existing(
        Kafka::foreign("127.0.0.1:9092"),
        "kol.videos.raw",
        PARTITIONS,
    );
    let mut records = generated(Key::Username, 300, 240_000, 21);
    let live = records.split_off(20_000);
    topic.produce(&now(records));
    composed.wait("the first events are confirmed", |status| {
        status.caught_up && events(status) == 20_000
    });
    let feed = Feed::start(topic, live);
    let fences = (0..PARTITIONS).map(|p| format!("streaming:fence:{JOB}:kol.videos.raw:{p}"));
    let watch = Watch::start(composed.redis(), fences.collect());
    let mut steps = Steps {
        composed: &composed,
        watch,
        owners: composed.owners(),
        usual: Duration::ZERO,
    };

    steps.usual = steps.take("nothing is done", Duration::from_secs(30), || {});
    steps.take("scale executor=5", Duration::from_secs(5), || {
        composed.compose(&["scale", "executor=5"]);
        composed.wait_owners(5);
    });
    composed.wait_scraped(5);
    steps.take("scale executor=2", Duration::from_secs(5), || {
        composed.compose(&["scale", "executor=2"]);
        composed.wait_owners(2);
    });
    steps.take("the leading master dies", Duration::from_secs(2), || {
        let (leader, term, epoch) = composed.leader();
        docker.crash(&composed.container(&leader));
        composed.wait_leader_after(term, epoch);
    });
    steps.take("an executor dies", Duration::from_secs(30), || {
        let victim = composed.owners().into_values().next().unwrap();
        let before = composed.assignments(&victim);
        docker.crash(&victim);
        composed.wait_assigned_again(&before);
        // Docker starts it again.
        composed.wait_owners(2);
    });

    let (topic, slowest) = feed.stop();
    println!("longest pause of the events: {slowest:.2?}");
    composed.equals_the_fold(&topic);
    composed.has_no_complaints();
}

/// Steps of the check, each with what it did to partitions.
struct Steps<'c> {
    composed: &'c Composed<'c>,
    watch: Watch,
    owners: BTreeMap<u32, String>,
    /// The longest pause while nothing is done: other tests share the machine.
    usual: Duration,
}

impl Steps<'_> {
    /// Does something, looks on for a while, and prints how partitions moved; none may pause for longer than `limit` and
    /// what the machine makes of it. Answers the longest pause.
    fn take(&mut self, what: &str, limit: Duration, action: impl FnOnce()) -> Duration {
        let _of_the_step_before = self.watch.lap();
        let begun = Instant::now();
        action();
        let took = begun.elapsed();
        std::thread::sleep(STEP);
        let owners = self.composed.owners();
        let laps = self.watch.lap();
        let longest = laps.iter().map(|lap| lap.longest).max().unwrap();
        println!("{what}: {took:.1?}; longest pause of a partition {longest:.2?}");
        for (number, lap) in laps
            .iter()
            .enumerate()
            .filter(|(_, lap)| lap.assignments > 0)
        {
            let (from, to) = (&self.owners[&(number as u32)], &owners[&(number as u32)]);
            println!(
                "    partition {number}: {from} → {to}, paused {:.2?}",
                lap.longest
            );
        }
        self.owners = owners;
        let limit = limit + 3 * self.usual;
        assert!(
            longest < limit,
            "{what}: a partition paused for {longest:?}: {laps:#?}"
        );
        longest
    }
}

fn events(status: &kol_common::proto::JobStatus) -> u64 {
    status.totals.as_ref().map_or(0, |totals| totals.events)
}

/// Records with the time at which they are produced: the broker drops old ones. What counts is their event time.
fn now(mut records: Vec<Record>) -> Vec<Record> {
    for record in &mut records {
        record.timestamp_ms = Some(kol_common::Millis::now().0);
    }
    records
}

/// Events at a steady rate.
struct Feed {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Topic, Duration)>,
}

impl Feed {
    fn start(topic: Topic, records: Vec<Record>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut last, mut slowest) = (Instant::now(), Duration::ZERO);
            for part in records.chunks(PART) {
                if stopped.load(Ordering::Relaxed) {
                    return (topic, slowest);
                }
                topic.produce(&now(part.to_vec()));
                slowest = slowest.max(last.elapsed());
                last = Instant::now();
                std::thread::sleep(EACH);
            }
            panic!("the check takes longer than there are events");
        });
        Self { stop, thread }
    }

    /// Ends it; answers the longest time between two parts, too.
    fn stop(self) -> (Topic, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn the_image_is_small_and_has_nothing_but_the_binaries(composed: &Composed<'_>) {
    let docker = composed.docker();
    let image = composed.image();
    let facts = docker.run(&[
        "inspect",
        "--format",
        "{{.Size}} {{.Config.User}} {{.Config.StopSignal}} {{len .Config.Healthcheck.Test}}",
        &image,
    ]);
    let (size, rest) = facts.trim().split_once(' ').unwrap();
    println!("image {image}: {size} bytes");
    // What is shipped is optimised; a build for development is larger.
    let is_shipped = !cfg!(debug_assertions);
    assert!(
        !is_shipped || size.parse::<u64>().unwrap() < MOST,
        "{facts}"
    );
    assert_eq!(rest, "10001 SIGTERM 3");
    let version = format!("kol:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        image, version,
        "the image is called as the product's version"
    );
    let mut shell = docker.command("docker");
    let shell = shell
        .args(["run", "--rm", "--network=none", &image, "sh"])
        .output()
        .unwrap();
    assert!(!shell.status.success(), "there is a shell in it");
    let executor = composed.container("executor");
    let locked = [
        "inspect",
        "--format",
        "{{.HostConfig.ReadonlyRootfs}}",
        &executor,
    ];
    assert_eq!(docker.run(&locked).trim(), "true");
}
