//! From the settings of a Spark Structured Streaming job to a job spec.
//!
//! `settings` finds settings in whatever the old users have; `spec` writes the spec and says what has
//! no meaning here, and why.

mod settings;
mod spec;

pub use settings::{Settings, find};
pub use spec::write;
