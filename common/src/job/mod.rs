//! The job spec: what a user submits.
mod spec;
pub use spec::*;
