//! `make hosts-check`: three network namespaces as hosts, on each a member of etcd, a master and an executor, with TLS.
//! Links are cut while events flow. In the end Redis must equal the fold of the log, key by key, every event counted
//! once, and no two masters may have led at one time.

mod fleet;
pub mod network;
mod pauses;
mod terms;
mod timeline;
mod watch;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use kol_harness::{Job, Kafka, RedisServer, Topic, compare_below, fold_of, wait_for};
use serde_json::Value;

use crate::feed::{self, Feed};
use fleet::Fleet;
use network::{HUB, Network, name};
use timeline::Timeline;
use watch::Watch;

const HOSTS: usize = 3;
const PARTITIONS: u32 = 6;
const SEED: u64 = 7;
/// Longest time in which something must be over.
const LIMIT: Duration = Duration::from_secs(90);
/// A partition that has made no progress for longer is stalled.
const STALLED: Duration = Duration::from_secs(2);
/// Partitions stay where they are when none has moved for as long.
const SETTLED: Duration = Duration::from_secs(3);
/// The longest pause of partitions of other hosts than the one that is cut off.
const PAUSE: Duration = Duration::from_secs(5);
/// How long after the leader's host was cut off another leads at the latest, and the first epoch is committed.
const NEW_LEADER: Duration = Duration::from_secs(10);
const FIRST_EPOCH: Duration = Duration::from_secs(15);

/// How long, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long a link is cut at least; in any case until others have taken over.
    pub cut: Duration,
    /// Events a second.
    pub rate: u64,
}

/// What a check needs and this machine does not have, as a sentence.
#[derive(Debug)]
pub struct Missing(pub String);

/// Three hosts, and what flows.
struct Check {
    network: Network,
    fleet: Fleet,
    watch: Watch,
    feed: Feed,
    topic: Topic,
    redis: RedisServer,
    job: Job,
    bootstrap: String,
    timeline: Timeline,
}

/// Runs the plan and prints a timeline; panics when something is not as it must be.
///
/// # Errors
/// It cannot run here.
pub fn run(plan: &Plan) -> Result<(), Missing> {
    for program in ["ip", "etcd", "etcdctl", "curl", "redis-server"] {
        let found = Command::new(program).arg("--version").output();
        found.map_err(|e| Missing(format!("the program {program} is needed: {e}")))?;
    }
    network::enter().map_err(Missing)?;
    let network = Network::create(HOSTS).map_err(Missing)?;
    let (kafka, bootstrap) =
        Kafka::own_at(HUB).ok_or_else(|| Missing("real Kafka is needed".to_owned()))?;
    let check = Check::start(network, kafka, bootstrap, plan.rate);
    let follower = check.follower();
    let first = check.cut_off(follower, "it follows", plan.cut);
    let leader = check.leader();
    let second = check.cut_off(leader, "it leads", plan.cut);
    check.verdict([first, second]);
    Ok(())
}

/// The longest pauses while a host was cut off: of its partitions, and of the others.
#[derive(Clone, Copy, Debug)]
struct Longest {
    own: Duration,
    others: Duration,
}

impl Check {
    fn start(network: Network, kafka: &'static Kafka, bootstrap: String, rate: u64) -> Self {
        let topic = Topic::create(kafka, "hosts", PARTITIONS);
        let reachable = ["--bind", "127.0.0.1", HUB, "--protected-mode", "no"];
        let redis = RedisServer::start_with(&reachable);
        let fleet = Fleet::start(HOSTS);
        let watch = Watch::start(fleet.pages());
        let feed = Feed::start(&topic, rate, SEED);
        let job = feed::job();
        let check = Self {
            network,
            fleet,
            watch,
            feed,
            topic,
            redis,
            job,
            bootstrap,
            timeline: Timeline::start(),
        };
        check.submit();
        check.wait_well();
        check.note("all hosts are up, and events flow");
        check
    }

