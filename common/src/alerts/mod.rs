//! Alerts on their way to people: what one says, and where it goes. Which creators rules are true of is decided in Redis, by a
//! script of the executor.
//!
//! | file | does |
//! |---|---|
//! | `message` | what an alert says, and its idempotency key |
//! | `destination` | where alerts go, and what becomes of one there |
//! | `way` | the destinations of a job, each to be opened |
//! | `topic` | writes it to a topic |
//! | `webhook` | posts it |

mod destination;
mod message;
mod topic;
mod way;
mod webhook;

pub use destination::{Destination, Failure, Kind, Means, Way};
pub use message::{Alert, Raised};
pub use topic::Topic;
pub use way::ways;
pub use webhook::Webhook;
