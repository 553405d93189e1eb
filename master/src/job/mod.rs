//! One job: its life cycle, who runs its partitions, and what they share. Everything here decides;
//! nothing here waits, except `discovery`, which asks Kafka and Redis.

pub mod caught_up;
pub mod difference;
pub mod discovery;
mod epochs;
pub mod lineage;
mod lookup;
pub mod machine;
pub mod measure;
mod ownership;
pub mod partition;
pub mod placement;
pub mod record;
mod status;
mod warnings;

pub use lineage::{Origin, Start, next_start};
pub use machine::{Event, Executor, Fleet, Job, Out};
pub use ownership::revoke_claim;
pub use record::{End, JobRecord, Phase, Predecessor};

#[cfg(test)]
mod ending_tests;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod measure_tests;
