//! From the state files of a savepoint to a savepoint: a task beside the loop writes the manifest file that
//! makes it whole; then it is on record.

use kol_common::checkpoint::Stores;
use kol_common::checkpoint::marker::Marker;
use kol_common::checkpoint::snapshot::{MANIFEST, encode};
use kol_common::proto::{Manifest, Savepoint, Snapshot};
use kol_common::{JobId, KolError, SavepointId};

use super::state::{Awaited, Controller};
use crate::checkpoint::keeper::Chore;

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
        let spec_json = self.jobs.get(job).map(|job| job.header().spec_json());
        let spec_json = spec_json
            .ok_or_else(|| KolError::internal("SAVEPOINT_FAILED", "its job no longer exists"));
        let (manifest, spec_json) = match saved.and_then(|manifest| Ok((manifest, spec_json?))) {
            Ok(saved) => saved,
            Err(error) => return self.savepoint_failed(&id, error),
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

    /// A savepoint cannot be completed: its folder goes, and whoever waits for it is answered.
    pub(super) fn savepoint_failed(&mut self, id: &SavepointId, error: KolError) {
        if let Some(awaited) = self.drop_savepoint(id) {
            awaited.refuse(error);
        }
    }

    /// Takes back a savepoint that is not complete, with its folder; answers who waits for it.
    pub(super) fn drop_savepoint(&mut self, id: &SavepointId) -> Option<Awaited> {
        let awaited = self.awaited.remove(id)?;
        self.keeper.tell(awaited.folder.clone(), Chore::Folder);
        Some(awaited)
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
