//! The master's one actor: it owns the members and all jobs, tells their machines what happened, and
//! carries out what they decide. Everything else (streams, gRPC, HTTP, looks at Kafka) reaches it through a
//! [`Handle`]: messages with answers, each with a deadline.
//!
//! | file | what is there |
//! |---|---|
//! | `handle`, `message`, `submission` | how it is reached, and with what |
//! | `clock` | the time by which it decides |
//! | `state` | what it owns |
//! | `owners` | whose keys in Redis jobs write |
//! | `committed`, `saved` | what follows from an epoch and from a savepoint |
//! | `steps`, `ticks` | one step of a job's machine; how time passes |
//! | `executors` | what executors do |
//! | `submit`, `rewind`, `savepoints` | what people want done |
//! | `rekeying` | the internal topic of a job that re-keys its input |
//! | `replacement` | whether a job that is to replace a running one could run |
//! | `forget`, `deletions`, `attempts` | which jobs that are over are kept; files of what is forgotten |
//! | `statuses`, `explain`, `questions` | what people want to know |
//! | `actor` | the loop |
//! | `store`, `entries` | jobs in the meta store; how its entries are written and read |
//! | `identity` | which cluster and which store it is |
//! | `standby` | the same for people, on a master that follows |

mod actor;
mod attempts;
mod begins;
mod clock;
mod committed;
mod deletions;
mod entries;
mod executors;
mod explain;
mod forget;
mod handle;
mod identity;
mod message;
mod misled;
mod missed;
mod owners;
mod problems;
mod questions;
mod rekeying;
mod replacement;
mod rewind;
mod saved;
mod savepoints;
mod standby;
mod state;
mod statuses;
mod steps;
mod store;
mod submission;
mod submit;
mod ticks;

pub use actor::start;
pub use handle::{Handle, Outgoing};
pub use identity::adopt;
pub use standby::Standby;
pub use state::Options;
pub use store::JobStore;
pub use submission::{Begin, Submission};

#[cfg(test)]
mod advice_tests;
#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod drain_tests;
#[cfg(test)]
mod forget_tests;
#[cfg(test)]
mod misled_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod roots_tests;
#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod successor_tests;
#[cfg(test)]
mod testing;
