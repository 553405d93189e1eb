//! The world of a simulation: turmoil's time, chance from the seed, no threads; and a process that
//! always uses the same of its machine.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kol_common::Millis;
use kol_common::process::Process;
use kol_common::world::{Chance, Clock, Threads};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use uuid::Uuid;

/// See the module.
#[derive(Debug)]
pub struct Virtual {
    random: RefCell<StdRng>,
    ids: Cell<u64>,
    /// The time for what happens outside of all hosts.
    between: Cell<Millis>,
}

impl Virtual {
    /// The world of a seed, at this time.
    pub fn new(seed: u64, start: Millis) -> Rc<Self> {
        Rc::new(Self {
            random: RefCell::new(StdRng::seed_from_u64(seed)),
            ids: Cell::new(0),
            between: Cell::new(start),
        })
    }

    /// So late is it between two steps of the hosts.
    pub fn set_now(&self, now: Millis) {
        self.between.set(now);
    }
}

impl Clock for Virtual {
    fn now(&self) -> Millis {
        turmoil::since_epoch().map_or(self.between.get(), Millis::from)
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
