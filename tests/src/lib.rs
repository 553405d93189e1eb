//! What proves the system: faults on real processes, and what is broken on purpose. The scenarios are in
//! `tests/`.

pub mod chaos;
pub mod mutants;
