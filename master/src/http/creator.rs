//! What one creator's score is made of: looked up at the executors of a job, for whoever looks at that creator.

use std::sync::Arc;
use std::time::Duration;

use kol_common::KolError;
use kol_common::proto::ExplainRequest;
use kol_common::view::{Score, explanation_json};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::role::Roles;

/// Lookups at one time: each costs every partition of the job a look at all its readings.
const LOOKUPS: usize = 4;
/// Longest wait for the turn.
const TURN: Duration = Duration::from_secs(2);

/// See the module. Cheap to clone; clones share the turns.
#[derive(Clone, Debug)]
pub(super) struct Creators {
    roles: Roles,
    turns: Arc<Semaphore>,
}

impl Creators {
    pub(super) fn new(roles: Roles) -> Self {
        Self {
            roles,
            turns: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }

    /// As `kol-client explain` prints it.
    ///
    /// # Errors
    /// No such job or creator; this master follows; executors do not answer in time; `PAGE_BUSY`.
    pub(super) async fn explain(&self, request: ExplainRequest) -> Result<Value, KolError> {
        let turn = timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(busy());
        };
        let found = self.roles.leader()?.explain(request).await?;
        Ok(explanation_json(&found, &Score::of(&found)?.scored()))
    }
}

/// Too many look things up.
pub(super) fn busy() -> KolError {
    let what = "too many pages look something up at this moment";
    KolError::external("PAGE_BUSY", what).help("The page tries again by itself.")
}
