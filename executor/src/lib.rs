//! `kol-executor`: hosts partition actors.
//!
//! ```text
//! session ─► supervisor ─► partition (source → decode → score → state) ─► sink ─► Redis
//! ```
//!
//! Data flows one way; answers travel back by oneshot and watch channels.

pub mod alerts;
pub mod config;
pub mod http;
pub mod memory;
pub mod partition;
pub mod present;
pub mod roots;
pub mod run;
pub mod session;
pub mod sink;
pub mod source;
pub mod state;
pub mod supervisor;
pub mod telemetry;
