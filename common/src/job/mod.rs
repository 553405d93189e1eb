//! The job spec: what a user submits.

mod keys;
mod parse;
mod policy;
mod spec;

pub use parse::{ParsedSpec, SpecErrors, SpecProblem, parse, with_overrides};
pub use policy::SpecPolicy;
pub use spec::*;
