//! From the state files of a savepoint to a savepoint: a task beside the loop writes the manifest file that
//! makes it whole; then it is on record.

use kol_common::checkpoint::Stores;
use kol_common::checkpoint::marker::Marker;
use kol_common::checkpoint::snapshot::{MANIFEST, encode};
use kol_common::proto::{Manifest, Savepoint, Snapshot};
use kol_common::{JobId, KolError, SavepointId};

use super::state::Controller;
use crate::checkpoint::keeper::Chore;
use crate::job::Job;

impl Controller {
    /// All partitions have written their state, or the savepoint failed.
    pub(super) fn state_saved(
        &mut self,
        job: &JobId,
        id: SavepointId,
        saved: Result<Manifest, KolError>,
    ) {
        let Some(awaited) = self.awaited.get(&id) else {
            return;
        };
        let folder = awaited.folder.clone();
        let spec_json = self.jobs.get(job).map(Job::spec_json);
        let spec_json = spec_json
            .ok_or_else(|| KolError::internal("SAVEPOINT_FAILED", "its job no longer exists"));
        let (manifest, spec_json) = match saved.and_then(|manifest| Ok((manifest, spec_json?))) {
            Ok(saved) => saved,
            Err(error) => {
                self.keeper.tell(folder, Chore::Folder);
                if let Some(awaited) = self.awaited.remove(&id) {
                    let _nobody_waits = awaited.reply.send(Err(error));
                }
                return;
            }
        };
        let savepoint = describe(&id, &folder, &manifest);
        let handle = self.handle.clone();
        let stores = self.options.outside.stores.clone();
        let _runs_by_itself = self.tasks.spawn("savepoint", async move {
            let written = write(&stores, &folder, &id, manifest, spec_json).await;
            let written = written.map(|()| savepoint);
            handle.savepoint_written(id, written).await
        });
    }

    /// The manifest file is durable, or could not be written.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn savepoint_written(
        &mut self,
        id: &SavepointId,
        written: Result<Box<Savepoint>, KolError>,
    ) -> Result<(), KolError> {
        if let Ok(savepoint) = &written {
            self.store.keep_savepoint(savepoint).await?;
            tracing::info!(job = savepoint.job_id, savepoint = %id, location = savepoint.location, "a savepoint is complete");
        }
        if let Some(awaited) = self.awaited.remove(id) {
            if written.is_err() {
                self.keeper.tell(awaited.folder, Chore::Folder);
            }
            let _nobody_waits = awaited.reply.send(written.map(|savepoint| *savepoint));
        }
        Ok(())
    }
}

/// Writes the manifest file, after it deleted what else lies in the folder: a partition that changed hands
/// may have left files of an earlier attempt.
async fn write(
    stores: &Stores,
    folder: &str,
    id: &SavepointId,
    mut manifest: Manifest,
    spec_json: String,
) -> Result<(), KolError> {
    let store = stores.present(folder).await?;
    Marker::Savepoint(id.clone()).check(&store).await?;
    for partition in &mut manifest.partitions {
        partition.location.clear();
    }
    let files = manifest.partitions.iter().flat_map(|p| &p.files);
    let named: Vec<&str> = files.map(|f| &*f.path).collect();
    let found = store.list("").await?.into_iter().map(|(path, _)| path);
    let others = found.filter(|path| !named.contains(&&**path)).collect();
    store.delete(others).await?;
    let snapshot = Snapshot {
        manifest: Some(manifest),
        spec_json,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    store.put(MANIFEST, encode(&snapshot)).await
}

fn describe(id: &SavepointId, folder: &str, manifest: &Manifest) -> Savepoint {
    let files: Vec<_> = manifest
        .partitions
        .iter()
        .flat_map(|p| p.files.clone())
        .collect();
    Savepoint {
        id: id.to_string(),
        location: folder.to_owned(),
        job_id: manifest.job_id.clone(),
        job_name: manifest.job_name.clone(),
        epoch: manifest.epoch,
        made_ms: manifest.begun_ms,
        took_ms: manifest.took_ms,
        bytes: files.iter().map(|f| f.bytes).sum(),
        kols: manifest.partitions.iter().map(|p| p.kols).sum(),
        files,
    }
}
