//! Writing Redis: one sink for each job on an executor. Partitions hand it whole flushes; it owns the
//! connection, so that a Redis that is away is noticed once and tried again at one pace.

mod connection;
pub mod encode;
pub mod merge_call;
mod scan;
pub mod script;
mod service;

pub use scan::{ScanRequest, Scanned};
pub use service::{Claimed, Fence, FlushRequest, Sink, SinkError, SinkMessage, start};
