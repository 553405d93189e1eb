//! What proves the system: faults on real processes and hosts, versions that run together, and what is
//! broken on purpose. The scenarios are in
//! `tests/`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a run that cannot continue should say where and end"
)]

pub mod chaos;
mod feed;
pub mod hosts;
pub mod mutants;
pub mod versions;
