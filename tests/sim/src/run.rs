//! One simulation from its seed to its verdict.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use kol_common::{Millis, world};
use kol_master::meta::EmbeddedStore;
use turmoil::Sim;

use super::complaints::Complaints;
use super::covered::Covered;
use super::etcd::Etcd;
use super::guard::Guard;
use super::input::{Feed, PARTITIONS};
use super::log::MemoryLog;
use super::masters::Masters;
use super::nodes::Shared;
use super::redis::Redis;
use super::reign::Reign;
use super::schedule::{Deed, EXECUTORS, HEALED, LAST, schedule};
use super::stage::{guard, network, spec};
use super::store::Folders;
use super::trace::Trace;
use super::verdict::{self, Verdict};
use super::world::Virtual;

/// When every simulation begins: a minute after a full hour of 2025.
pub const START: Millis = Millis(1_760_000_460_000);
/// What the fold takes for the present: no host's clock is newer, and what is ahead is far ahead of it.
pub const PRESENT: Millis = Millis(START.0 + 86_400_000);
/// Virtual time that all hosts take at once; messages take a multiple of it.
pub const TICK: Millis = Millis(5);
/// After the last deed: by then everything that is amiss has been noticed; and the longest time until
/// everything must be well.
const NOTICED: Millis = Millis(4_000);
const LIMIT: Millis = Millis(90_000);
/// The clock of etcd is by some of these thousandths faster than others: less than the masters' margin.
const DRIFT: u32 = 40;
const DRIFTS: u64 = 3;
/// How often the verdict is looked for.
const LOOK_EVERY: Millis = Millis(250);

/// How a simulation ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// All that was wrong; empty when the law holds.
    pub problems: Vec<String>,
    /// A number for all that happened, and how many messages that were.
    pub sum: (u64, u64),
    /// What was done, and when.
    pub deeds: Vec<(Millis, Deed)>,
    /// Virtual time from the last fault until all was well.
    pub recovered: Millis,
    /// The newest term of a master; 0 with one master.
    pub terms: u64,
    /// Everything that happened, if that was requested.
    pub lines: Vec<String>,
}

impl Outcome {
    /// Where another run of the same seed went another way, if both recorded all that happened.
    pub fn parts_from(&self, other: &Self) -> Option<String> {
        let both = self.lines.iter().zip(&other.lines);
        let first = both.enumerate().find(|(_, (a, b))| a != b);
        let shown = first.map(|(at, (a, b))| format!("line {at}: `{a}`, and then `{b}`"));
        let lengths = format!("{} lines, and then {}", self.lines.len(), other.lines.len());
        shown.or_else(|| (self.sum != other.sum).then_some(lengths))
    }
}

/// Runs the simulation of this seed; with `lines` it tells all that happened.
pub fn run(masters: Masters, seed: u64, lines: bool) -> Outcome {
    let (complaints, _until_the_end) = Complaints::listen();
    let deeds = schedule(seed, masters);
    let mut scene = Scene::new(masters, seed, lines, &deeds);
    let verdict = scene.play(&deeds).and_then(|recovered| {
        scene.examine()?;
        Ok(recovered)
    });
    let (mut problems, recovered) = match verdict {
        Ok(recovered) => (Vec::new(), recovered),
        Err(problems) => (problems, LIMIT),
    };
    problems.extend(scene.shared.redis.seen_going_back());
    problems.extend(scene.shared.redis.of_others());
    problems.extend(scene.covered.problems().to_vec());
    problems.extend(scene.reign.problems().to_vec());
    problems.extend(scene.shared.drains.borrow().problems().to_vec());
    problems.extend(complaints.take(scene.shared.torn.get()));
    Outcome {
        problems,
        sum: scene.trace.sum(),
        deeds,
        recovered,
        terms: scene.reign.newest_term(),
        lines: scene.trace.lines(),
    }
}

/// Everything of one simulation.
pub struct Scene {
    pub sim: Sim<'static>,
    pub world: Rc<Virtual>,
    pub shared: Rc<Shared>,
    pub folders: Folders,
    pub trace: Arc<Trace>,
    pub feed: Feed,
    pub covered: Covered,
    pub reign: Reign,
    /// Masters whose wall clocks are wrong, and since when there is none.
    pub wrong: BTreeSet<&'static str>,
    pub right_since: Millis,
    pub guard: Guard,
}

