//! Writing Redis: one sink for each job on an executor. Partitions hand it whole flushes; it owns the
//! connection, so that a Redis that cannot be reached is noticed once and retried at one pace.
//!
//! | file | does |
//! |---|---|
//! | `message` | what partitions and sink say to each other |
//! | `service` | the loop |
//! | `fence`, `flush`, `scan`, `hashes`, `compare`, `tops`, `alerts`, `history` | one kind of request each |
//! | `looks` | looks at the fences of several partitions, together |
//! | `pace` | how much of Redis' time this executor takes, and who is next: a machine |
//! | `turns` | turns to flush, by that pace |
//! | `probe` | how busy Redis is, as it says itself |
//! | `owner` | signs of life in the owner records, and who has taken them |
//! | `call` | how a call to Redis ends |
//! | `connection` | the connection, and when it is opened again |
//! | `script`, `calls`, `merge_call` | the Lua scripts; keys and arguments of their calls by name |

mod alerts;
mod call;
pub mod calls;
pub mod compare;
mod connection;
mod fence;
mod flush;
mod hashes;
pub mod history;
mod looks;
pub mod merge_call;
mod message;
mod owner;
mod pace;
mod probe;
mod scan;
pub mod script;
mod service;
mod tops;
mod trouble;
mod turns;

pub use message::{
    Claimed, Compared, Fence, FlushRequest, Flushed, Found, Hashes, HashesRequest, Kept, Listing,
    MOST_WAITING, Noted, Operation, Present, ScanRequest, Scanned, Sink, SinkError, SinkMessage,
    SnapshotRequest, Values, Waiting,
};
pub use service::{REDIS_ERRORS, start};
pub use turns::{Nodes, Turn, Turns, Wait};
