//! `kol-client`: how people and scripts use a cluster.

// What is printed passes through `print`: elsewhere nothing is.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod access;
pub mod cli;
pub mod cmd;
pub mod complete;
pub mod context;
pub mod convert;
mod examples;
pub mod exit;
pub mod generate;
pub mod input;
#[cfg(test)]
mod json_tests;
pub mod plan;
pub mod print;
pub mod producer;
pub mod render;
pub mod state;

pub use context::{Context, OutputFormat};
