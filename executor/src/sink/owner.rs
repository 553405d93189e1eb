//! Signs of life in the owner records of a job's keys, and who has taken them. The master takes and returns
//! the keys; executors renew them too, so that a job whose master is away stays their owner.

use std::sync::Arc;

use kol_common::job::SinkSpec;
use kol_common::redis::RedisConnection;
use kol_common::redis::owner::renew;
use kol_common::{KolError, StoreId};
use redis::RedisResult;

use super::call::{CallResult, DEADLINE};
use super::message::SinkError;

/// Who writes, as the owner records name it.
#[derive(Clone, Debug)]
pub struct Writer {
    /// Name of the job.
    pub job: String,
    /// State store of its master; `None` where that is of a version without owner records.
    pub store: Option<StoreId>,
}

/// The owner records of a job. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Records(Arc<(SinkSpec, Writer)>);

impl Records {
    pub(super) fn new(spec: SinkSpec, writer: Writer) -> Self {
        Self(Arc::new((spec, writer)))
    }

    /// Gives a sign of life; why the job must end, if another store has its keys.
    pub(super) async fn renew(&self, mut open: RedisConnection) -> RedisResult<Option<KolError>> {
        let (spec, Writer { job, store }) = &*self.0;
        let Some(store) = store else {
            return Ok(None);
        };
        let other = renew(spec, job, store, &mut open).await?;
        Ok(other.map(|other| other.took_over(job)))
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
