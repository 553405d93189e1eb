//! The world of a simulation: turmoil's time, which each host's wall clock shows as it was set, chance from
//! the seed, no threads; and a process that always uses the same of its machine.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use futures::future::BoxFuture;
use kol_common::Millis;
use kol_common::process::Process;
use kol_common::world::{Chance, Clock, Threads};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::runtime::{self, Handle};
use uuid::Uuid;

use super::pause::{Held, Pause};

/// See the module.
#[derive(Debug)]
pub struct Virtual {
    random: RefCell<StdRng>,
    ids: Cell<u64>,
    /// The time for what happens outside of all hosts.
    between: Cell<Millis>,
    /// Which host a runtime is of; a host that starts again has another one.
    runtimes: RefCell<Vec<(runtime::Id, &'static str)>>,
    /// How far the wall clocks of hosts were set ahead, milliseconds.
    clocks: RefCell<BTreeMap<&'static str, i64>>,
    /// Of the newest life of each host.
    pauses: RefCell<BTreeMap<&'static str, Pause>>,
}

impl Virtual {
    /// The world of a seed, at this time.
    pub fn new(seed: u64, start: Millis) -> Rc<Self> {
        Rc::new(Self {
            random: RefCell::new(StdRng::seed_from_u64(seed)),
            ids: Cell::new(0),
            between: Cell::new(start),
            runtimes: RefCell::default(),
            clocks: RefCell::default(),
            pauses: RefCell::default(),
        })
    }

    /// So late is it between two steps of the hosts.
    pub fn set_now(&self, now: Millis) {
        self.between.set(now);
    }

    /// What runs here, now, is a new life of a host of this name; answers what stops it.
    pub fn begins(&self, host: &'static str) -> Pause {
        let mut runtimes = self.runtimes.borrow_mut();
        runtimes.retain(|(_, name)| *name != host);
        runtimes.push((Handle::current().id(), host));
        let pause = Pause::default();
        self.pauses.borrow_mut().insert(host, pause.clone());
        pause
    }

    /// The process of a host is stopped, or continues.
    pub fn set_stopped(&self, host: &str, stopped: bool) {
        if let Some(pause) = self.pauses.borrow().get(host) {
            pause.set(stopped);
        }
    }

    /// Whether the process of a host is stopped.
    pub fn is_stopped(&self, host: &str) -> bool {
        let pauses = self.pauses.borrow();
        pauses.get(host).is_some_and(Pause::is_stopped)
    }

    /// The host that runs here.
    fn here(&self) -> Option<&'static str> {
        let here = Handle::try_current().ok()?.id();
        let runtimes = self.runtimes.borrow();
        let found = runtimes.iter().find(|(id, _)| *id == here);
        found.map(|(_, host)| *host)
    }

    /// A host's wall clock is so far ahead from now on, in milliseconds; what measures lengths of time does
    /// not notice.
    pub fn set_clock(&self, host: &'static str, ahead: i64) {
        self.clocks.borrow_mut().insert(host, ahead);
    }

    /// How far the wall clock of what runs here was set ahead.
    fn ahead(&self) -> i64 {
        let clock = |host| self.clocks.borrow().get(host).copied();
        self.here().and_then(clock).unwrap_or(0)
    }
}

/// The time of the simulation, which no host's clock changes.
pub fn time() -> Millis {
    turmoil::since_epoch().map_or_else(Millis::now, Millis::from)
}

impl Clock for Virtual {
    fn now(&self) -> Millis {
        let now = turmoil::since_epoch().map_or(self.between.get(), Millis::from);
        Millis(now.0.saturating_add_signed(self.ahead()))
    }
}

impl Chance for Virtual {
    fn random(&self) -> u128 {
        self.random.borrow_mut().random()
    }

    fn ordered_id(&self) -> Uuid {
        let number = self.ids.get() + 1;
        self.ids.set(number);
        Uuid::from_u64_pair(self.now().0, number)
    }
}

impl Threads for Virtual {
    fn task(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        let pause = self
            .here()
            .and_then(|host| self.pauses.borrow().get(host).cloned());
        match pause {
            Some(pause) => Box::pin(Held { pause, task }),
            None => task,
        }
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

/// A process that uses nothing: what a real one uses would be in its heartbeats, and differ between two
/// runs of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Weightless;

impl Process for Weightless {
    fn resident_bytes(&self) -> Option<u64> {
        None
    }

    fn cpu_ms(&self) -> u64 {
        0
    }
}
