//! etcd: the store that several masters share. `client` speaks to its members, `store` keeps the entries there,
//! `wire` has the types of etcd's API.

mod client;
mod store;
pub mod wire;

pub use client::{Etcd, EtcdError};
pub use store::EtcdStore;
