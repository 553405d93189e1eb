//! What a store of the master's state must do.

use async_trait::async_trait;

/// When a key was last written. Grows over the whole store; never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a key that does not exist.
    pub const ABSENT: Self = Self(0);
}

/// A value as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key it lies under.
    pub key: String,
    /// What was stored.
    pub value: Vec<u8>,
    /// When it was stored.
    pub revision: Revision,
}

/// One change of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Stores a value.
    Put(String, Vec<u8>),
    /// Removes a key; without effect when it is not there.
    Delete(String),
}

/// Changes that happen together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// What each key's revision must be now ([`Revision::ABSENT`]: not there).
    pub expected: Vec<(String, Revision)>,
    /// What to change if so.
    pub writes: Vec<Write>,
}

/// Why a request to the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// Another writer changed a key that the transaction relied on: read again before deciding again.
    #[error("`{key}` was changed by another writer")]
    Conflict {
        /// The key that was changed.
        key: String,
    },
    /// The store itself failed; the transaction did not happen.
    #[error("the state store failed: {0}")]
    Failed(String),
}

/// A store with compare-and-set transactions. All methods may be called from any task.
#[async_trait]
pub trait MetaStore: Send + Sync + 'static {
    /// The entry of a key, if there is one.
    ///
    /// # Errors
    /// The store failed.
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError>;

    /// All entries whose keys start with `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// The store failed.
    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, MetaError>;

    /// Makes the changes durable before it returns; their common revision is the answer.
    ///
    /// # Errors
    /// `Conflict` when an expectation does not hold: nothing was changed. `Failed` when the store
    /// failed: nothing was changed.
    async fn commit(&self, transaction: Transaction) -> Result<Revision, MetaError>;
}
