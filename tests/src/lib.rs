//! What proves the system: the reference fold that says what Redis must hold, and the harness that
//! starts real servers and real binaries and compares.

pub mod bench;
pub mod fold;
pub mod harness;
