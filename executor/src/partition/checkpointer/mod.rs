//! The partition's part in checkpoints.

pub(super) mod checkpoint;
mod epochs;
mod writer;
