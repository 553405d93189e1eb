//! The wire types, generated from `proto/kol/v1/*.proto`; their documentation is there.

#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::large_futures,
    unreachable_pub,
    reason = "generated code"
)]
mod generated {
    tonic::include_proto!("kol.v1");
}

pub use generated::*;

/// All services and messages of the protocol, as a `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kol.v1.bin"));