impl Scene {
    fn new(masters: Masters, seed: u64, lines: bool, deeds: &[(Millis, Deed)]) -> Self {
        let folders = Folders::default();
        let world = Virtual::new(seed, START);
        world::enter(Rc::clone(&world) as Rc<dyn world::World>);
        let trace = Arc::new(Trace::new(lines));
        let feed = Feed::new(seed, START);
        let shared = Rc::new(Shared {
            trace: Arc::clone(&trace),
            world: Rc::clone(&world),
            log: MemoryLog::new("events", PARTITIONS),
            redis: Redis::new().expect("Lua"),
            folders: hosts(masters)
                .map(|host| (host, folders.of_another_host()))
                .collect(),
            masters,
            meta: EmbeddedStore::in_memory().expect("memory"),
            etcd: Etcd::default(),
            pasts: masters
                .hosts()
                .iter()
                .map(|host| (*host, Arc::default()))
                .collect(),
            drift: (seed % DRIFTS) as u32 * DRIFT,
            roles: RefCell::default(),
            leave: RefCell::default(),
            dying: RefCell::default(),
            status: RefCell::new(None),
            errands: RefCell::default(),
            refusal: RefCell::default(),
            drains: RefCell::default(),
            torn: Cell::default(),
            gaps: Cell::default(),
            spec: spec(seed, &feed, deeds),
        });
        Self {
            sim: network(seed, &shared),
            guard: guard(seed, &trace),
            world,
            shared,
            folders,
            trace,
            covered: Covered::new(feed.has_letters()),
            feed,
            reign: Reign::default(),
            wrong: BTreeSet::new(),
            right_since: Millis(0),
        }
    }

    /// Since the beginning.
    pub fn now(&self) -> Millis {
        Millis::from(self.sim.elapsed())
    }

    /// All hosts run for one tick.
    pub fn step(&mut self) -> Result<(), Vec<String>> {
        self.sim
            .step()
            .map_err(|e| vec![format!("a host ended: {e}")])?;
        self.guard.step();
        let now = Millis(START.0 + self.now().0);
        self.world.set_now(now);
        self.shared.log.letters().advance(now);
        for manifest in self.folders.take_manifests() {
            // A manifest says by the master's clock when its epoch began.
            if self.clocks_are_right() {
                self.covered
                    .look(&manifest, &self.shared.log, &self.shared.redis);
            }
        }
        let roles = self.shared.roles.borrow();
        let running = roles
            .iter()
            .filter(|(host, _)| !self.world.is_stopped(host));
        let running = running.map(|(host, roles)| (*host, roles));
        self.reign
            .look(running, &self.shared.etcd, self.shared.torn.get());
        Ok(())
    }

    /// Whether the masters' wall clocks have been right for longer than an epoch takes.
    fn clocks_are_right(&self) -> bool {
        self.wrong.is_empty() && self.now().since(self.right_since) > NOTICED
    }

    /// Plays the schedule, and waits until all is well: how long that took.
    fn play(&mut self, deeds: &[(Millis, Deed)]) -> Result<Millis, Vec<String>> {
        let (faults, late) = deeds.split_at(deeds.partition_point(|(at, _)| *at < HEALED));
        self.play_until(HEALED, faults)?;
        self.heal()?;
        self.play_until(LAST, late)?;
        // A replica may have had one when it took over.
        self.clear_all()?;
        self.until_well()
    }

    fn play_until(&mut self, end: Millis, deeds: &[(Millis, Deed)]) -> Result<(), Vec<String>> {
        let mut deeds = deeds.iter().peekable();
        while self.now() < end {
            while let Some((_, deed)) = deeds.next_if(|(at, _)| *at <= self.now()) {
                self.trace.note(&format!("{deed:?}"), &[]);
                tracing::info!(?deed, "the simulation does");
                self.carry_out(*deed)?;
            }
            if self.now() < HEALED {
                let now = Millis(START.0 + self.now().0);
                self.feed.happen(now, &self.shared.log);
            }
            self.step()?;
        }
        Ok(())
    }

    /// The last epoch holds all there is: everybody dies who has it in memory, and Redis loses it.
    fn examine(&mut self) -> Result<Millis, Vec<String>> {
        for host in EXECUTORS {
            self.crash(host)?;
        }
        self.carry_out(Deed::Empty)?;
        for host in EXECUTORS {
            self.carry_out(Deed::Restart(host))?;
        }
        self.until_well()
    }

    /// Waits until the law holds: how long that took.
    fn until_well(&mut self) -> Result<Millis, Vec<String>> {
        self.shared.status.replace(None);
        let begun = self.now();
        let mut last = vec!["no answer from the master".to_owned()];
        while self.now().since(begun) < LIMIT {
            for _ in 0..LOOK_EVERY.0 / TICK.0 {
                self.step()?;
            }
            if self.now().since(begun) < NOTICED {
                continue;
            }
            match verdict::of(&self.shared) {
                Verdict::Well => return Ok(self.now().since(begun)),
                Verdict::NotYet(why) => last = vec![why],
                Verdict::Wrong(problems) => return Err(problems),
            }
        }
        last.insert(0, format!("not well within {LIMIT}"));
        Err(last)
    }
}

/// Those that run the product.
pub fn hosts(masters: Masters) -> impl Iterator<Item = &'static str> {
    EXECUTORS.into_iter().chain(masters.hosts().iter().copied())
}
