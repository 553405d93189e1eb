//! Savepoints that people request and delete, and jobs that people end, with a savepoint or without.

use kol_common::checkpoint::Location;
use kol_common::proto::{JobStatus, Savepoint};
use kol_common::{JobId, KolError, Millis, SavepointId};

use super::message::{Reply, SavepointRequest};
use super::state::{Awaited, Controller};
use crate::checkpoint::keeper::Chore;
use crate::job::{End, Event, Phase};

/// Folder below the checkpoint location where savepoints go that name no other.
const FOLDER: &str = "savepoints";

impl Controller {
    /// A person requests a savepoint of a job.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn take_savepoint(
        &mut self,
        now: Millis,
        name: &str,
        request: SavepointRequest,
    ) -> Result<(), KolError> {
        let SavepointRequest { below, reply } = request;
        match self.place_of_savepoint(name, &below) {
            Ok((job, below)) => {
                let id = SavepointId::generate();
                let folder = format!("{below}/{id}");
                let awaited = Awaited {
                    folder: folder.clone(),
                    reply,
                };
                self.awaited.insert(id.clone(), awaited);
                self.step(now, &job, Event::Savepoint(id, folder)).await
            }
            Err(refused) => {
                let _nobody_waits = reply.send(Err(refused));
                Ok(())
            }
        }
    }

    /// The job, and the location below which its savepoint goes.
    fn place_of_savepoint(&self, name: &str, below: &str) -> Result<(JobId, String), KolError> {
        let (id, job) = self.find(name)?;
        let location = &job.header().spec.checkpoint.location;
        let default = format!("{}/{FOLDER}", location.trim_end_matches('/'));
        let below = if below.is_empty() { &*default } else { below };
        below.parse::<Location>()?;
        Ok((id.clone(), below.trim_end_matches('/').to_owned()))
    }

    /// A person ends a job.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn end(
        &mut self,
        now: Millis,
        name: &str,
        end: End,
        savepoint: Option<SavepointRequest>,
        reply: Reply<JobStatus>,
    ) -> Result<(), KolError> {
        let answer = match self.not_over(name) {
            Ok(id) => {
                if let Some(request) = savepoint {
                    self.take_savepoint(now, id.as_str(), request).await?;
                }
                self.step(now, &id, Event::End(end, String::new())).await?;
                self.job_status(now, id.as_str())
            }
            Err(error) => Err(error),
        };
        let _nobody_waits = reply.send(answer);
        Ok(())
    }

    fn not_over(&self, name: &str) -> Result<JobId, KolError> {
        let (id, job) = self.find(name)?;
        if !matches!(job.header().phase, Phase::Over(_)) {
            return Ok(id.clone());
        }
        let what = format!("job `{}` is over already", job.header().spec.name);
        Err(KolError::user("JOB_OVER", what).job(id.as_str()))
    }

    /// Takes a savepoint off the record, and deletes its files.
    ///
    /// # Errors
    /// The store does not take writes.
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
