//! The world of a thread.

use std::cell::RefCell;
use std::rc::Rc;

use futures::future::BoxFuture;
use uuid::Uuid;

use crate::time::Millis;

/// Tells the time.
pub trait Clock {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> Millis;
}

/// Gives random bits and ids.
pub trait Chance {
    /// As many random bits as the type has.
    fn random(&self) -> u128;

    /// An id that nothing else has; later ones sort later.
    fn ordered_id(&self) -> Uuid;
}

/// Runs tasks, and work that blocks.
pub trait Threads {
    /// The task as it is to be spawned: a simulated process that is stopped holds its tasks back.
    fn task(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        task
    }

    /// Runs work that may take long where it does not hold up the actors.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>);
}

/// Clock, randomness and threads together.
pub trait World: Clock + Chance + Threads {}

impl<T: Clock + Chance + Threads> World for T {}

/// The machine that the process runs on.
#[derive(Clone, Copy, Debug)]
pub struct ThisMachine;

thread_local! {
    static WORLD: RefCell<Rc<dyn World>> = RefCell::new(Rc::new(ThisMachine));
}

/// Gives this thread another world, until it is given the next.
pub fn enter(world: Rc<dyn World>) {
    WORLD.set(world);
}

/// The world of this thread.
pub(super) fn current() -> Rc<dyn World> {
    WORLD.with_borrow(Rc::clone)
}
