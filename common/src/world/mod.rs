//! What makes two runs of one process differ, besides its sockets and files: the wall clock
//! ([`Clock`]), randomness ([`Chance`]) and threads ([`Threads`]).
//!
//! Machines get time and randomness as arguments. Drivers and I/O call the functions of this module,
//! which use the [`ThisMachine`] unless the thread was given another [`World`]: the simulation's, whose time
//! is virtual, whose random bits come from a seed and which has no threads.
//!
//! The choice is a thread-local, for the same reason that tokio's timers and runtime handle are one:
//! ids, timestamps and jitter are made in constructors and other leaves all over the system,
//! and one leaf that was not given the seed would make a run irreproducible without any error.
//! Everything else from outside is a value that `main` makes and hands on: checkpoint stores
//! ([`Stores`](crate::checkpoint::Stores)), Kafka, Redis, the facts about the process
//! ([`Process`](crate::process::Process)).

mod chance;
mod clock;
mod current;
mod threads;

pub use chance::{fraction, ordered_id, random_id};
pub use current::{Chance, Clock, ThisMachine, Threads, World, enter};
pub use threads::blocking;
pub(crate) use threads::task;
