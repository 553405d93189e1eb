//! gRPC: what executors and people speak to. Both services only translate; the controller decides. `auth` stands
//! before them.

mod auth;
mod cluster;
mod jobs;
mod limits;

pub use auth::{Caller, Guard, caller_of};
pub use cluster::ClusterRpc;
pub use jobs::JobRpc;
