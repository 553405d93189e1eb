//! The master: keeps the jobs, knows the executors, and decides which of them runs which partition.
//! Decisions are machines (`cluster`, `job`, `checkpoint`); the `controller` runs them, persists what they decide
//! (`meta`) and talks to executors and people (`rpc`, `http`).

pub mod autostart;
pub mod checkpoint;
pub mod cluster;
pub mod config;
pub mod controller;
pub mod http;
pub mod job;
pub mod meta;
pub mod metrics;
pub mod rpc;
pub mod run;
pub mod specs;

#[cfg(test)]
mod testing;
