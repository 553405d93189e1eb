//! Savepoints that people wait for: the partitions write the state, and a task beside the loop the
//! manifest file that makes it whole; then it is on record.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::checkpoint::snapshot::{MANIFEST, encode};
use kol_common::checkpoint::{Location, Stores};
use kol_common::proto::{Manifest, Savepoint, Snapshot};
use kol_common::{JobId, KolError, Millis, SavepointId};

use super::actor::Controller;
use super::message::{Message, Reply};
use crate::checkpoint::keeper::Chore;
use crate::job::Event;

/// Folder below the checkpoint location where savepoints go that name no other.
const FOLDER: &str = "savepoints";
/// Longest wait to hand over what became of a manifest file.
const HAND_OVER: Duration = Duration::from_secs(60);

/// Who waits for which savepoint.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<SavepointId, (String, Reply<Savepoint>)>);

impl Controller {
    /// A person wants a savepoint of a job below a location.
    pub(super) async fn take_savepoint(
        &mut self,
        now: Millis,
        name: &str,
        below: &str,
        reply: Reply<Savepoint>,
    ) -> Result<(), KolError> {
        let (job, below) = match self.find(name) {
            Ok((id, job)) => {
                let location = &job.header().spec.checkpoint.location;
                let default = format!("{}/{FOLDER}", location.trim_end_matches('/'));
                let below = if below.is_empty() { &*default } else { below };
                (id.clone(), below.trim_end_matches('/').to_owned())
            }
            Err(error) => {
                let _nobody_waits = reply.send(Err(error));
                return Ok(());
            }
        };
        if let Err(error) = below.parse::<Location>() {
            let _nobody_waits = reply.send(Err(error));
            return Ok(());
        }
        let id = SavepointId::generate();
        let folder = format!("{below}/{id}");
        self.waiting.0.insert(id.clone(), (folder.clone(), reply));
        self.step(now, &job, Event::Savepoint(id, folder)).await
    }

    /// All partitions have written their state, or it came to nothing.
    pub(super) fn state_is_saved(
        &mut self,
        job: &JobId,
        id: SavepointId,
        saved: Result<Manifest, KolError>,
    ) {
        let Some((folder, _)) = self.waiting.0.get(&id) else {
            return;
        };
        let folder = folder.clone();
        let spec_json = self.jobs.get(job).map(crate::job::Job::spec_json);
        let spec_json = spec_json
            .ok_or_else(|| KolError::internal("SAVEPOINT_FAILED", "its job is not known any more"));
        let (manifest, spec_json) = match saved.and_then(|manifest| Ok((manifest, spec_json?))) {
            Ok(saved) => saved,
            Err(error) => {
                self.keeper.tell(folder, Chore::Folder);
                if let Some((_, reply)) = self.waiting.0.remove(&id) {
                    let _nobody_waits = reply.send(Err(error));
                }
                return;
            }
        };
        let savepoint = describe(&id, &folder, &manifest);
        let address = self.address.clone();
        let stores = self.options.outside.stores.clone();
        let _runs_by_itself = self.tasks.spawn("savepoint", async move {
            let written = write(&stores, &folder, manifest, spec_json)
                .await
                .map(|()| savepoint);
            let message = Message::SavepointWritten(id, written.map(Box::new));
            let told = address.tell(message, HAND_OVER).await;
            told.map_err(|e| KolError::internal("SAVEPOINT", e.to_string()))
        });
    }

    /// The manifest file is durable, or could not be written.
    pub(super) async fn savepoint_written(
        &mut self,
        id: &SavepointId,
        written: Result<Box<Savepoint>, KolError>,
    ) -> Result<(), KolError> {
        if let Ok(savepoint) = &written {
            self.store.keep_savepoint(savepoint).await?;
            tracing::info!(job = savepoint.job_id, savepoint = %id, location = savepoint.location, "a savepoint is complete");
        }
        if let Some((folder, reply)) = self.waiting.0.remove(id) {
            if written.is_err() {
                self.keeper.tell(folder, Chore::Folder);
            }
            let _nobody_waits = reply.send(written.map(|savepoint| *savepoint));
        }
        Ok(())
    }

    /// Forgets a savepoint, and deletes its files.
    pub(super) async fn delete_savepoint(
        &mut self,
        id: &str,
        reply: Reply<Savepoint>,
    ) -> Result<(), KolError> {
        let Some(savepoint) = self.store.savepoint(id).cloned() else {
            let what = format!("there is no savepoint `{id}`");
            let _nobody_waits = reply.send(Err(KolError::user("SAVEPOINT_NOT_FOUND", what)
                .help("kol-client checkpoints JOB lists them.")));
            return Ok(());
        };
        self.store.forget_savepoint(&savepoint.id).await?;
        let paths = savepoint.files.iter().map(|f| f.path.clone()).collect();
        self.keeper
            .tell(savepoint.location.clone(), Chore::Savepoint(paths));
        let _nobody_waits = reply.send(Ok(savepoint));
        Ok(())
    }
}

/// Writes the manifest file, once nothing else lies in the folder but what it names: a partition that
/// changed hands may have left files of an attempt before.
async fn write(
    stores: &Stores,
    folder: &str,
    mut manifest: Manifest,
    spec_json: String,
) -> Result<(), KolError> {
    let store = stores.open(folder).await?;
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
