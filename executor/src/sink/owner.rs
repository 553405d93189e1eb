//! Signs of life in the owner records of a job's keys, and who has taken them. The master takes and returns
//! the keys; executors renew them too, so that a job whose master is away stays their owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kol_common::job::SinkSpec;
use kol_common::redis::RedisConnection;
use kol_common::redis::owner::{Owner, Verdict, renew};
use kol_common::{KolError, Millis};
use redis::RedisResult;

use super::call::{CallResult, DEADLINE};
use super::message::SinkError;

/// The owner records of a job. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Records(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    spec: SinkSpec,
    /// `None` where the master is of a version without owner records.
    owner: Option<Owner>,
    /// When Redis confirmed last that all records are the job's, by its clock in milliseconds; 0 before.
    confirmed: AtomicU64,
}

impl Records {
    pub(super) fn new(spec: SinkSpec, owner: Option<Owner>) -> Self {
        Self(Arc::new(Shared {
            spec,
            owner,
            confirmed: AtomicU64::new(0),
        }))
    }

    /// Claims a partition for a job that owns its keys, in this order: a Redis that lost its data has the owner
    /// records again before any ranking, and a job whose keys were taken meanwhile writes nothing. A sign of life
    /// that fails hinders no claim.
    pub(super) async fn claimed<T>(
        &self,
        claim: impl Future<Output = CallResult<T>>,
        open: RedisConnection,
    ) -> CallResult<T> {
        if let Ok(Some(why)) = self.renew(open).await {
            return Ok(Err(SinkError::TakenOver(why)));
        }
        claim.await
    }

    /// Gives a sign of life; why the job must end, if another store has its keys.
    pub(super) async fn renew(&self, mut open: RedisConnection) -> RedisResult<Option<KolError>> {
        let Shared {
            spec,
            owner: Some(owner),
            confirmed,
        } = &*self.0
        else {
            return Ok(None);
        };
        let before = Millis(confirmed.load(Ordering::Relaxed));
        Ok(match renew(spec, owner, before, &mut open).await? {
            Verdict::Held(other) => Some(other.took_over(&owner.job)),
            Verdict::Free { at: Millis(0), .. } => None,
            Verdict::Free { at, .. } => {
                confirmed.store(at.0, Ordering::Relaxed);
                None
            }
        })
    }

    /// A call that was fenced, with the reason if another store has the keys.
    pub(super) async fn explained<T>(
        &self,
        called: CallResult<T>,
        open: RedisConnection,
    ) -> CallResult<T> {
        match called {
            Ok(Err(SinkError::Fenced)) => Ok(Err(
                match tokio::time::timeout(DEADLINE, self.renew(open)).await {
                    Ok(Ok(Some(why))) => SinkError::TakenOver(why),
                    Ok(Ok(None) | Err(_)) | Err(_) => SinkError::Fenced,
                },
            )),
            other => other,
        }
    }
}
