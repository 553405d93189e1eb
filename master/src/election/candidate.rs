//! What a master does in etcd to lead: the leader's key holds its term and address for as long as its lease lasts, the
//! term's key holds the newest term that was ever begun.

use std::sync::Arc;
use std::time::Duration;

use kol_common::world;
use serde::{Deserialize, Serialize};

use super::elected::Elected;
use super::past::Past;
use crate::meta::Revision;
use crate::meta::etcd::wire::{Compare, KeyValue, RequestOp, TxnRequest};
use crate::meta::etcd::{Etcd, EtcdError};

/// Longest wait for the disk of this machine.
const DISK: Duration = Duration::from_millis(200);
/// Below the prefix of the store, so that its transactions can rely on the first.
const LEADER: &str = "leader";
const TERM: &str = "term";

/// What the leader's key holds.
#[derive(Debug, Serialize, Deserialize)]
struct Leader {
    term: u64,
    address: String,
}

/// What a look found.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The address of the leader.
    pub(super) leader: Option<String>,
    /// The newest term, and the revision of its key.
    term: (u64, i64),
}

/// A master that may lead.
#[derive(Clone, Debug)]
pub struct Candidate {
    etcd: Arc<Etcd>,
    prefix: String,
    address: String,
    past: Option<Arc<dyn Past>>,
}

impl Candidate {
    /// One that others reach at `address`; `prefix` is that of the store.
    pub fn new(etcd: Arc<Etcd>, prefix: String, address: String) -> Self {
        Self {
            etcd,
            prefix,
            address,
            past: None,
        }
    }

    /// The same, one that ends the lease of its life before.
    pub fn with_past(self, past: Option<Arc<dyn Past>>) -> Self {
        Self { past, ..self }
    }

    /// Ends the lease of the process before this one: that one can no longer.
    pub(super) async fn end_past(&self) {
        let Some(past) = self.past.clone() else {
            return;
        };
        let lease = in_time(move || past.lease()).await.flatten();
        if let Some(lease) = lease
            && self.resign(lease).await.is_ok()
        {
            tracing::info!(
                code = "LEASE_ENDED",
                "the lease of the process before this one was ended"
            );
        }
    }

    fn at(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Who leads, and in which term.
    pub(super) async fn look(&self) -> Result<Seen, EtcdError> {
        let look = TxnRequest {
            success: [LEADER, TERM]
                .map(|key| RequestOp::get(self.at(key)))
                .into(),
            ..TxnRequest::default()
        };
        let mut found = self.etcd.txn(look).await?.found();
        let (leader, term) = (found.next().flatten(), found.next().flatten());
        let read = |kv: &KeyValue| String::from_utf8_lossy(&kv.value).parse().ok();
        Ok(Seen {
            // Whoever it is holds the key, also where its address cannot be read.
            leader: leader.map(|kv| {
                let leader = serde_json::from_slice(&kv.value);
                leader.map_or_else(|_| String::new(), |leader: Leader| leader.address)
            }),
            term: term.map_or((0, 0), |kv| (read(&kv).unwrap_or(0), kv.mod_revision)),
        })
    }

    /// Takes the leader's key for the next term, if no one has it and no term began since the look: with the lease, or
    /// `None` when another was elected.
    pub(super) async fn campaign(
        &self,
        seen: &Seen,
        lease: Duration,
    ) -> Result<Option<(i64, Elected)>, EtcdError> {
        let lease = self.etcd.grant(lease.as_secs().cast_signed()).await?;
        if let Some(past) = self.past.clone() {
            let _expires_by_itself = in_time(move || past.keep(lease)).await;
        }
        let term = seen.term.0 + 1;
        let leader = Leader {
            term,
            address: self.address.clone(),
        };
        let leader = serde_json::to_vec(&leader).unwrap_or_default();
        let take = TxnRequest {
            compare: vec![
                Compare::written_at(self.at(LEADER), 0),
                Compare::written_at(self.at(TERM), seen.term.1),
            ],
            success: vec![
                RequestOp::put(self.at(LEADER), leader, lease),
                RequestOp::put(self.at(TERM), term.to_string().into_bytes(), 0),
            ],
            failure: Vec::new(),
        };
        let taken = self.etcd.txn(take).await?;
        let revision = Revision(taken.revision().unsigned_abs());
        let won = taken.succeeded;
        Ok(won.then(|| (lease, Elected::by(term, LEADER, revision))))
    }

    /// Whether the lease still exists; it begins again then.
    pub(super) async fn renew(&self, lease: i64) -> Result<bool, EtcdError> {
        self.etcd.keep_alive(lease).await
    }

    /// Ends the lease: another can be elected at once.
    pub(super) async fn resign(&self, lease: i64) -> Result<(), EtcdError> {
        self.etcd.revoke(lease).await
    }
}

/// What takes too long, as on a disk that hangs, is left out: the election continues without it.
async fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::time::timeout(DISK, world::blocking(work)).await;
    done.ok().flatten()
}
