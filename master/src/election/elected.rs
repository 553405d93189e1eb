//! The permit to lead, and the store that only its holder can write.

use std::sync::Arc;

use crate::meta::{EmbeddedStore, Entry, MetaError, MetaStore, Revision, Transaction};

/// Leadership in one term: whoever has this was elected. It may be over by now: the store says so when something is
/// to be written.
#[derive(Debug)]
pub struct Elected {
    term: u64,
    /// The leader's key, as it was written when this term began.
    guard: Option<(String, Revision)>,
}

impl Elected {
    /// Leadership without an election: no other process can have the file of this store open.
    pub fn alone(_held: &EmbeddedStore) -> Self {
        Self {
            term: 0,
            guard: None,
        }
    }

    /// Leadership as long as `key` is as it was written at `revision`.
    pub(super) fn by(term: u64, key: &str, revision: Revision) -> Self {
        Self {
            term,
            guard: Some((key.to_owned(), revision)),
        }
    }

    /// The number of this term; 0 without an election.
    pub fn term(&self) -> u64 {
        self.term
    }
}

/// The store of a leader: every write relies on its term.
#[derive(Clone)]
pub struct LeaderStore {
    meta: Arc<dyn MetaStore>,
    elected: Arc<Elected>,
}

impl LeaderStore {
    /// The store, with the permit to write it.
    pub fn new(meta: Arc<dyn MetaStore>, elected: Elected) -> Self {
        Self {
            meta,
            elected: Arc::new(elected),
        }
    }

    /// The store of a master that is alone with it.
    pub fn alone(store: EmbeddedStore) -> Self {
        let elected = Elected::alone(&store);
        Self::new(Arc::new(store), elected)
    }

    /// The term in which it is written.
    pub fn term(&self) -> u64 {
        self.elected.term()
    }

    /// For reading: what can be read does not depend on the term.
    pub fn reader(&self) -> &dyn MetaStore {
        self.meta.as_ref()
    }

    /// As [`MetaStore::get`].
    ///
    /// # Errors
    /// The store failed.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.meta.get(key).await
    }

    /// As [`MetaStore::commit`], if the term is not over.
    ///
    /// # Errors
    /// As there; `Conflict` on the leader's key: the term is over.
    pub async fn commit(&self, mut transaction: Transaction) -> Result<Revision, MetaError> {
        transaction.expected.extend(self.elected.guard.clone());
        self.meta.commit(transaction).await
    }
}
