//! New jobs: submitted, or made to follow one of the same name. Rules:
//!
//! 1. A job name owns its state: a job goes on from the last epoch of the one before it, unless it is
//!    told to begin elsewhere, or without state.
//! 2. State that does not fit the new spec is never dropped unasked.
//! 3. A job that follows a live one waits for it to end. One that carries its state on ends with a last
//!    epoch; one whose state is not wanted any more ends at once.

use kol_common::job::{JobSpec, StartingOffsets};
use kol_common::proto::rewind_request::To;
use kol_common::proto::{RewindRequest, SubmitOutcome, SubmitReply};
use kol_common::{JobId, KolError, Millis};

use super::actor::Controller;
use super::message::Reply;
use crate::checkpoint::keeper::Chore;
use crate::job::difference::{differences, shared_key};
use crate::job::lineage::{Origin, fits};
use crate::job::{End, Event, Job, JobRecord, Phase, Predecessor};

/// Jobs that are over and still listed.
const REMEMBERED: usize = 100;

/// What a person wants started.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What the job is to do.
    pub spec: JobSpec,
    /// What the parser remarked on it.
    pub warnings: Vec<String>,
    /// Where it begins.
    pub begin: Begin,
    /// It takes the place of a live job of its name.
    pub replace: bool,
}

/// Where a submitted job begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// From the last epoch of the job of that name before it, if there was one.
    GoOn,
    /// Without state.
    Anew,
    /// From a job by id or name, or from a savepoint by id.
    From(String),
    /// From the manifest file in a folder; its state fits.
    Folder(String),
}

/// A job that is about to be made.
struct Next {
    spec: JobSpec,
    warnings: Vec<String>,
    origin: Origin,
    /// Its rankings are shown at once, whatever the spec says.
    at_once: bool,
    /// It follows this live job, which ends like this.
    follows: Option<Predecessor>,
}

impl Controller {
    pub(super) async fn submit(
        &mut self,
        now: Millis,
        submission: Submission,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        match self.admit(submission) {
            Ok(Admitted::Same(id, warnings)) => {
                let _nobody_waits = reply.send(Ok(SubmitReply {
                    job_id: id.to_string(),
                    outcome: SubmitOutcome::Unchanged as i32,
                    warnings,
                    origin: String::new(),
                }));
                Ok(())
            }
            Ok(Admitted::New(next)) => self.start(now, *next, reply).await,
            Err(refused) => {
                let _nobody_waits = reply.send(Err(refused));
                Ok(())
            }
        }
    }

    pub(super) async fn rewind(
        &mut self,
        now: Millis,
        request: RewindRequest,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        match self.rewound(&request) {
            Ok(next) => self.start(now, next, reply).await,
            Err(refused) => {
                let _nobody_waits = reply.send(Err(refused));
                Ok(())
            }
        }
    }

    pub(super) async fn roll_back(
        &mut self,
        now: Millis,
        name: &str,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        match self.rolled_back(name) {
            Ok(next) => self.start(now, next, reply).await,
            Err(refused) => {
                let _nobody_waits = reply.send(Err(refused));
                Ok(())
            }
        }
    }

    async fn start(
        &mut self,
        now: Millis,
        next: Next,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        let id = JobId::generate();
        let mut record = JobRecord::new(id.clone(), next.spec, next.warnings.clone(), now);
        record.origin = next.origin;
        record.live |= next.at_once;
        record.follows = next.follows;
        self.store.save(Some(&record), None).await?;
        let (name, origin) = (&record.spec.name, record.origin.to_string());
        tracing::info!(job = %id, %name, origin, "a job was submitted");
        let job = Job::new(record, vec![], now, self.options.drain);
        self.jobs.insert(id.clone(), job);
        self.forget_oldest().await?;
        let _nobody_waits = reply.send(Ok(SubmitReply {
            job_id: id.to_string(),
            outcome: SubmitOutcome::Created as i32,
            warnings: next.warnings,
            origin,
        }));
        self.succeed(now, &id).await
    }

