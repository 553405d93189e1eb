//! The job spec: what a user submits.

pub mod alerts;
mod defaults;
mod job_spec;
mod keys;
mod parse;
mod policy;
mod redis_url;
pub mod reference;
mod references;
mod rekey;
mod source;
mod spec;
mod text;
#[cfg(test)]
mod versions_tests;

pub use alerts::{AlertRule, AlertsSpec, Condition, Label};
pub use job_spec::JobSpec;
pub use keys::pending_key;
pub use parse::{ParsedSpec, SpecErrors, SpecProblem, parse, with_overrides};
pub use policy::SpecPolicy;
pub use redis_url::{RedisTopology, RedisUrl};
pub use references::{
    Reference, Refers, brokers_of, is_reference, property_refers, references, servers_of,
};
pub use rekey::RekeySpec;
pub use source::SourceSpec;
pub use spec::*;
