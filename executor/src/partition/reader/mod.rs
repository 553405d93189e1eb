//! What is read, from where, and how fast.

pub(super) mod log_id;
pub(super) mod pace;
mod range;
mod recover;
pub(super) mod stall;
