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
        match self.place_of_savepoint(name, &request.below) {
            Ok((job, below)) => self.begin_savepoint(now, &job, &below, request.reply).await,
            Err(refused) => {
                let _nobody_waits = request.reply.send(Err(refused));
                Ok(())
            }
        }
    }

    async fn begin_savepoint(
        &mut self,
        now: Millis,
        job: &JobId,
        below: &str,
        reply: Reply<Savepoint>,
    ) -> Result<(), KolError> {
        let id = SavepointId::generate_after(self.store.last_savepoint().as_ref());
        let folder = format!("{below}/{id}");
        let awaited = Awaited {
            folder: folder.clone(),
            reply,
        };
        self.awaited.insert(id.clone(), awaited);
        self.step(now, job, Event::Savepoint(id, folder)).await
    }

    /// The job, and the location below which its savepoint goes; or why none can be requested now.
    fn place_of_savepoint(&self, name: &str, below: &str) -> Result<(JobId, String), KolError> {
        let (id, job) = self.find(name)?;
        let location = &job.header().spec.checkpoint.location;
        let default = format!("{}/{FOLDER}", location.trim_end_matches('/'));
        let below = if below.is_empty() { &*default } else { below };
        below.parse::<Location>()?;
        if let Some(refused) = job.savepoint_refusal() {
            return Err(refused);
        }
        Ok((id.clone(), below.trim_end_matches('/').to_owned()))
    }

    /// A person ends a job. What is refused changes nothing: a job whose savepoint cannot be requested is
    /// not ended either.
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
        let answer = match self.endable(name, savepoint) {
            Ok((id, savepoint)) => {
                if let Some(SavepointRequest { below, reply }) = savepoint {
                    self.begin_savepoint(now, &id, &below, reply).await?;
                }
                self.step(now, &id, Event::End(end, String::new())).await?;
                self.job_status(now, id.as_str())
            }
            Err(refused) => Err(refused),
        };
        let _nobody_waits = reply.send(answer);
        Ok(())
    }

    /// The job, and where its savepoint goes, if one is wanted.
    fn endable(
        &self,
        name: &str,
        savepoint: Option<SavepointRequest>,
    ) -> Result<(JobId, Option<SavepointRequest>), KolError> {
        let (id, job) = self.find(name)?;
        if matches!(job.header().phase, Phase::Over(_)) {
            let what = format!("job `{}` is over already", job.header().spec.name);
            return Err(KolError::user("JOB_OVER", what)
                .job(id.as_str())
                .help("Nothing is left to end; kol-client submit starts it again."));
        }
        let Some(SavepointRequest { below, reply }) = savepoint else {
            return Ok((id.clone(), None));
        };
        let (id, below) = self.place_of_savepoint(id.as_str(), &below)?;
        Ok((id, Some(SavepointRequest { below, reply })))
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
        let savepoint = match self.deletable(id) {
            Ok(savepoint) => savepoint.clone(),
            Err(refused) => {
                let _nobody_waits = reply.send(Err(refused));
                return Ok(());
            }
        };
        self.store.forget_savepoint(&savepoint.id).await?;
        let paths = savepoint.files.iter().map(|f| f.path.clone()).collect();
        self.keeper
            .tell(savepoint.location.clone(), Chore::Savepoint(paths));
        let _nobody_waits = reply.send(Ok(savepoint));
        Ok(())
    }

    /// A savepoint that no live job needs.
    fn deletable(&self, id: &str) -> Result<&Savepoint, KolError> {
        let savepoint = self.store.savepoint(id).ok_or_else(|| {
            let what = format!("there is no savepoint `{id}`");
            KolError::user("SAVEPOINT_NOT_FOUND", what)
                .help("kol-client checkpoints JOB lists them.")
        })?;
        let mut live = self.jobs.values().filter(|job| job.header().is_live());
        let user = live.find(|job| job.reads_from(&savepoint.location));
        user.map_or(Ok(savepoint), |job| {
            let name = &job.header().spec.name;
            let what = format!("job `{name}` began with {id}, and still reads state from it");
            Err(KolError::user("SAVEPOINT_IN_USE", what).job(name).help(
                "Delete it when all kept checkpoints of the job have state of its own, some minutes after it \
                 began (kol-client checkpoints).",
            ))
        })
    }
}
