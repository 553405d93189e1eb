//! gRPC: what executors and people speak to. Both services only translate; the controller decides.

mod cluster;
mod jobs;

pub use cluster::ClusterRpc;
pub use jobs::JobRpc;
