//! What a process takes from outside besides its sockets: the time, chance, threads, folders, and how
//! much of the machine it uses.
//!
//! One [`World`] stands for all of it: the machine, unless a thread was given another. That is for
//! the simulation, whose time is virtual and whose chance comes from a seed; whatever asks elsewhere
//! (`SystemTime::now`, `Uuid::new_v4`, `spawn_blocking`) would make two runs of one seed differ.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use object_store::ObjectStore;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::Millis;
use crate::checkpoint::store::open_folder;

/// What is outside of a process.
pub trait World {
    /// The wall clock.
    fn now(&self) -> Millis;

    /// Bits of chance.
    fn random(&self) -> u128;

    /// A name that nothing else has; later ones sort later.
    fn ordered_id(&self) -> Uuid;

    /// Runs work that may take long where it does not hold up the actors.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// A folder as a store of objects, made if need be.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn folder(&self, path: &Path) -> Result<Arc<dyn ObjectStore>, String>;

    /// Whether a folder is there. It may take long.
    fn has_folder(&self, path: &Path) -> bool;

    /// Bytes of memory that the process has; `None` if the kernel does not say.
    fn resident_bytes(&self) -> Option<u64>;

    /// Processor time that the process has used, milliseconds.
    fn cpu_ms(&self) -> u64;
}

thread_local! {
    static WORLD: RefCell<Rc<dyn World>> = RefCell::new(Rc::new(Machine));
}

/// Gives this thread another world, until it is given the next.
pub fn enter(world: Rc<dyn World>) {
    WORLD.set(world);
}

fn world() -> Rc<dyn World> {
    WORLD.with_borrow(Rc::clone)
}

pub(crate) fn now() -> Millis {
    WORLD.with_borrow(|world| world.now())
}

/// An id of chance: nothing else has it.
pub fn random_id() -> Uuid {
    uuid::Builder::from_random_bytes(world().random().to_ne_bytes()).into_uuid()
}

/// See [`World::ordered_id`].
pub fn ordered_id() -> Uuid {
    world().ordered_id()
}

/// Somewhere in [0, 1).
pub fn fraction() -> f64 {
    let bits = (world().random() >> 75) as u64;
    bits as f64 / (1u64 << 53) as f64
}

/// Runs work that may take long where it does not hold up the actors; `None` when it hit a defect.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (reply, done) = oneshot::channel();
    world().blocking(Box::new(move || {
        let _nobody_waits = reply.send(work());
    }));
    done.await.ok()
}

/// See [`World::folder`]. It may take long.
///
/// # Errors
/// Why it cannot be used.
pub fn folder(path: &Path) -> Result<Arc<dyn ObjectStore>, String> {
    world().folder(path)
}

/// See [`World::has_folder`].
pub fn has_folder(path: &Path) -> bool {
    world().has_folder(path)
}

/// See [`World::resident_bytes`].
pub fn resident_bytes() -> Option<u64> {
    world().resident_bytes()
}

/// See [`World::cpu_ms`].
pub fn cpu_ms() -> u64 {
    world().cpu_ms()
}

/// The machine that the process runs on.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

#[expect(
    clippy::disallowed_methods,
    reason = "here is where the machine is asked"
)]
impl World for Machine {
    fn now(&self) -> Millis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Millis::from(since)
    }

    fn random(&self) -> u128 {
        // Six bits of a UUID are fixed: two of them leave all bits to chance.
        let (high, low) = (Uuid::new_v4(), Uuid::new_v4());
        high.as_u128() ^ low.as_u128().rotate_left(64)
    }

    fn ordered_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        let _answers_itself = tokio::task::spawn_blocking(work);
    }

    fn folder(&self, path: &Path) -> Result<Arc<dyn ObjectStore>, String> {
        Ok(Arc::new(open_folder(path)?))
    }

    fn has_folder(&self, path: &Path) -> bool {
        path.exists()
    }

    fn resident_bytes(&self) -> Option<u64> {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages = statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()?;
        Some(pages * 4096)
    }

    fn cpu_ms(&self) -> u64 {
        // Fields 14 and 15 of proc(5)'s stat, in ticks of 10 ms; the name before them may hold blanks.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        after_name
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum::<u64>()
            * 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_neither_the_same_twice_nor_out_of_bounds() {
        assert_ne!(random_id(), random_id());
        for _ in 0..1_000 {
            assert!((0.0..1.0).contains(&fraction()));
        }
        assert!(ordered_id() < ordered_id());
    }

    #[tokio::test]
    async fn work_that_hits_a_defect_has_no_answer() {
        assert_eq!(blocking(|| 7).await, Some(7));
        assert_eq!(blocking(|| assert!(cpu_ms() > 1 << 60)).await, None);
    }
}
