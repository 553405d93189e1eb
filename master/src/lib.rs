//! The master: keeps the jobs, knows the executors, and decides which of them runs which partition.
//! Decisions are machines (`cluster`, `job`, `checkpoint`, `election`); the `controller` runs them, persists what they
//! decide (`meta`) and talks to executors and people (`rpc`, `http`).
//!
//! # The shape of a machine
//!
//! ```text
//! fn handle(&mut self, now: Millis, input: Input, out: &mut Vec<Effect>)
//! ```
//!
//! [`cluster::Members`], [`checkpoint::Coordinator`] and [`job::Job`] have it, each with the `Input` and the
//! `Effect` of its room.
//!
//! 1. A machine is synchronous. It does no I/O, has no clock and no randomness: `now` and what happened are
//!    given. The same inputs give the same effects, so tests run thousands of interleavings in a second.
//! 2. What is to be done is pushed into `out`, in the order in which the driver carries it out. The room
//!    says which effects must be durable before the others of the same step.
//! 3. What a machine knows is read through methods with `&self`. Nothing waits in a machine to be fetched.
//! 4. A machine that is large consists of parts that own their state. A part has methods that take `now`,
//!    what it needs of its neighbours, and the same `out`; or that answer with an enum of what follows. A
//!    part never calls the machine that owns it.
//! 5. Where one machine owns another (a job its coordinator) it translates the effects of that one into its
//!    own.
//!
//! No two files import each other, directly or around a corner; a test keeps it so.

pub mod autostart;
pub mod checkpoint;
pub mod cluster;
pub mod config;
pub mod controller;
pub mod election;
pub mod http;
pub mod job;
pub mod lead;
pub mod meta;
pub mod metrics;
pub mod role;
pub mod rpc;
pub mod run;
pub mod scaling;
pub mod specs;

#[cfg(test)]
mod testing;
