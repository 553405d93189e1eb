//! Deletes the files of what was forgotten, beside the loop: what is still to be deleted is durable, and is tried
//! again, after waits that grow, until its place is there.

use std::collections::BTreeMap;

use kol_common::checkpoint::Stores;
use kol_common::checkpoint::marker::Marker;
use kol_common::{KolError, Millis};

use super::state::Controller;
use crate::checkpoint::deletion::Deletion;

impl Controller {
    /// Begins an attempt if one is due.
    pub(super) fn tick_deletions(&mut self, now: Millis) {
        if !self.attempts.is_due(now) || self.store.deletions().is_empty() {
            return;
        }
        self.attempts.begin(now);
        let (deletions, roots) = (self.store.deletions().clone(), self.store.roots());
        let cluster = Marker::Cluster(self.store.cluster().clone());
        let (stores, handle) = (self.options.outside.stores.clone(), self.handle.clone());
        let _runs_by_itself = self.tasks.spawn("deletions", async move {
            let done = attempt(&stores, &cluster, &roots, deletions).await;
            handle.deleted(done).await
        });
    }

    /// An attempt is over: these are deleted.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn deleted(&mut self, now: Millis, done: Vec<String>) -> Result<(), KolError> {
        for id in &done {
            self.store.deleted(id).await?;
        }
        self.attempts.end(now, !done.is_empty());
        Ok(())
    }
}

/// Deletes what can be deleted now. A place that fails is not tried a second time.
async fn attempt(
    stores: &Stores,
    cluster: &Marker,
    roots: &[String],
    deletions: BTreeMap<String, Deletion>,
) -> Vec<String> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (id, deletion) in deletions {
        if failed.contains(&deletion.location) {
            continue;
        }
        match deletion.carry_out(stores, cluster, roots).await {
            Ok(()) => done.push(id),
            Err(error) => {
                tracing::debug!(%error, id, "a deletion is deferred: it is tried again");
                failed.push(deletion.location);
            }
        }
    }
    done
}
