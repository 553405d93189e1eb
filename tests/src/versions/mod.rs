//! `make versions-check`: processes of the previous version and of this one in one cluster, and upgrades of a cluster
//! that runs, process by process. Events flow meanwhile; in the end Redis must equal the fold of the log.

mod binaries;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kol_common::proto::JobState;
use kol_harness::{Cluster, Kafka, RedisServer, Topic, wait_for};

use crate::feed::{self, Feed};

const PARTITIONS: u32 = 4;
const RATE: u64 = 500;
const SEED: u64 = 11;
/// Longest time in which something must be over.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Previous,
    This,
}

/// What is replaced, by a process of a version.
#[derive(Clone, Copy, Debug)]
enum Step {
    Master(Version),
    /// The executor that has run for longest.
    Executor(Version),
}

/// A cluster of one master and two executors, and what is replaced in it.
struct Story {
    name: &'static str,
    master: Version,
    executors: Version,
    steps: &'static [Step],
}

use Step::{Executor, Master};
use Version::{Previous, This};

/// An executor is also replaced where versions stay as they are: its partitions are restored from state that the
/// others wrote.
const STORIES: [Story; 4] = [
    Story {
        name: "a master of the previous version and executors of this one",
        master: Previous,
        executors: This,
        steps: &[Executor(This)],
    },
    Story {
        name: "a master of this version and executors of the previous one",
        master: This,
        executors: Previous,
        steps: &[Executor(Previous)],
    },
    Story {
        name: "the executors are upgraded one by one, then the master",
        master: Previous,
        executors: Previous,
        steps: &[Executor(This), Executor(This), Master(This)],
    },
    Story {
        name: "the master is upgraded, then the executors one by one",
        master: Previous,
        executors: Previous,
        steps: &[Master(This), Executor(This), Executor(This)],
    },
];

/// Runs all stories; panics where versions do not work together.
pub fn run() {
    let previous = binaries::previous();
    for story in &STORIES {
        let begun = Instant::now();
        let mut scene = Scene::start(story, &previous);
        for step in story.steps {
            scene.replace(*step);
        }
        let events = scene.end();
        println!(
            "{}: {events} events, Redis equals the fold ({:.0?})",
            story.name,
            begun.elapsed()
        );
    }
}

/// A cluster while its story runs.
struct Scene<'a> {
    previous: &'a Path,
    cluster: Cluster,
    /// Places in the cluster of the executors that run, the oldest first.
    running: Vec<usize>,
    topic: Topic,
    redis: RedisServer,
    feed: Feed,
    job: String,
}

impl<'a> Scene<'a> {
    fn start(story: &Story, previous: &'a Path) -> Self {
        let mut cluster = Cluster::start_of(folder(story.master, previous), 0);
        for (code, reason) in [
            ("SESSION_LOST", "the master is replaced"),
            ("SESSION_ENDED", "the master is replaced"),
            ("MASTER_STALLED", "the master is replaced"),
            ("EPOCH_ABORTED", "partitions move while an epoch is open"),
        ] {
            cluster.allow(code, reason);
        }
        cluster.use_binaries(folder(story.executors, previous));
        let running = (0..2).map(|_| cluster.add_executor()).collect();
        let topic = Topic::create(Kafka::shared(), "versions", PARTITIONS);
        let redis = RedisServer::start();
        let feed = Feed::start(&topic, RATE, SEED);
        let job = feed::job();
        let job = cluster.submit(&job, &topic, &redis);
        let scene = Self {
            previous,
            cluster,
            running,
            topic,
            redis,
            feed,
            job,
        };
        scene.wait_well(0);
        scene
    }

    /// Replaces a process as an operator does: the old one gets SIGTERM and the time that it needs.
    fn replace(&mut self, step: Step) {
        let committed = self.epoch();
        match step {
            Master(version) => {
                self.cluster.use_binaries(folder(version, self.previous));
                self.cluster.master.signal("TERM");
                self.cluster.master.wait_exit(LIMIT);
                self.cluster.restart_master();
            }
            Executor(version) => {
                self.cluster.use_binaries(folder(version, self.previous));
                let oldest = self.running.remove(0);
                self.cluster.executors[oldest].signal("TERM");
                self.cluster.executors[oldest].wait_exit(LIMIT);
                self.running.push(self.cluster.add_executor());
            }
        }
        self.wait_well(committed);
    }

    fn epoch(&self) -> u64 {
        let status = self.cluster.try_status(&self.job).expect("a status");
        status.checkpoint.map_or(0, |checkpoint| checkpoint.epoch)
    }

    /// Waits until the job runs in all partitions on both executors, and has committed an epoch after this one. Then the
    /// client of the previous version reads it, too.
    fn wait_well(&self, committed: u64) {
        let begun = Instant::now();
        wait_for("the job to be well", LIMIT, || {
            let status = self.cluster.try_status(&self.job);
            let status = status.map_err(|e| e.to_string())?;
            let epoch = status.checkpoint.map_or(0, |checkpoint| checkpoint.epoch);
            let runs = status.state() == JobState::Running && status.problems.is_empty();
            (runs && status.executors == 2 && epoch > committed)
                .then_some(())
                .ok_or_else(|| format!("after {:?}: {status:?}", begun.elapsed()))
        });
        let output = Command::new(self.previous.join("kol-client"))
            .args(["status", &self.job, "-o", "json"])
            .env("KOL_MASTER", format!("http://{}", self.cluster.grpc()))
            .output()
            .expect("kol-client");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains("\"running\""), "{output:?}");
    }

    /// How many events there were.
    fn end(mut self) -> u64 {
        let events = self.feed.stop();
        self.cluster
            .assert_equals_fold(&self.job, &self.topic, &self.redis, LIMIT);
        let status = self.cluster.try_status(&self.job).expect("a status");
        let counted = status.totals.map_or(0, |totals| totals.events);
        assert_eq!(counted, events, "lost or doubled");
        self.cluster.assert_no_complaints();
        events
    }
}

/// The folder of its binaries; `None`: those under test.
fn folder(version: Version, previous: &Path) -> Option<PathBuf> {
    (version == Previous).then(|| previous.to_owned())
}
