//! What proves the system: the benchmark, the faults on real processes, and what is broken on purpose. The
//! scenarios are in `tests/`.

pub mod bench;
pub mod chaos;
pub mod mutants;