    /// Lets a job begin whose predecessor is over, and ends one that is not: also when this master was
    /// started again in between. For any other job time passes.
    pub(super) async fn succeed(&mut self, now: Millis, id: &JobId) -> Result<(), KolError> {
        let follows = self
            .jobs
            .get(id)
            .and_then(|job| job.header().follows.clone());
        let Some(before) = follows else {
            return self.step(now, id, Event::Tick).await;
        };
        let phase = self.jobs.get(&before.id).map(|job| job.header().phase);
        match phase {
            None | Some(Phase::Over(_)) => self.step(now, id, Event::Succeed).await,
            Some(Phase::Ending(_)) => self.step(now, id, Event::Tick).await,
            Some(Phase::Starting | Phase::Running) => {
                let event = Event::End(before.end, format!("{id} takes its place"));
                self.step(now, &before.id, event).await
            }
        }
    }

    /// Whether a spec may become a job, and where it begins.
    fn admit(&self, submission: Submission) -> Result<Admitted, KolError> {
        let Submission {
            spec,
            warnings,
            begin,
            replace,
        } = submission;
        let before = self.newest(&spec.name);
        let live = before.filter(|(_, job)| job.header().is_live());
        if let Some((id, job)) = live {
            let differences = differences(&job.header().spec, &spec);
            if differences.is_empty() && begin == Begin::GoOn {
                return still_running(job).map(|()| Admitted::Same(id.clone(), warnings));
            }
            if !replace {
                return Err(runs_already(job, &differences));
            }
            still_running(job)?;
        }
        let replaced = live.map(|(id, _)| id);
        self.keys_are_free(&spec, replaced)?;
        let origin = match begin {
            Begin::Anew => Origin::Spec,
            Begin::Folder(location) => Origin::Savepoint { location },
            Begin::From(name) => self.named_origin(&name, &spec, replaced)?,
            Begin::GoOn => before.map_or(Ok(Origin::Spec), |(id, job)| go_on(id, job, &spec))?,
        };
        Ok(Admitted::New(Box::new(Next {
            spec,
            warnings,
            origin,
            at_once: false,
            follows: replaced.map(|id| Predecessor {
                id: id.clone(),
                end: End::Stopped,
            }),
        })))
    }

    /// The newest job of a name.
    fn newest(&self, name: &str) -> Option<(&JobId, &Job)> {
        let mut newest_first = self.jobs.iter().rev();
        newest_first.find(|(_, job)| job.header().spec.name == name)
    }

    fn keys_are_free(&self, spec: &JobSpec, replaced: Option<&JobId>) -> Result<(), KolError> {
        let others = self.jobs.iter().filter(|(id, job)| {
            job.header().is_live() && Some(*id) != replaced && job.header().spec.name != spec.name
        });
        for (_, job) in others {
            let other = &job.header().spec;
            if let Some(key) = shared_key(other, spec) {
                return Err(KolError::user(
                    "SINK_KEYS_TAKEN",
                    format!(
                        "job `{}` already writes the keys `{key}` in the same Redis",
                        other.name
                    ),
                )
                .job(&spec.name)
                .help(
                    "Stop that job, or give this one its own keys in [sink.keys], for example \
                     with {job} in each.",
                ));
            }
        }
        Ok(())
    }

    /// A savepoint by id, or a job by id or name.
    fn named_origin(
        &self,
        name: &str,
        spec: &JobSpec,
        replaced: Option<&JobId>,
    ) -> Result<Origin, KolError> {
        if let Some(savepoint) = self.store.savepoint(name) {
            return Ok(Origin::Savepoint {
                location: savepoint.location.clone(),
            });
        }
        let (id, job) = self.find(name).map_err(|_| {
            let what = format!("`{name}` is no savepoint, no job and no folder");
            KolError::user("SAVEPOINT_NOT_FOUND", what).help(
                "kol-client checkpoints JOB lists savepoints; a folder is file:///PATH or \
                     s3://BUCKET/PATH.",
            )
        })?;
        if job.header().is_live() && Some(id) != replaced {
            let what = format!("job `{name}` is running: its state changes all the time");
            return Err(KolError::user("JOB_RUNNING", what)
                .help("Take a savepoint of it (kol-client savepoint), and begin with that."));
        }
        go_on(id, job, spec)
    }

