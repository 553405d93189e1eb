//! Executors that have another folder in the place of a checkpoint root, and do not know: its marker and its stamp are
//! right, because it was copied a moment ago.
//!
//! 1. One that misses a file of an epoch is not believed before the master has looked for that file itself. If the
//!    file is whole where the master looks, nothing is damaged: the executor has another folder.
//! 2. Then it gets no partitions that need that place for [`DOUBTED`]. By then it has been sent a stamp that the copy
//!    has not got, and says by itself what it does not see.
//! 3. Where the master does not see the place, or cannot read the file in time, it believes what the executor says.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::checkpoint::marker::Marker;
use kol_common::checkpoint::stamp::Stamp;
use kol_common::checkpoint::{ABSENT, Stores};
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::{ErrorInfo, PartitionFailed, UnseenRoot};
use kol_common::{ExecutorId, JobId, KolError, Millis};
use tokio::time::timeout;

use super::state::Controller;
use crate::job::{Event, Missed};

/// How long an executor that has another folder gets nothing: longer than a stamp takes to be written, to settle and
/// to be sent.
const DOUBTED: Duration = Duration::from_secs(60);
/// Longest look for a file.
const LOOK: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Misled(BTreeMap<(ExecutorId, String), (Millis, ErrorInfo)>);

impl Misled {
    fn note(&mut self, now: Millis, executor: ExecutorId, location: String, error: ErrorInfo) {
        self.0.retain(|_, (since, _)| is_doubted(now, *since));
        self.0.insert((executor, location), (now, error));
    }

    /// The places that an executor sees another folder in.
    pub(super) fn of(&self, now: Millis, executor: &ExecutorId) -> Vec<UnseenRoot> {
        let all = self.0.iter();
        let of_it = all.filter(|((of, _), (since, _))| of == executor && is_doubted(now, *since));
        of_it
            .map(|((_, location), (_, error))| UnseenRoot {
                location: location.clone(),
                error: Some(error.clone()),
                folder: String::new(),
            })
            .collect()
    }
}

fn is_doubted(now: Millis, since: Millis) -> bool {
    now.since(since) < Millis::from(DOUBTED)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_with_another_folder_is_doubted_there_and_not_for_ever() {
        let mut misled = Misled::default();
        let (one, two) = (
            ExecutorId::from_wire("exe_1"),
            ExecutorId::from_wire("exe_2"),
        );
        let root = "file:///a".to_owned();
        misled.note(Millis(5), one.clone(), root.clone(), ErrorInfo::default());
        let until = Millis(5 + Millis::from(DOUBTED).0);
        assert_eq!(misled.of(Millis(until.0 - 1), &one)[0].location, root);
        assert_eq!(misled.of(Millis(5), &two), []);
        assert_eq!(misled.of(until, &one), []);
    }
}
