//! What is sent to Redis, and what has arrived there.

pub mod encode;
mod fill;
mod flush;
mod orphans;
pub(super) mod outbox;
