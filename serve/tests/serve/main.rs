//! The server over a real Redis, with data that the scripts of a job have written.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot continue should say where"
)]

mod away;
mod bounds;
mod dashboard;
mod earlier;
mod examples;
mod lists;
mod login;
mod support;
