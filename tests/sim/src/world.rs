//! The world of a simulation: turmoil's time, chance from the seed, no threads, folders in memory.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use kol_common::Millis;
use kol_common::world::World;
use object_store::ObjectStore;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use uuid::Uuid;

use super::store::Folders;

/// See the module.
#[derive(Debug)]
pub struct Virtual {
    random: RefCell<StdRng>,
    ids: Cell<u64>,
    /// The time for what happens outside of all hosts.
    between: Cell<Millis>,
    folders: Folders,
}

impl Virtual {
    /// With these folders.
    pub fn new(seed: u64, start: Millis, folders: Folders) -> Rc<Self> {
        Rc::new(Self {
            random: RefCell::new(StdRng::seed_from_u64(seed)),
            ids: Cell::new(0),
            between: Cell::new(start),
            folders,
        })
    }

    /// So late is it between two steps of the hosts.
    pub fn set_now(&self, now: Millis) {
        self.between.set(now);
    }
}

impl World for Virtual {
    fn now(&self) -> Millis {
        turmoil::since_epoch().map_or(self.between.get(), Millis::from)
    }

    fn random(&self) -> u128 {
        self.random.borrow_mut().random()
    }

    fn ordered_id(&self) -> Uuid {
        let number = self.ids.get() + 1;
        self.ids.set(number);
        Uuid::from_u64_pair(self.now().0, number)
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn folder(&self, path: &Path) -> Result<Arc<dyn ObjectStore>, String> {
        Ok(Arc::new(self.folders.open(path)))
    }

    fn has_folder(&self, path: &Path) -> bool {
        self.folders.has(path)
    }

    fn resident_bytes(&self) -> Option<u64> {
        None
    }

    fn cpu_ms(&self) -> u64 {
        0
    }
}
