//! The connection to Redis, and what its errors mean to an operator.

mod classify;
mod connect;

pub use classify::classify;
pub use connect::connect;
