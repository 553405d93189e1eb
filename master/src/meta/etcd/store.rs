//! The store of several masters. A revision is etcd's own: the one of the transaction that wrote the key.
//!
//! An answer can be lost after the transaction has happened. So each transaction also writes a token of its own
//! under one key, and one that is committed again after a failure has the same token: if that is what the key
//! holds, it has happened before.
//!
//! etcd keeps everything that a key ever held until it compacts, and stops taking writes when that fills its
//! quota. A committed epoch writes a manifest, so the writer says so now and then.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kol_common::world;

use super::client::Etcd;
use super::failure::EtcdError;
use super::wire::request_op::Request;
use super::wire::{Compare, KeyValue, RangeRequest, RequestOp, TxnRequest, TxnResponse};
use crate::meta::contract::{Entry, MetaError, MetaStore, Revision, Transaction, Write};

/// The newest token.
const TOKEN: &str = "last-write";
/// etcd takes 128 operations in a transaction, those of a nested one counted with what is around it.
const OPERATIONS: usize = 60;

/// After so many transactions etcd may forget what was before the ones before those.
const COMPACT: u64 = 500;

/// A [`MetaStore`] below a prefix of an etcd cluster.
#[derive(Debug)]
pub struct EtcdStore {
    etcd: Arc<Etcd>,
    prefix: String,
    /// The newest transaction without an answer, and its token.
    unanswered: Mutex<Option<(Transaction, String)>>,
    written: AtomicU64,
    /// The revision that the store had when it was compacted last.
    compacted: AtomicI64,
}

impl EtcdStore {
    /// Keeps everything below `prefix`, which ends with a slash.
    pub fn new(etcd: Arc<Etcd>, prefix: String) -> Self {
        Self {
            etcd,
            prefix,
            unanswered: Mutex::new(None),
            written: AtomicU64::new(0),
            compacted: AtomicI64::new(0),
        }
    }

    fn at(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn entry(&self, found: KeyValue) -> Result<Entry, MetaError> {
        let key = String::from_utf8(found.key)
            .map_err(|_| MetaError::Failed("a key that is not text".to_owned()))?;
        Ok(Entry {
            key: key.strip_prefix(&self.prefix).unwrap_or(&key).to_owned(),
            value: found.value,
            revision: Revision(found.mod_revision.unsigned_abs()),
        })
    }

    async fn range(&self, key: String, end: Vec<u8>) -> Result<Vec<Entry>, MetaError> {
        let request = RangeRequest {
            key: key.into_bytes(),
            range_end: end,
            ..RangeRequest::default()
        };
        let found = self.etcd.range(request).await.map_err(failed)?;
        found.kvs.into_iter().map(|kv| self.entry(kv)).collect()
    }

    /// The token of a transaction: the one it had before, if there was no answer then.
    fn token(&self, transaction: &Transaction) -> String {
        let unanswered = self.unanswered.lock();
        let unanswered = unanswered.unwrap_or_else(PoisonError::into_inner);
        match &*unanswered {
            Some((same, token)) if same == transaction => token.clone(),
            _ => world::random_id().to_string(),
        }
    }

    fn remember(&self, unanswered: Option<(Transaction, String)>) {
        let held = self.unanswered.lock();
        *held.unwrap_or_else(PoisonError::into_inner) = unanswered;
    }

    /// Counts a transaction; compacts when it is due.
    async fn count(&self, revision: i64) {
        let written = self.written.fetch_add(1, Ordering::Relaxed);
        if !written.is_multiple_of(COMPACT) {
            return;
        }
        let before = self.compacted.swap(revision, Ordering::Relaxed);
        if before > 0
            && let Err(error) = self.etcd.compact(before).await
        {
            tracing::debug!(%error, "etcd was not compacted: it is tried again later");
        }
    }

    fn request(&self, transaction: &Transaction, token: &str) -> TxnRequest {
        let token = (TOKEN.to_owned(), Some(token.as_bytes().to_vec()));
        // etcd refuses two writes of one key: the last one counts.
        let writes: BTreeMap<String, Option<Vec<u8>>> = transaction
            .writes
            .iter()
            .map(|write| match write {
                Write::Put(key, value) => (key.clone(), Some(value.clone())),
                Write::Delete(key) => (key.clone(), None),
            })
            .chain([token])
            .collect();
        let operation = |(key, value): (String, Option<Vec<u8>>)| match value {
            Some(value) => RequestOp::put(self.at(&key), value, 0),
            None => RequestOp::delete(self.at(&key)),
        };
        let expected = || transaction.expected.iter();
        let compare = |(key, revision): &(String, Revision)| {
            Compare::written_at(self.at(key), revision.0.cast_signed())
        };
        let keys = expected().map(|(key, _)| key.as_str());
        TxnRequest {
            compare: expected().map(compare).collect(),
            success: nested(writes.into_iter().map(operation).collect()),
            failure: [TOKEN]
                .into_iter()
                .chain(keys)
                .map(|key| RequestOp::get(self.at(key)))
                .collect(),
        }
    }
}

/// In transactions of their own where they are too many for one.
fn nested(operations: Vec<RequestOp>) -> Vec<RequestOp> {
    if operations.len() <= OPERATIONS {
        return operations;
    }
    let inner = |part: &[RequestOp]| {
        let inner = TxnRequest {
            success: part.to_vec(),
            ..TxnRequest::default()
        };
        Request::RequestTxn(inner).into()
    };
    operations.chunks(OPERATIONS).map(inner).collect()
}

/// What a transaction that did not happen now found: that it happened before, or who is in its way.
fn refused(
    found: TxnResponse,
    transaction: &Transaction,
    token: &str,
) -> Result<Revision, MetaError> {
    let revision = |kv: &Option<KeyValue>| kv.as_ref().map_or(0, |kv| kv.mod_revision);
    let mut found = found.found();
    let newest = found.next().flatten();
    if let Some(newest) = newest.filter(|kv| kv.value == token.as_bytes()) {
        return Ok(Revision(newest.mod_revision.unsigned_abs()));
    }
    let expected = transaction.expected.iter();
    let other = expected
        .zip(found)
        .find(|((_, expected), found)| revision(found) != expected.0.cast_signed());
    Err(match other {
        Some(((key, _), _)) => MetaError::Conflict { key: key.clone() },
        None => MetaError::Failed("etcd refused a transaction without a reason".to_owned()),
    })
}

fn failed(error: EtcdError) -> MetaError {
    MetaError::Failed(format!("{}: {error}", error.code))
}

/// The end of the keys that begin with `prefix`: one past the last.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // A prefix is text: no byte of it is the largest.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

#[async_trait]
impl MetaStore for EtcdStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        let found = self.range(self.at(key), Vec::new()).await?;
        Ok(found.into_iter().next())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, MetaError> {
        let from = self.at(prefix);
        let end = end_of(&from);
        self.range(from, end).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Revision, MetaError> {
        let token = self.token(&transaction);
        let answer = self.etcd.txn(self.request(&transaction, &token)).await;
        match answer {
            Ok(done) => {
                self.remember(None);
                if done.succeeded {
                    self.count(done.revision()).await;
                    return Ok(Revision(done.revision().unsigned_abs()));
                }
                refused(done, &transaction, &token)
            }
            Err(error) => {
                self.remember(Some((transaction, token)));
                Err(failed(error))
            }
        }
    }
}
