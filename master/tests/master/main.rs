//! The whole master: over real gRPC and HTTP, with its store on disk, an embedded Kafka and fake
//! executors; and as a process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where something is not as it should be, in its helpers too"
)]

mod generations;
mod hosts;
mod lineage;
mod process;
mod rpc;
mod secure;
mod sessions;
mod support;
