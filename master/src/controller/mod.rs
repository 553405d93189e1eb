//! The master's one actor: it owns the members and all jobs, tells their machines what happened, and
//! carries out what they decide. Everything else (streams, gRPC, HTTP, looking at Kafka) sends it
//! messages and waits for answers.

mod actor;
mod checkpoints;
mod executors;
mod explain;
mod handle;
mod jobs;
mod message;
mod savepoints;
mod store;
mod submit;

pub use actor::{Controller, Options};
pub use handle::Handle;
pub use message::{Message, Sender};
pub use store::JobStore;
pub use submit::{Begin, Submission};
