//! One simulation from its seed to its verdict.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use kol_common::{Millis, world};
use kol_master::meta::EmbeddedStore;
use turmoil::{Builder, Sim};

use super::complaints::Complaints;
use super::covered::Covered;
use super::guard::Guard;
use super::input::{Feed, KOLS, PARTITIONS};
use super::log::MemoryLog;
use super::nodes::{self, Shared};
use super::redis::Redis;
use super::schedule::{Deed, EXECUTORS, HEALED, LAST, LINKS, MASTER, schedule};
use super::store::{Damage, Folders, Mood};
use super::trace::Trace;
use super::verdict::{self, Verdict};
use super::world::Virtual;

/// When every simulation begins: a minute after a full hour of 2025.
const START: Millis = Millis(1_760_000_460_000);
/// What the fold takes for the present: no host's clock is newer, and what is ahead is far ahead of it.
pub const PRESENT: Millis = Millis(START.0 + 86_400_000);
/// Virtual time that all hosts take at once; messages take a multiple of it.
const TICK: Millis = Millis(5);
/// Fastest and slowest message.
const LATENCY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(15));
/// After the last deed: by then everything that is amiss has been noticed; and the longest time until
/// everything must be well.
const NOTICED: Millis = Millis(4_000);
const LIMIT: Millis = Millis(90_000);
/// Exit code of a process in which a simulation hangs.
const HUNG: i32 = 70;
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
pub fn run(seed: u64, lines: bool) -> Outcome {
    let (complaints, _until_the_end) = Complaints::listen();
    let deeds = schedule(seed);
    let mut scene = Scene::new(seed, lines, &deeds);
    let verdict = scene.play(&deeds).and_then(|recovered| {
        scene.examine()?;
        Ok(recovered)
    });
    let (mut problems, recovered) = match verdict {
        Ok(recovered) => (Vec::new(), recovered),
        Err(problems) => (problems, LIMIT),
    };
    problems.extend(scene.shared.redis.seen_going_back());
    problems.extend(scene.covered.problems().to_vec());
    problems.extend(complaints.take(scene.shared.torn.get()));
    Outcome {
        problems,
        sum: scene.trace.sum(),
        deeds,
        recovered,
        lines: scene.trace.lines(),
    }
}

struct Scene {
    sim: Sim<'static>,
    world: Rc<Virtual>,
    shared: Rc<Shared>,
    folders: Folders,
    trace: Arc<Trace>,
    feed: Feed,
    covered: Covered,
    /// Since when the master's wall clock is right, if it is.
    right_since: Option<Millis>,
    guard: Guard,
}