    fn spec(&self) -> String {
        let redis = format!("redis://{HUB}:{}/0", self.redis.port());
        self.job.toml(&self.bootstrap, &[&self.topic.name], &redis)
    }

    fn submit(&self) {
        std::fs::write(self.fleet.folder().join("job.toml"), self.spec()).expect("a file");
        wait_for("the job to be accepted", LIMIT, || {
            let answer = self.fleet.client(&["submit", "job.toml"]);
            let accepted = answer.code == Some(0);
            accepted.then_some(()).ok_or(answer.err)
        });
    }

    /// Cuts a host off until others have taken over, and long enough, and heals its link.
    fn cut_off(&self, host: usize, role: &str, least: Duration) -> Longest {
        let (leads, before) = (self.leads(host), self.status().expect("a status"));
        let owners = self.watch.pauses().begin(Instant::now());
        let begun = Instant::now();
        self.network.cut(host).expect("the link is cut");
        self.note(&format!("the link of {} is cut ({role})", name(host)));
        if leads {
            let limit = NEW_LEADER.saturating_sub(begun.elapsed());
            wait_for("a new leader", limit, || self.another_leads(host));
            self.note("another master leads");
        }
        wait_for("others to take over", LIMIT, || self.is_without(host));
        self.note("its partitions run elsewhere");
        let committed = before["checkpoint"]["epoch"].as_u64();
        let limit = if leads {
            FIRST_EPOCH.saturating_sub(begun.elapsed())
        } else {
            LIMIT
        };
        wait_for("an epoch", limit, || {
            let epoch = self.status()?["checkpoint"]["epoch"].as_u64();
            (epoch > committed)
                .then_some(())
                .ok_or_else(|| format!("{epoch:?} after {committed:?}"))
        });
        self.note("an epoch is committed");
        self.refuses_to_act(host);
        std::thread::sleep(least.saturating_sub(begun.elapsed()));
        self.assert_one_led();
        let longest = self.longest(host, &owners);
        assert!(
            longest.others < PAUSE,
            "a partition that was not on {} paused for {:?}",
            name(host),
            longest.others
        );
        self.network.heal(host).expect("the link is healed");
        self.note(&format!("the link of {} is healed", name(host)));
        self.wait_well();
        self.note("all executors are there, and all is well");
        longest
    }

    /// A master that is cut off does nothing for whoever reaches it.
    fn refuses_to_act(&self, host: usize) {
        let (done, said) = self.fleet.client_on(host, &["executors"]);
        assert!(!done && said.contains("MASTER_FOLLOWS"), "{said}");
    }

    fn assert_one_led(&self) {
        let splits = terms::splits(&self.fleet.terms());
        assert!(splits.is_empty(), "split brain: {splits:#?}");
    }

    fn leader(&self) -> usize {
        wait_for("a leader", NEW_LEADER, || {
            let terms = self.fleet.terms();
            let leader = terms::leader(&terms).map(|term| term.host);
            leader.ok_or_else(|| format!("{terms:?}"))
        })
    }

    fn leads(&self, host: usize) -> bool {
        terms::leader(&self.fleet.terms()).is_some_and(|term| term.host == host)
    }

    /// The first master that does not lead.
    fn follower(&self) -> usize {
        let leader = self.leader();
        (0..HOSTS).find(|host| *host != leader).expect("a follower")
    }

    fn another_leads(&self, host: usize) -> Result<(), String> {
        let terms = self.fleet.terms();
        let another = terms::leader(&terms).is_some_and(|term| term.host != host);
        another.then_some(()).ok_or_else(|| format!("{terms:?}"))
    }

    fn status(&self) -> Result<Value, String> {
        let answer = self.fleet.client(&["status", &self.job.name, "-o", "json"]);
        serde_json::from_str(&answer.out).map_err(|_| answer.err)
    }

