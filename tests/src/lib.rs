//! What proves the system: faults on real processes and hosts, versions that run together, and what is
//! broken on purpose. The scenarios are in
//! `tests/`.

pub mod chaos;
mod feed;
pub mod hosts;
pub mod mutants;
pub mod versions;
