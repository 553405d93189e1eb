//! Savepoints that people request and delete, and jobs that people end, with a savepoint or without.

use kol_common::checkpoint::marker::Marker;
use kol_common::checkpoint::{Location, Stores};
use kol_common::proto::{JobStatus, Savepoint};
use kol_common::{JobId, KolError, Millis, SavepointId};

use super::message::{Ending, Reply, SavepointRequest};
use super::state::{Awaited, Controller};
use crate::checkpoint::deletion::{Deletion, Forgotten};
use crate::job::{End, Event, Job, Phase};

/// Folder below the checkpoint location where savepoints go that name no other.
const FOLDER: &str = "savepoints";

impl Controller {
    /// A person requests a savepoint of a job.
    pub(super) fn take_savepoint(&mut self, name: &str, request: SavepointRequest) {
        match self.place_of_savepoint(name, &request.below) {
            Ok((job, below)) => self.place_savepoint(job, &below, request.reply, None),
            Err(refused) => {
                let _nobody_waits = request.reply.send(Err(refused));
            }
        }
    }

    /// Makes the folder of a savepoint, beside the loop: executors write only where its marker is.
    fn place_savepoint(
        &mut self,
        job: JobId,
        below: &str,
        reply: Reply<Savepoint>,
        ending: Option<Ending>,
    ) {
        let id = SavepointId::generate_after(self.store.last_savepoint().as_ref());
        let folder = format!("{below}/{id}");
        let awaited = Awaited {
            folder: folder.clone(),
            reply,
            ending,
        };
        self.awaited.insert(id.clone(), awaited);
        let root = self.jobs.get(&job).map(|j| &j.header().spec.checkpoint);
        let root = root.map(|c| c.location.clone()).unwrap_or_default();
        let marker = Marker::Cluster(self.store.cluster().clone());
        let stores = self.options.outside.stores.clone();
        let handle = self.handle.clone();
        let _runs_by_itself = self.tasks.spawn("savepoint-folder", async move {
            let placed = make_folder(&stores, (&root, &marker), &folder, &id).await;
            handle.savepoint_placed(job, id, placed).await
        });
    }

    /// The folder of a savepoint is there, or cannot be made: then nothing changes. So it is when who wanted the
    /// job ended no longer waits: that was reported as refused, or withdrawn.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn savepoint_placed(
        &mut self,
        now: Millis,
        job: &JobId,
        id: SavepointId,
        placed: Result<(), KolError>,
    ) -> Result<(), KolError> {
        let Some(awaited) = self.awaited.get(&id) else {
            return Ok(());
        };
        if awaited.is_withdrawn() {
            runs_on(job.as_str());
            let _nobody_waits = self.drop_savepoint(&id);
            return Ok(());
        }
        let (folder, ends) = (awaited.folder.clone(), awaited.ending.is_some());
        if let Err(refused) = placed.and_then(|()| self.may_save(job, ends)) {
            self.savepoint_failed(&id, refused);
            return Ok(());
        }
        self.step(now, job, Event::Savepoint(id, folder)).await
    }

    /// The manifest file of a savepoint is durable, or could not be written. A job that ends with it ends only
    /// now, so that a savepoint that fails changes nothing.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn savepoint_written(
        &mut self,
        now: Millis,
        id: &SavepointId,
        written: Result<Box<Savepoint>, KolError>,
    ) -> Result<(), KolError> {
        let savepoint = match written {
            Ok(savepoint) => savepoint,
            Err(error) => {
                self.savepoint_failed(id, error);
                return Ok(());
            }
        };
        self.store.keep_savepoint(&savepoint).await?;
        tracing::info!(code = "SAVEPOINT_COMPLETE", job = savepoint.job_id, savepoint = %id, location = savepoint.location, "a savepoint is complete");
        let Some(awaited) = self.awaited.remove(id) else {
            return Ok(());
        };
        if awaited.is_withdrawn() {
            runs_on(&savepoint.job_id);
        } else if let Some((end, reply)) = awaited.ending {
            let job = JobId::from_wire(&*savepoint.job_id);
            self.step(now, &job, Event::End(end, String::new())).await?;
            let _nobody_waits = reply.send(self.job_status(now, job.as_str()));
        }
        let _nobody_waits = awaited.reply.send(Ok(*savepoint));
        Ok(())
    }

    /// Whether a savepoint may begin now that its folder is there, and the job may end with it.
    fn may_save(&self, job: &JobId, ends: bool) -> Result<(), KolError> {
        let (_, job) = self.find(job.as_str())?;
        if ends {
            not_over(job)?;
        }
        job.savepoint_refusal().map_or(Ok(()), Err)
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

    /// A person ends a job, with a savepoint or without. What is refused changes nothing: a job whose savepoint
    /// cannot be requested, or fails, is not ended either.
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
        let ended = self.endable(name);
        if let Some(savepoint) = savepoint {
            self.end_with_savepoint(ended, savepoint, (end, reply));
            return Ok(());
        }
        let answer = match ended {
            Ok(id) => {
                self.step(now, &id, Event::End(end, String::new())).await?;
                self.job_status(now, id.as_str())
            }
            Err(refused) => Err(refused),
        };
        let _nobody_waits = reply.send(answer);
        Ok(())
    }

    fn end_with_savepoint(
        &mut self,
        ended: Result<JobId, KolError>,
        SavepointRequest { below, reply }: SavepointRequest,
        ending: Ending,
    ) {
        let place = ended.and_then(|id| self.place_of_savepoint(id.as_str(), &below));
        match place {
            Ok((id, below)) => self.place_savepoint(id, &below, reply, Some(ending)),
            Err(refused) => {
                let (folder, ending) = (String::new(), Some(ending));
                let nothing_made = Awaited {
                    folder,
                    reply,
                    ending,
                };
                nothing_made.refuse(refused);
            }
        }
    }

    /// A job that a person can still end.
    fn endable(&self, name: &str) -> Result<JobId, KolError> {
        let (id, job) = self.find(name)?;
        not_over(job)?;
        Ok(id.clone())
    }

    /// Takes a savepoint off the record; its files are deleted once their place is there.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn delete_savepoint(
        &mut self,
        now: Millis,
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
        let paths = savepoint.files.iter().map(|f| f.path.clone());
        let files = Deletion {
            location: savepoint.location.clone(),
            what: Forgotten::Savepoint(paths.collect()),
        };
        self.store.forget_savepoint(&savepoint.id, files).await?;
        self.attempts.hurry(now);
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

fn runs_on(job: &str) {
    tracing::info!(code = "STOP_WITHDRAWN", %job, "nobody waits for the end of this job any longer: it runs on");
}

fn not_over(job: &Job) -> Result<(), KolError> {
    let record = job.header();
    if matches!(record.phase, Phase::Over(_)) {
        let what = format!("job `{}` is over already", record.spec.name);
        return Err(KolError::user("JOB_OVER", what)
            .job(record.id.as_str())
            .help("Nothing is left to end; kol-client submit starts it again."));
    }
    Ok(())
}

/// Makes the folder of a savepoint with its marker; below the checkpoint root only if that is there.
async fn make_folder(
    stores: &Stores,
    (root, marker): (&str, &Marker),
    folder: &str,
    id: &SavepointId,
) -> Result<(), KolError> {
    let below: Location = folder.parse()?;
    if root.parse::<Location>()?.holds(&below) {
        marker.check(&stores.present(root).await?).await?;
    }
    let store = stores.open(folder).await?;
    Marker::Savepoint(id.clone()).write(&store).await
}
