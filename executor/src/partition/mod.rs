//! The partition actor: one for each source partition assigned to this executor. It reads, decodes,
//! scores into state and hands changes to the sink.
//!
//! | file | does |
//! |---|---|
//! | `start` | what a partition needs, and how it is started |
//! | `actor` | the loop: control before acknowledgements before time before data |
//! | `intake` | records to state |
//! | `log_id` | whether the log is still the same: a machine |
//! | `range`, `recover` | when the log does not have the position: the decision, and doing it |
//! | `report` | what a partition says of itself |
//! | `flush` | what to send to Redis, and what became of it: a machine |
//! | `outbox`, `fill` | talks to the sink; fills a flush |
//! | `sweep` | finds what Redis has and the state does not |
//! | `epoch` | the partition's part in the epochs: a machine |
//! | `checkpoint`, `writer` | captures state at barriers, writes it, and restores it |
//! | `message` | what the actor is told, and how it ends |

mod actor;
mod checkpointer;
mod delivery;
mod message;
mod reader;
mod report;
mod stage;
mod start;

pub use delivery::encode;
pub use message::{Assignment, Command, Ended, Partition, Ticks};
pub use start::{Deps, start};
