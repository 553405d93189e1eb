//! The job spec: what a user submits.

mod keys;
mod spec;

pub use spec::*;