impl Scene {
    fn new(seed: u64, lines: bool, deeds: &[(Millis, Deed)]) -> Self {
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
            folders: hosts()
                .map(|host| (host, folders.of_another_host()))
                .collect(),
            meta: EmbeddedStore::in_memory().expect("memory"),
            leave: RefCell::default(),
            dying: RefCell::default(),
            status: RefCell::new(None),
            errands: RefCell::default(),
            refusal: RefCell::default(),
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
            right_since: Some(Millis(0)),
        }
    }

    /// Since the beginning.
    fn now(&self) -> Millis {
        Millis::from(self.sim.elapsed())
    }

    /// All hosts run for one tick.
    fn step(&mut self) -> Result<(), Vec<String>> {
        self.sim
            .step()
            .map_err(|e| vec![format!("a host ended: {e}")])?;
        self.guard.step();
        let now = Millis(START.0 + self.now().0);
        self.world.set_now(now);
        self.shared.log.letters().advance(now);
        for manifest in self.folders.take_manifests() {
            // A manifest says by the master's clock when its epoch began.
            if self.master_clock_is_right() {
                self.covered
                    .look(&manifest, &self.shared.log, &self.shared.redis);
            }
        }
        Ok(())
    }

    /// Whether the master's wall clock has been right for longer than an epoch takes.
    fn master_clock_is_right(&self) -> bool {
        let right = |since: Millis| self.now().since(since) > NOTICED;
        self.right_since.is_some_and(right)
    }

    /// Plays the schedule, and waits until all is well: how long that took.
    fn play(&mut self, deeds: &[(Millis, Deed)]) -> Result<Millis, Vec<String>> {
        let (faults, late) = deeds.split_at(deeds.partition_point(|(at, _)| *at < HEALED));
        self.play_until(HEALED, faults)?;
        self.heal()?;
        self.play_until(LAST, late)?;
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

    fn carry_out(&mut self, deed: Deed) -> Result<(), Vec<String>> {
        let now = Millis(START.0 + self.now().0);
        let redis = Rc::clone(&self.shared.redis);
        let gap = matches!(deed, Deed::Lose(_) | Deed::Spoil(_));
        self.shared.gaps.set(gap || self.shared.gaps.get());
        match deed {
            Deed::Crash(host) => {
                self.crash(host)?;
                if host == "redis" {
                    redis.restarted();
                }
            }
            Deed::Restart(host) => {
                if !self.sim.is_host_running(host) {
                    self.sim.bounce(host);
                }
            }
            Deed::Leave(host) => {
                if let Some(token) = self.shared.leave.borrow().get(host) {
                    token.cancel();
                }
            }
            Deed::Hold((a, b)) => self.sim.hold(a, b),
            Deed::Release((a, b)) => self.sim.release(a, b),
            Deed::Sever((a, b)) => self.sim.partition(a, b),
            Deed::Mend((a, b)) => self.sim.repair(a, b),
            Deed::Slow((a, b), latency) => self.sim.set_link_latency(a, b, latency),
            Deed::FailOver(lost) => {
                self.crash("redis")?;
                redis.fail_over(now, lost);
                self.sim.bounce("redis");
            }
            Deed::Empty => redis.empty(now),
            Deed::Freeze(time) => redis.freeze(Millis(now.0 + time.0)),
            Deed::Repeats(on) => redis.set_repeats(on),
            Deed::Store(mood) => self.folders.set_mood(mood),
            Deed::Tear(host, how) => self.tear(host, how),
            Deed::Away(away) => self.shared.log.set_away(away),
            Deed::SetClock(host, ahead) => self.set_clock(host, ahead),
            Deed::Ahead(partition) => self.feed.happen_in_2100(partition, &self.shared.log),
            Deed::Lose(key) => redis.lose(now, key),
            Deed::Spoil(kol) => redis.spoil(kol),
            Deed::Clear(kol) => redis.clear(kol),
            Deed::Cut(partition, records, elects) => self.cut(partition, records, elects),
            Deed::Hide(host, hidden) => return self.hide(host, hidden),
            Deed::Do(errand) => self.shared.errands.borrow_mut().push_back(errand),
        }
        Ok(())
    }

    /// The log of a partition loses its newest records.
    fn cut(&mut self, partition: u32, records: usize, elects: bool) {
        self.covered.log_was_cut(partition);
        self.shared.redis.log_was_cut(partition);
        self.shared.log.lose_tail(partition, records, elects);
    }

    /// A host does not see the checkpoints from now on, or sees them again.
    fn hide(&self, host: &'static str, hidden: bool) -> Result<(), Vec<String>> {
        let written = self.shared.folders.get(host).map_or(0, |f| f.hide(hidden));
        if written > 0 {
            return Err(vec![format!(
                "{host} wrote {written} files where the checkpoints were not mounted"
            )]);
        }
        Ok(())
    }

    /// Sets the wall clock of a host so far ahead, in milliseconds.
    fn set_clock(&mut self, host: &'static str, ahead: i64) {
        self.world.set_clock(host, ahead);
        if host == MASTER {
            let now = self.now();
            self.right_since = match (ahead, self.right_since) {
                (0, since) => Some(since.unwrap_or(now)),
                _ => None,
            };
        }
    }

    /// Damages state of a partition that the host was last seen to run.
    fn tear(&self, host: &str, how: Damage) {
        let status = self.shared.status.borrow();
        let partitions = status.iter().flat_map(|s| &s.partitions);
        let mut of_host = partitions.filter(|p| p.host == host);
        let name = of_host.next().and_then(|p| p.partition.as_ref());
        let ordinal = name.map_or(0, |partition| partition.partition);
        let found = self.folders.damage(ordinal, how);
        self.shared.torn.set(found || self.shared.torn.get());
        tracing::info!(ordinal, found, "a state file is damaged");
    }

    /// A host dies: first its connections, within a tick all of it.
    fn crash(&mut self, host: &'static str) -> Result<(), Vec<String>> {
        if let Some(token) = self.shared.dying.borrow().get(host) {
            token.cancel();
        }
        self.step()?;
        self.sim.crash(host);
        self.shared.log.letters().lose_those_of(host);
        Ok(())
    }

    /// Whatever is still amiss is mended.
    fn heal(&mut self) -> Result<(), Vec<String>> {
        for link in LINKS {
            self.carry_out(Deed::Release(link))?;
            self.carry_out(Deed::Mend(link))?;
        }
        for host in EXECUTORS.into_iter().chain(["master", "redis"]) {
            self.carry_out(Deed::Restart(host))?;
        }
        for host in hosts() {
            self.carry_out(Deed::SetClock(host, 0))?;
            self.carry_out(Deed::Hide(host, false))?;
        }
        for kol in 0..KOLS {
            self.carry_out(Deed::Clear(kol))?;
        }
        self.carry_out(Deed::Repeats(false))?;
        self.carry_out(Deed::Store(Mood::Well))?;
        self.carry_out(Deed::Away(false))
    }
}

