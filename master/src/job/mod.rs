//! One job: its life cycle, who runs its partitions, and what they share. Everything here decides;
//! nothing here waits, except `discovery`, `brokers` with `kafka` and `internal_topic`, and `tenure`, which query Kafka and Redis.
//!
//! The machine is [`Job`]; `effect` says what goes in and what comes out. It only dispatches, with `adopting` and `settling`: its parts
//! `ownership` with `placing`, `moves`, `preparing` and `losses`, `epochs`, `measure` with `share`, `lookup`, `ends` and `live` own their
//! state, and `status` with `problems` is what people see of them.

mod adopting;
mod backoff;
pub mod brokers;
pub mod caught_up;
mod cause;
pub mod cuts;
pub mod difference;
pub mod discovery;
mod effect;
mod ends;
mod epochs;
mod failures;
mod fleet;
mod generations;
mod hot;
pub mod internal;
mod internal_topic;
mod kafka;
mod left;
pub mod lineage;
mod live;
pub mod load;
mod lookup;
mod losses;
pub mod machine;
pub mod measure;
mod moves;
mod origin;
mod overlap;
mod ownership;
pub mod partition;
mod pause;
pub mod placement;
mod places;
mod placing;
mod preparing;
mod problems;
pub mod record;
pub mod rekeying;
mod settled;
mod settling;
mod share;
mod spellings;
mod standby;
mod status;
pub mod tenure;
mod warnings;

pub use cause::CAUSES;
pub use effect::{Effect, Event, Input, Resumed};
pub use failures::Missed;
pub use fleet::{Executor, Fleet};
pub use lineage::{Start, next_start};
pub use load::Load;
pub use machine::Job;
pub use origin::Origin;
pub use ownership::revoke_claim;
pub use pause::Steps;
pub use placement::Site;
pub use record::{End, Internal, JobRecord, Phase, Predecessor, RekeyRecord};
pub(crate) use warnings::clock_ahead;

#[cfg(test)]
mod ending_tests;
#[cfg(test)]
mod ends_tests;
#[cfg(test)]
mod failures_tests;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod lost_tail_tests;
#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod measure_tests;
#[cfg(test)]
mod placing_tests;
#[cfg(test)]
mod rekeying_tests;
#[cfg(test)]
mod roots_tests;
#[cfg(test)]
mod tenure_tests;
#[cfg(test)]
mod testing;