    /// Whether all partitions run on other hosts, and make progress.
    fn is_without(&self, host: usize) -> Result<(), String> {
        let pauses = self.watch.pauses();
        let (owners, stalled) = (pauses.owners(), pauses.stalled(Instant::now(), STALLED));
        let moved = owners.values().all(|owner| *owner != host);
        (moved && stalled.is_empty())
            .then_some(())
            .ok_or_else(|| format!("{owners:?}, stalled {stalled:?}"))
    }

    /// Waits until all executors are known and have partitions that stay there, and the job runs without a problem and in
    /// all of them.
    fn wait_well(&self) {
        let mut placement = (BTreeMap::new(), Instant::now());
        wait_for("all to be well", LIMIT, || {
            let answer = self.fleet.client(&["executors", "-o", "json"]);
            let executors: Value = serde_json::from_str(&answer.out).map_err(|_| answer.err)?;
            let all = executors.as_array().into_iter().flatten();
            let alive = all.filter(|executor| executor["state"] == "alive").count();
            let status = self.status()?;
            let pauses = self.watch.pauses();
            let owners = pauses.owners();
            if owners != placement.0 {
                placement = (owners.clone(), Instant::now());
            }
            let used = (0..HOSTS).all(|host| owners.values().any(|owner| *owner == host));
            let settled =
                used && owners.len() == PARTITIONS as usize && placement.1.elapsed() > SETTLED;
            let stalled = pauses.stalled(Instant::now(), STALLED);
            let problems = status["problems"].as_array().map_or(0, Vec::len);
            let runs = status["state"] == "running" && problems == 0;
            (alive == HOSTS && runs && settled && stalled.is_empty())
                .then_some(())
                .ok_or_else(|| {
                    format!("{alive} executors, {owners:?}, stalled {stalled:?}, {status}")
                })
        });
    }

    fn longest(&self, host: usize, owners: &BTreeMap<u64, usize>) -> Longest {
        let (pauses, now) = (self.watch.pauses(), Instant::now());
        let is_own = |partition: u64| owners.get(&partition) == Some(&host);
        Longest {
            own: pauses.longest(now, is_own),
            others: pauses.longest(now, |partition| !is_own(partition)),
        }
    }

    fn note(&self, what: &str) {
        let terms = self.fleet.terms();
        let (pauses, now) = (self.watch.pauses(), Instant::now());
        let leader = terms::leader(&terms);
        let longest = pauses.longest(now, |_| true);
        self.timeline.row(what, leader, &pauses.owners(), longest);
    }

    fn verdict(mut self, cuts: [Longest; 2]) {
        let events = self.feed.stop();
        let log = self.topic.read();
        assert_eq!(log.len() as u64, events);
        let status = wait_for("the job to catch up", LIMIT, || {
            let status = self.status()?;
            let read = status["events_total"].as_u64() >= Some(events);
            (status["caught_up"] == true && read)
                .then_some(status.clone())
                .ok_or_else(|| status.to_string())
        });
        assert_eq!(status["events_total"], events, "lost or doubled");
        self.note("caught up");
        let spec = kol_common::job::parse(&self.spec(), "spec").expect("a spec");
        let view = fold_of(&spec.spec.scoring, &log);
        let differences = compare_below(&mut self.redis.connect(), "", &view);
        assert!(differences.is_empty(), "{differences:#?}");
        self.assert_one_led();
        let terms = self.fleet.terms();
        let complaints = self.fleet.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
        timeline::print_terms(&terms);
        let longest = |of: fn(&Longest) -> Duration| cuts.iter().map(of).max();
        println!(
            "{events} events, each counted once; Redis equals the fold of {} creators. {} terms, no two at one time. \
             Longest pause (seen every {:?}): {:.1?} of partitions whose host was cut off, {:.1?} of the others.",
            view.kols.len(),
            terms.len(),
            watch::LOOK_EVERY,
            longest(|l| l.own).unwrap_or_default(),
            longest(|l| l.others).unwrap_or_default(),
        );
    }
}