/// Those that run the product.
fn hosts() -> impl Iterator<Item = &'static str> {
    EXECUTORS.into_iter().chain([MASTER])
}

/// The job.
fn spec(seed: u64, feed: &Feed, deeds: &[(Millis, Deed)]) -> String {
    let flip = if seed.is_multiple_of(3) {
        "at-once"
    } else {
        "when-caught-up"
    };
    let scoring = feed.scoring();
    let letters = if feed.has_letters() {
        "dead_letter = \"dead\"\n"
    } else {
        ""
    };
    // What a log loses is taken back where there is state from before.
    let is_cut = deeds.iter().any(|(_, deed)| matches!(deed, Deed::Cut(..)));
    let retain = if is_cut { "retain = 100\n" } else { "" };
    format!(
        "name = \"simulated\"\n[source]\nbootstrap = \"kafka:9092\"\ntopics = [\"events\"]\n\
         starting_offsets = \"earliest\"\n{letters}[scoring]\n{scoring}\
         [sink]\nurl = \"redis://redis:6379\"\nflip = \"{flip}\"\n\
         [checkpoint]\ninterval = \"500ms\"\nmin_pause = \"100ms\"\ntimeout = \"2s\"\n{retain}"
    )
}

/// Ends the process when the simulation hangs: its thread cannot be stopped.
fn guard(seed: u64, trace: &Arc<Trace>) -> Guard {
    let trace = Arc::clone(trace);
    Guard::watch(move || {
        let newest = trace.newest().join("\n  ");
        let what = format!(
            "seed {seed} hangs: some task wakes itself and never waits. Newest of what happened:\n  {newest}\n"
        );
        // A test would keep it until it is over.
        let _there_is_nowhere_else = std::io::stderr().write_all(what.as_bytes());
        std::process::exit(HUNG);
    })
}

fn network(seed: u64, shared: &Rc<Shared>) -> Sim<'static> {
    let mut sim = Builder::new()
        .rng_seed(seed)
        .epoch(UNIX_EPOCH + START.duration())
        .tick_duration(TICK.duration())
        .min_message_latency(LATENCY.0)
        .max_message_latency(LATENCY.1)
        .simulation_duration(Duration::from_secs(3_600))
        .tcp_capacity(1 << 16)
        .build();
    let of = Rc::<Shared>::clone;
    let host = of(shared);
    sim.host("redis", move || {
        nodes::life(of(&host), "redis", nodes::redis)
    });
    let host = of(shared);
    sim.host("master", move || {
        nodes::life(of(&host), "master", nodes::master)
    });
    for name in EXECUTORS {
        let host = of(shared);
        let run = move |shared, net| nodes::executor(shared, net, name);
        sim.host(name, move || nodes::life(of(&host), name, run));
    }
    let host = of(shared);
    sim.host("person", move || {
        nodes::life(of(&host), "person", nodes::person)
    });
    sim
}
