//! etcd: the store that several masters share. `client` speaks to its members, each a `member`, `access` and `login` say
//! how they let this master in, `failure` why they did not; `store` keeps the entries there, `wire` has the types of
//! etcd's API.

mod access;
mod client;
mod failure;
mod login;
mod member;
mod store;
pub mod wire;

pub use access::{Access, Members};
pub use client::Etcd;
pub use failure::EtcdError;
pub use store::EtcdStore;
