//! `make chaos`: real processes and servers, a steady stream of events, and one fault after the other,
//! chosen from a seed. In the end Redis must equal the fold of the log, key by key.

mod fault;
mod reader;
mod watch;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::feed::{self, Feed};
use fault::{ALL, Fault, Victim};
use kol_harness::{
    Clock, Cluster, IN_OWN_NAMESPACE, Job, Kafka, Proxy, RedisServer, Topic, may_mount,
};
use reader::Reader;
use watch::Watch;

/// How much, and from which seed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Faults to provoke.
    pub rounds: u64,
    /// The same seed gives the same faults.
    pub seed: u64,
    /// Events a second.
    pub rate: u64,
    /// Only kinds of faults whose name contains this.
    pub only: String,
}

/// Kinds of faults.
pub const KINDS: u64 = ALL.len() as u64;
/// After a fault that takes rankings back, Redis shows nothing older any more by then.
const SETTLED: Duration = Duration::from_secs(3);

/// Partitions, executors, and the longest time in which a fault must be over.
const PARTITIONS: u32 = 8;
const EXECUTORS: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);

/// The real servers and processes of one run.
pub struct Scene {
    kafka: &'static Kafka,
    cluster: Cluster,
    /// The master's wall clock.
    clock: Clock,
    redis: RedisServer,
    /// Takes the place of Redis in a failover.
    replica: RedisServer,
    topic: Topic,
    feed: Feed,
    reader: Reader,
    job: String,
    /// Whether executors have mount namespaces of their own.
    mounts: bool,
    /// The links from executors.
    to_redis: Proxy,
    to_master: Proxy,
}

/// What one fault led to.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// What was done.
    fault: Fault,
    /// Until every partition had resumed, the ranking was whole and the job well again.
    recovery: Duration,
    /// Longest stall of a partition that the fault did not concern, as it reports it.
    stall: Option<Duration>,
}

/// Runs the plan and prints what happened; panics when Redis is not what it should be.
pub fn run(plan: &Plan) {
    let Some(kafka) = Kafka::own() else {
        eprintln!("NOT TESTED: faults need real Kafka");
        return;
    };
    let mut scene = Scene::start(kafka, plan);
    let mut chance = StdRng::seed_from_u64(plan.seed);
    Watch::new(&scene).recovered(&scene, LIMIT);
    let mut rounds = Vec::new();
    let kinds = scene.kinds(&plan.only);
    for number in 0..plan.rounds {
        // Every kind once, in random order, then again.
        let turn = shuffled(&kinds, plan.seed, number / kinds.len() as u64);
        let fault = turn[number as usize % kinds.len()];
        std::thread::sleep(Duration::from_millis(chance.random_range(500..2_500)));
        let round = scene.suffer(fault, &mut chance);
        println!("{:>4} {}", number + 1, round.line());
        rounds.push(round);
    }
    let events = scene.feed.stop();
    scene
        .cluster
        .assert_equals_fold(&scene.job, &scene.topic, &scene.redis, LIMIT);
    scene.cluster.assert_no_complaints();
    let seen = scene.reader.stop();
    assert!(
        seen.regressions.is_empty(),
        "a reader saw rankings go back: {:#?}",
        seen.regressions
    );
    assert!(seen.looks > 1_000, "the reader looked {} times", seen.looks);
    summary(plan, events, seen.looks, &rounds);
}

fn shuffled(kinds: &[Fault], seed: u64, turn: u64) -> Vec<Fault> {
    let mut all = kinds.to_vec();
    all.shuffle(&mut StdRng::seed_from_u64(seed ^ (turn + 1) << 32));
    all
}

fn summary(plan: &Plan, events: u64, looks: u64, rounds: &[Round]) {
    let mut recoveries: Vec<Duration> = rounds.iter().map(|r| r.recovery).collect();
    recoveries.sort();
    let worst = recoveries.last().copied().unwrap_or_default();
    let stall = rounds.iter().filter_map(|r| r.stall).max();
    println!(
        "{events} events in at {}/s, {} faults (seed {}), as many recoveries: worst {worst:.1?}, worst \
         stall of partitions not concerned {:.1?}. A reader looked {looks} times at creators and \
         saw nobody go back. Redis equals the fold.",
        plan.rate,
        rounds.len(),
        plan.seed,
        stall.unwrap_or_default(),
    );
    for fault in ALL {
        let mut of: Vec<_> = rounds.iter().filter(|r| r.fault == fault).collect();
        of.sort_by_key(|r| r.recovery);
        if let (Some(first), Some(last)) = (of.first(), of.last()) {
            println!(
                "  {:<44} {:>4} times, recovered in {:.1?} to {:.1?}",
                fault.to_string(),
                of.len(),
                first.recovery,
                last.recovery
            );
        }
    }
}

