//! The partition actor: one for each source partition assigned to this executor. It reads, decodes,
//! scores into state and hands changes to the sink.
//!
//! | room or file | does |
//! |---|---|
//! | `reader` | reads the log: queue, position, pace, whether it is still the same log |
//! | `stage` | takes the records: decodes them and applies them to the state |
//! | `delivery` | sends what changed to the sink, and knows what has arrived in Redis |
//! | `checkpointer` | captures the state at barriers, has it written, and restores it |
//! | `rekey` | the other loop: a partition of the first stage of a job that re-keys, which has no state |
//! | `actor` | the loop: control before acknowledgements before time before data |
//! | `turn` | memory that a partition takes, and whose turn it is to fetch |
//! | `handover` | when a partition is where its owner before stopped |
//! | `house` | when a partition looks after itself: a machine |
//! | `fullness` | how long people are shown that memory is full |
//! | `explain` | answers what the partition knows of a KOL, in slices |
//! | `report`, `meter` | what a partition says of itself, and what it takes in a second |
//! | `bench` | the way of records to merge calls, for benchmarks |
//! | `message`, `deps`, `start` | what it is sent and started with, and how it is started |
//!
//! The rooms do not know each other: each is a part that the actor owns. A part answers with what it
//! means for others, and the actor passes that on.

mod actor;
#[doc(hidden)]
pub mod bench;
mod checkpointer;
mod delivery;
mod deps;
mod explain;
mod fullness;
mod handover;
mod house;
mod message;
mod meter;
mod reader;
mod rekey;
mod report;
mod stage;
mod start;
#[cfg(test)]
mod testing;
mod turn;

pub use checkpointer::{Of, Restore, Standby};
pub use delivery::latency::{EVENT_TO_REDIS, forget};
pub use delivery::{encode, readback, watch};
pub use deps::Deps;
pub use message::{Assignment, Command, Ended, LostTail, Master, Partition, Ticks};
pub use start::{Started, start, start_rekeying};
