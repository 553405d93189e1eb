//! What proves the system: the reference fold that says what Redis must hold, and the harness that
//! starts real servers and real binaries and compares. Also the benchmark, the faults and the
//! demo, which stand on both.

pub mod bench;
pub mod chaos;
pub mod demo;
pub mod fold;
pub mod harness;
pub mod mutants;
pub mod sim;
