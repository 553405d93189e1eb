//! What two or more of the KOL binaries need: words (ids, time, errors), protos, the job spec, the
//! decoding of creators' events, scoring, the actor kernel, back-off, logs and traces.

pub mod actor;
pub mod alerts;
pub mod checkpoint;
pub mod error;
pub mod event;
pub mod ids;
pub mod job;
pub mod kafka;
pub mod metrics;
pub mod net;
pub mod process;
pub mod proto;
pub mod redis;
pub mod retry;
pub mod scoring;
pub mod secrets;
pub mod sizing;
pub mod telemetry;
pub mod time;
pub mod traces;
pub mod view;
pub mod world;

pub use error::{Domain, KolError};
pub use ids::{ClusterId, ExecutorId, Incarnation, JobId, SavepointId, SourcePartition, StoreId};
pub use time::Millis;
