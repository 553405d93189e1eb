//! What becomes of the records that were read.

pub(super) mod intake;