    fn rewound(&self, request: &RewindRequest) -> Result<Next, KolError> {
        let (id, job) = self.find(&request.job)?;
        still_running(job)?;
        let origin = match request.to {
            Some(To::Epoch(epoch)) => {
                if !job.checkpoints().any(|m| m.epoch == epoch) {
                    let kept: Vec<_> = job.checkpoints().map(|m| m.epoch.to_string()).collect();
                    let what = format!("epoch {epoch} of `{}` is not kept", request.job);
                    return Err(KolError::user("EPOCH_NOT_FOUND", what)
                        .help(format!("Kept are {}.", kept.join(", "))));
                }
                Origin::Job {
                    id: id.clone(),
                    epoch: Some(epoch),
                }
            }
            Some(To::TimestampMs(time)) => {
                Origin::Offsets(StartingOffsets::Timestamp(Millis(time)))
            }
            Some(To::Earliest(_)) => Origin::Offsets(StartingOffsets::Earliest),
            None => {
                let what = "the request does not say where to rewind to";
                return Err(KolError::user("REWIND", what));
            }
        };
        let mut next = self.successor(id, job, job, origin, End::Cancelled);
        next.at_once = request.at_once;
        Ok(next)
    }

    fn rolled_back(&self, name: &str) -> Result<Next, KolError> {
        let (id, job) = self.find(name)?;
        still_running(job)?;
        let record = job.header();
        let older = self.jobs.range(..id.clone()).rev();
        let mut older = older.filter(|(_, j)| j.header().spec.name == record.spec.name);
        let Some((before, job_before)) = older.next() else {
            let what = format!("there was no job `{}` before this one", record.spec.name);
            return Err(KolError::user("JOB_NOT_FOUND", what).help("kol-client jobs lists them."));
        };
        let spec = &job_before.header().spec;
        let carried = Origin::Job {
            id: before.clone(),
            epoch: None,
        };
        // The state of the job before went on in this one: it goes on from here. Otherwise it is where
        // that one left it, and the log has what came after.
        let goes_on = record.origin == carried && fits(&record.spec, spec).is_ok();
        let (origin, end) = if goes_on {
            let here = Origin::Job {
                id: id.clone(),
                epoch: None,
            };
            (here, End::Stopped)
        } else {
            (carried, End::Cancelled)
        };
        Ok(self.successor(id, job, job_before, origin, end))
    }

    /// A job that follows `job` and does what `as_job` did.
    fn successor(&self, id: &JobId, job: &Job, as_job: &Job, origin: Origin, end: End) -> Next {
        let record = as_job.header();
        Next {
            spec: record.spec.clone(),
            warnings: record.warnings.clone(),
            origin,
            at_once: false,
            follows: job.header().is_live().then(|| Predecessor {
                id: id.clone(),
                end,
            }),
        }
    }

    async fn forget_oldest(&mut self) -> Result<(), KolError> {
        let needed: Vec<JobId> = self
            .jobs
            .values()
            .filter(|job| job.header().is_live())
            .filter_map(|job| match &job.header().origin {
                Origin::Job { id, .. } => Some(id.clone()),
                _ => None,
            })
            .collect();
        let over = self.jobs.iter().filter(|(_, job)| !job.header().is_live());
        let over: Vec<JobId> = over.map(|(id, _)| id.clone()).collect();
        let surplus = over.len().saturating_sub(REMEMBERED);
        for id in over.iter().filter(|id| !needed.contains(id)).take(surplus) {
            self.store.remove(id).await?;
            self.keep_in_order(id, Chore::Everything(id.clone()));
            self.jobs.remove(id);
        }
        Ok(())
    }
}

enum Admitted {
    Same(JobId, Vec<String>),
    New(Box<Next>),
}

/// The last epoch of a job, if it ever read anything and its state fits.
fn go_on(id: &JobId, job: &Job, spec: &JobSpec) -> Result<Origin, KolError> {
    if !job.has_read() {
        return Ok(Origin::Spec);
    }
    fits(&job.header().spec, spec)?;
    Ok(Origin::Job {
        id: id.clone(),
        epoch: None,
    })
}

fn still_running(job: &Job) -> Result<(), KolError> {
    let record = job.header();
    if matches!(record.phase, Phase::Ending(_)) {
        return Err(KolError::user(
            "JOB_ENDING",
            format!(
                "the job `{}` of that name is still ending",
                record.spec.name
            ),
        )
        .job(&record.spec.name)
        .help("Submit again when kol-client status says that it is over."));
    }
    Ok(())
}

fn runs_already(job: &Job, differences: &[String]) -> KolError {
    let name = &job.header().spec.name;
    let what = if differences.is_empty() {
        format!("job `{name}` runs")
    } else {
        format!(
            "job `{name}` runs with another spec: {}",
            differences.join("; ")
        )
    };
    KolError::user("JOB_EXISTS", what).job(name).help(
        "Submit with --replace: the job stops with a last checkpoint, and the new one goes on from there.",
    )
}
