//! New jobs: whether a submission becomes one, and where it begins. Rules:
//!
//! 1. A job name owns its state: a job resumes from the last epoch of the one before it, unless it is to
//!    begin elsewhere, or without state.
//! 2. State that does not fit the new spec is never dropped unasked. A job that never read anything hands on
//!    where it was to begin: what a person requested for it was not done yet.
//! 3. A job that follows a live one waits for it to end. A live one whose state the next job takes over
//!    ends with a last epoch; one whose state is no longer wanted ends at once.
//! 4. One that has read ends only for a job that could run: its topics and its Redis are looked at before.

use kol_common::job::JobSpec;
use kol_common::proto::{SubmitOutcome, SubmitReply};
use kol_common::{JobId, KolError, Millis};

use super::message::Reply;
use super::rekeying::internal_topic_is_there;
use super::replacement::could_run;
use super::state::Controller;
use super::submission::{Begin, Submission};
use crate::job::Origin;
use crate::job::difference::{differences, shared_key};
use crate::job::lineage::fits;
use crate::job::tenure::{Owned, keys_taken, look};
use crate::job::{End, Job, JobRecord, Phase, Predecessor};

/// A job that is about to be created.
pub(super) struct Next {
    pub(super) spec: JobSpec,
    pub(super) warnings: Vec<String>,
    pub(super) origin: Origin,
    /// Its rankings are shown at once, whatever the spec says.
    pub(super) at_once: bool,
    /// What only who submits it must know: the job itself finds it out.
    pub(super) remarks: Vec<String>,
    /// It takes its keys in Redis from whoever has them.
    pub(super) take_over: bool,
    /// It follows this live job, which ends like this.
    pub(super) follows: Option<Predecessor>,
    /// What the trace of its beginning belongs to.
    pub(super) traceparent: String,
}

impl Controller {
    /// A person submits a job. Whose keys it would write is looked up in Redis before it is accepted, and its
    /// topics too where it replaces a job that has read.
    pub(super) fn submit(&self, submission: Submission, reply: Reply<SubmitReply>) {
        let answer = match self.admit(submission.clone()) {
            Ok(Admitted::Same(reply)) => Ok(reply),
            Ok(Admitted::New(next)) => return self.look_at_owners(submission, &next, reply),
            Err(refused) => Err(refused),
        };
        let _nobody_waits = reply.send(answer);
    }

    fn look_at_owners(&self, submission: Submission, next: &Next, reply: Reply<SubmitReply>) {
        let replaced = next.follows.as_ref().map(|before| &before.id);
        // Every job there is is older.
        let id = JobId::generate_after(self.jobs.keys().next_back());
        let claim = self.claim(&id, &next.spec, 0, replaced);
        let ends = replaced
            .and_then(|id| self.jobs.get(id))
            .filter(|job| job.has_read());
        let replacement = ends.map(|_| next.spec.clone());
        let stage = self.stage_to_begin(&id, &next.spec, !next.origin.is_the_log());
        let source = next.spec.source.clone();
        let (outside, handle) = (self.options.outside.clone(), self.handle.clone());
        let _runs_by_itself = self.tasks.spawn("owners", async move {
            let owned = look(claim, submission.take_over, &outside);
            let staged = internal_topic_is_there(owned, source, stage, &outside);
            let owned = match replacement {
                Some(spec) => Box::pin(could_run(staged, &spec, &outside)).await,
                None => staged.await,
            };
            handle.owners_looked(submission, owned, reply).await
        });
    }

