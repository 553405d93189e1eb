//! What the master must still know after it was killed: a small ordered map from keys to values, in
//! which every key has a revision and a write happens only if the revisions it relied on are still
//! the ones in the store. One master keeps it on its own disk; several share it in etcd.

mod contract;
mod embedded;
pub mod etcd;

pub use contract::{Entry, MetaError, MetaStore, Revision, Transaction, Write};
pub use embedded::EmbeddedStore;
