//! What follows when a partition fails on an executor because it misses a file of its state.
//!
//! 1. The executor is not believed before the master has looked for that file itself. If the file is whole where the
//!    master looks, nothing is damaged: the executor has another folder, see `misled`.
//! 2. Where the master does not see the place, or cannot read the file in time, it believes what the executor says.

use std::time::Duration;

use kol_common::checkpoint::marker::Marker;
use kol_common::checkpoint::stamp::Stamp;
use kol_common::checkpoint::{ABSENT, Stores};
use kol_common::proto::PartitionFailed;
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::{ExecutorId, JobId, KolError, Millis};
use tokio::time::timeout;

use super::state::Controller;
use crate::job::{Event, Missed};

/// Longest look for a file.
const LOOK: Duration = Duration::from_secs(60);

/// What a root must carry.
struct Root {
    marker: Marker,
    stamp: Option<Stamp>,
}

impl Controller {
    /// A partition failed on an executor.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn partition_failed(
        &mut self,
        now: Millis,
        executor: ExecutorId,
        failed: PartitionFailed,
    ) -> Result<(), KolError> {
        let job = self.jobs.get(&JobId::from_wire(failed.job_id.as_str()));
        let Some(missed) = job.and_then(|job| job.missed(&executor, &failed)) else {
            return self.failure_heard(now, executor, failed).await;
        };
        let root = missed.is_in_root.then(|| Root {
            marker: Marker::Cluster(self.store.cluster().clone()),
            stamp: self.store.stamp_of(&missed.location).cloned(),
        });
        let (stores, handle) = (self.options.outside.stores.clone(), self.handle.clone());
        let _runs_by_itself = self.tasks.spawn("look-for-file", async move {
            let look = timeout(LOOK, look_for(&stores, &missed, root)).await;
            let is_whole = matches!(look, Ok(Ok(())));
            let location = is_whole.then_some(missed.location);
            handle.file_looked_for(executor, failed, location).await
        });
        Ok(())
    }

    /// The look for a file that an executor missed is over. `location` is where the file is whole.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn file_looked_for(
        &mut self,
        now: Millis,
        executor: ExecutorId,
        mut failed: PartitionFailed,
        location: Option<String>,
    ) -> Result<(), KolError> {
        if let Some(location) = location {
            let host = self.members.get(&executor).map(|m| &m.register.host);
            let error = another_folder(host.map_or("", String::as_str), &location, &failed);
            tracing::warn!(code = "ROOT_ABSENT", %executor, %error, "an executor has another folder in the place of the checkpoints: it gets no partitions that need it");
            failed.error = Some(error.to_info());
            self.misled
                .note(now, executor.clone(), location, error.to_info());
        }
        self.failure_heard(now, executor, failed).await
    }

    async fn failure_heard(
        &mut self,
        now: Millis,
        id: ExecutorId,
        failed: PartitionFailed,
    ) -> Result<(), KolError> {
        let job = JobId::from_wire(failed.job_id.as_str());
        let error = failed.error.as_ref().map(kol_common::view::problem_json);
        tracing::warn!(code = "PARTITION_ENDED", executor = %id, %job, partition = ?failed.partition, ?error, "a partition failed");
        let body = FromExecutor::PartitionFailed(failed);
        self.step(now, &job, Event::Received(id, body)).await
    }
}

async fn look_for(stores: &Stores, missed: &Missed, root: Option<Root>) -> Result<(), KolError> {
    let store = stores.present(&missed.location).await?;
    if let Some(root) = root {
        root.marker.check(&store).await?;
        if let Some(stamp) = root.stamp {
            stamp.check(&store).await?;
        }
    }
    store.verify(&missed.file).await
}

fn another_folder(host: &str, location: &str, failed: &PartitionFailed) -> KolError {
    let said = failed.error.as_ref().map_or("", |error| &error.message);
    let what = format!(
        "{host} has another folder in the place of `{location}`, a copy of it: there {said}, and where kol-master \
         looks, the file is whole"
    );
    KolError::external(ABSENT, what).help(
        "Mount the folder that kol-master has there, under the same path. Nothing is damaged.",
    )
}
