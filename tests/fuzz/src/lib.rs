//! Hostile input: everything that reads bytes from outside gets valid inputs that were changed at random, and must
//! neither panic nor take more memory than its input accounts for.
//!
//! | file | does |
//! |---|---|
//! | `targets` | what reads bytes, and valid inputs of each |
//! | `change` | changes an input |
//! | `run` | gives a target one input after the other, and keeps those that showed it something new |
//! | `memory` | counts what a thread has allocated |
//!
//! A short run is part of the tests; `make fuzz` runs for as long as it is given.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support: a failure here is a failed test, and its message is the panic's"
)]

mod change;
pub mod memory;
mod run;
mod targets;

pub use run::{Failure, Report, Until, fuzz};
pub use targets::{Target, all};