    /// It is known whose keys a submitted job would write. Where that could not be looked up, the job finds it
    /// out before it starts.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn owners_looked(
        &mut self,
        now: Millis,
        submission: Submission,
        owned: Result<Owned, KolError>,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        let answer = match (self.admit(submission), owned) {
            (Ok(Admitted::New(_)), Err(held)) if !held.retryable => Err(held),
            (Ok(Admitted::New(mut next)), owned) => {
                let Owned {
                    displaced, evicts, ..
                } = owned.unwrap_or_default();
                next.remarks = displaced;
                next.remarks.extend(evicts.map(|e| e.to_string()));
                return self.start(now, *next, reply).await;
            }
            (Ok(Admitted::Same(reply)), _) => Ok(reply),
            (Err(refused), _) => Err(refused),
        };
        let _nobody_waits = reply.send(answer);
        Ok(())
    }

    /// Makes a job durable and lets it begin, or end what it follows.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn start(
        &mut self,
        now: Millis,
        next: Next,
        reply: Reply<SubmitReply>,
    ) -> Result<(), KolError> {
        let id = JobId::generate_after(self.jobs.keys().next_back());
        let mut record =
            JobRecord::new(id.clone(), next.spec, next.warnings.clone(), Millis::now());
        record.origin = next.origin;
        record.shown |= next.at_once;
        record.follows = next.follows;
        record.take_over = next.take_over;
        self.store.save(Some(&record), None).await?;
        let (name, origin) = (&record.spec.name, record.origin.to_string());
        tracing::info!(code = "JOB_SUBMITTED", job = name.as_str(), job_id = %id, origin, "a job was submitted");
        self.begins.begin(&id, name, &next.traceparent);
        let job = Job::new(record, vec![], now, self.options.drain);
        self.jobs.insert(id.clone(), job);
        self.forget_oldest(now).await?;
        let _nobody_waits = reply.send(Ok(SubmitReply {
            job_id: id.to_string(),
            outcome: SubmitOutcome::Created as i32,
            warnings: [next.warnings, next.remarks].concat(),
            origin,
        }));
        self.advance(now, &id).await
    }

    /// Whether a spec may become a job, and where it begins.
    fn admit(&self, submission: Submission) -> Result<Admitted, KolError> {
        let Submission {
            spec,
            warnings,
            begin,
            replace,
            take_over,
            traceparent,
        } = submission;
        let before = self.of_name(&spec.name).next();
        // Not always the newest: one that never began may be over before the one that it superseded.
        let live = self
            .of_name(&spec.name)
            .find(|(_, job)| job.header().is_live());
        if let Some((id, job)) = live {
            let differences = differences(&job.header().spec, &spec);
            if differences.is_empty() && begin == Begin::Resume {
                return not_ending(job).map(|()| {
                    Admitted::Same(SubmitReply {
                        job_id: id.to_string(),
                        outcome: SubmitOutcome::Unchanged as i32,
                        warnings,
                        origin: String::new(),
                    })
                });
            }
            if !replace {
                return Err(runs_already(job, &differences));
            }
            not_ending(job)?;
        }
        let replaced = live.map(|(id, _)| id);
        self.keys_are_free(&spec, replaced)?;
        self.partitions_fit(&spec)?;
        let origin = match begin {
            Begin::WithoutState => Origin::Spec,
            Begin::Folder(location) => Origin::Savepoint { location },
            Begin::From(name) => self.named_origin(&name, &spec, replaced)?,
            Begin::Resume => {
                before.map_or(Ok(Origin::Spec), |(id, job)| last_state(id, job, &spec))?
            }
        };
        Ok(Admitted::New(Box::new(Next {
            spec,
            warnings,
            origin,
            at_once: false,
            remarks: Vec::new(),
            take_over,
            follows: replaced.map(|id| Predecessor {
                id: id.clone(),
                end: End::Stopped,
            }),
            traceparent,
        })))
    }

    /// The jobs of a name, newest first.
    fn of_name(&self, name: &str) -> impl Iterator<Item = (&JobId, &Job)> {
        let newest_first = self.jobs.iter().rev();
        newest_first.filter(move |(_, job)| job.header().spec.name == name)
    }

    /// Refuses a job that a live one of its name, other than `replaced`, stands in the way of.
    pub(super) fn name_is_free(&self, name: &str, replaced: &JobId) -> Result<(), KolError> {
        let mut others = self.jobs.iter().filter(|(id, job)| {
            job.header().is_live() && *id != replaced && job.header().spec.name == name
        });
        others.next().map_or(Ok(()), |(id, _)| {
            let what = format!("job `{name}` runs as {id}, which is not {replaced}");
            Err(KolError::user("JOB_EXISTS", what)
                .job(name)
                .help("Name the job that runs, or stop it first."))
        })
    }

    /// Refuses a job that would write keys of a live one in the same Redis; `replaced` is about to end.
    pub(super) fn keys_are_free(
        &self,
        spec: &JobSpec,
        replaced: Option<&JobId>,
    ) -> Result<(), KolError> {
        let others = self.jobs.iter().filter(|(id, job)| {
            job.header().is_live() && Some(*id) != replaced && job.header().spec.name != spec.name
        });
        for (_, job) in others {
            let other = &job.header().spec;
            if let Some(key) = shared_key(other, spec) {
                return Err(keys_taken(&spec.name, &other.name, &key));
            }
        }
        Ok(())
    }

    /// A job by id or name.
    fn named_origin(
        &self,
        name: &str,
        spec: &JobSpec,
        replaced: Option<&JobId>,
    ) -> Result<Origin, KolError> {
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
        last_state(id, job, spec)
    }
}

enum Admitted {
    Same(SubmitReply),
    New(Box<Next>),
}

/// What a job leaves, if its state fits.
fn last_state(id: &JobId, job: &Job, spec: &JobSpec) -> Result<Origin, KolError> {
    let left = left_by(id, job);
    if !left.is_the_log() {
        // The state of an origin fits the job that was to begin with it.
        fits(&job.header().spec, spec)?;
    }
    Ok(left)
}

/// What a job leaves: its last epoch, or, if it never read anything, where it was to begin.
pub(super) fn left_by(id: &JobId, job: &Job) -> Origin {
    if !job.has_read() {
        return job.header().origin.clone();
    }
    Origin::Job {
        id: id.clone(),
        epoch: None,
    }
}

/// Refuses a job that is ending: what follows it would not know how it ended.
pub(super) fn not_ending(job: &Job) -> Result<(), KolError> {
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
        "Submit with --replace: the job stops with a last checkpoint, and the new one resumes from there.",
    )
}