impl Round {
    fn line(&self) -> String {
        let stall = self.stall.map(|s| format!(", others stalled for {s:.1?}"));
        let fault = self.fault.to_string();
        format!(
            "{fault:<44} recovered in {:.1?}{}",
            self.recovery,
            stall.unwrap_or_default()
        )
    }
}

impl Scene {
    fn start(kafka: &'static Kafka, plan: &Plan) -> Self {
        let topic = Topic::create(kafka, "chaos", PARTITIONS);
        let (redis, replica) = (RedisServer::start(), RedisServer::start());
        let clock = Clock::new();
        let mut cluster = Cluster::start_on(&clock);
        let to_master = Proxy::to(cluster.grpc());
        cluster.executors_connect_to(to_master.address());
        for (code, reason) in fault::EXPLAINED {
            cluster.allow(code, reason);
        }
        let to_redis = Proxy::to(&redis.address());
        let job = Job {
            // Epochs come each second: some are kept from before the records that Kafka loses.
            sink: "[checkpoint]\nretain = 100".to_owned(),
            ..feed::job()
        };
        let url = format!("redis://{}/0", to_redis.address());
        let job = cluster.submit_to(&job, &topic, &url);
        let mut scene = Self {
            kafka,
            cluster,
            clock,
            feed: Feed::start(&topic, plan.rate, plan.seed),
            reader: Reader::start(redis.url()),
            redis,
            replica,
            topic,
            job,
            mounts: may_mount("a checkpoint folder that is not mounted for an executor"),
            to_redis,
            to_master,
        };
        for _ in 0..EXECUTORS {
            scene.add_executor();
        }
        scene
    }

    fn add_executor(&mut self) {
        let apart: &[&str] = if self.mounts { &IN_OWN_NAMESPACE } else { &[] };
        self.cluster.add_executor_by(apart);
    }

    /// The kinds of faults that can be provoked here, of those whose name contains a text.
    fn kinds(&self, only: &str) -> Vec<Fault> {
        let mut kinds = ALL.to_vec();
        kinds.retain(|fault| fault.to_string().contains(only));
        let mounts = |fault: &Fault| matches!(fault, Fault::UnmountRoot | Fault::CopyRoot);
        kinds.retain(|fault| self.mounts || !mounts(fault));
        assert!(!kinds.is_empty(), "no fault is called `{only}`");
        kinds
    }

    /// Records that were read and that Kafka lost, as `status` counts them.
    fn truncated(&self) -> u64 {
        let status = self.cluster.try_status(&self.job).expect("a status");
        status.totals.map_or(0, |totals| totals.truncated)
    }

    /// Provokes a fault and waits until it is over.
    fn suffer(&mut self, fault: Fault, chance: &mut StdRng) -> Round {
        let mut watch = Watch::new(self);
        let truncated = self.truncated();
        if fault.takes_back() {
            self.reader.look_away();
        }
        if fault == Fault::LoseTail {
            watch.records_are_lost();
        }
        let victim = fault.provoke(self, chance);
        let one = match victim {
            Victim::Executor(place) => Some(self.cluster.executors[place].name().to_owned()),
            Victim::All => None,
        };
        if let Some(host) = &one {
            watch.concerned(host);
        }
        watch.look_for(self, fault.lasts());
        fault.mend(self, victim);
        let recovery = watch.recovered(self, LIMIT);
        if fault == Fault::LoseTail {
            assert!(self.truncated() > truncated, "nobody noticed the lost tail");
        }
        if fault.takes_back() {
            std::thread::sleep(SETTLED);
            self.reader.look_at(self.redis.url());
        }
        Round {
            fault,
            recovery,
            stall: one.map(|_| watch.stall()),
        }
    }
}
