//! The internal topic that a job wants, and which one is its own.

use kol_common::job::{JobSpec, SourceSpec};
use std::time::Duration;

use kol_common::{JobId, KolError};

use super::state::Controller;
use crate::job::discovery::{Outside, QueryRekeying, Wanted};
use crate::job::internal::same_partitions;
use crate::job::record::RekeyRecord;
use crate::job::tenure::Owned;
use crate::job::{Job, Phase};

/// Code of an error about a right that the user of the job does not have.
const DENIED: &str = "SOURCE_DENIED";
/// Longest look at an internal topic before a job is accepted.
const LIMIT: Duration = Duration::from_secs(8);

impl Controller {
    /// What is to be looked up of the first stage of a job; `None` for one that does not re-key its input.
    pub(super) fn wanted_stage(&self, id: &JobId, job: &Job) -> Option<QueryRekeying> {
        let record = job.header();
        let own = job.rekeying();
        // A job that runs never gets another topic; one that resumes would lack what its state was made of.
        let needs_it = record.phase != Phase::Starting || !record.origin.is_the_log();
        self.stage(id, &record.spec, own, needs_it)
    }

    /// The same of a job that is to be created under this id. `resumes`: it begins with a state.
    pub(super) fn stage_to_begin(
        &self,
        id: &JobId,
        spec: &JobSpec,
        resumes: bool,
    ) -> Option<QueryRekeying> {
        self.stage(id, spec, None, resumes)
    }

    fn stage(
        &self,
        id: &JobId,
        spec: &JobSpec,
        own: Option<RekeyRecord>,
        needs_it: bool,
    ) -> Option<QueryRekeying> {
        let wanted = wanted(spec)?;
        let begins = own.is_none();
        let stored = own.or_else(|| self.stage_before(id, &spec.name, &wanted.topic));
        let (stored, known) = stored.map_or((None, Vec::new()), |stored| {
            let mut known = stored.partitions;
            for partition in known.iter_mut().filter(|_| begins) {
                (partition.owner, partition.placed, partition.last) = (None, None, None);
                partition.assignment_epoch = 0;
            }
            (Some(stored.internal), known)
        });
        Some(QueryRekeying {
            must_be_stored: needs_it && stored.is_some(),
            wanted,
            stored,
            known,
            offsets: spec.source.starting_offsets().clone(),
        })
    }

    /// Refuses another number of partitions for the internal topic than it has.
    pub(super) fn partitions_fit(&self, spec: &JobSpec) -> Result<(), KolError> {
        let Some(wanted) = wanted(spec) else {
            return Ok(());
        };
        let of_name = self.jobs.values().rev();
        let mut stored = of_name
            .filter(|job| job.header().spec.name == spec.name)
            .filter_map(Job::internal)
            .filter(|internal| internal.topic == wanted.topic);
        let stored = stored.next();
        stored.map_or(Ok(()), |stored| {
            same_partitions(stored, wanted.partitions).map_err(|e| e.job(&spec.name))
        })
    }

    /// The first stage of the newest job of this name before one, if that wrote to this topic.
    fn stage_before(&self, id: &JobId, name: &str, topic: &str) -> Option<RekeyRecord> {
        let before = self.jobs.range(..id.clone()).rev();
        let mut of_name = before.filter(|(_, job)| job.header().spec.name == name);
        of_name.find_map(|(_, job)| job.rekeying().filter(|r| r.internal.topic == topic))
    }
}

/// The internal topic that a spec wants.
pub(super) fn wanted(spec: &JobSpec) -> Option<Wanted> {
    let (rekey, topic) = spec.rekey()?;
    Some(Wanted {
        topic,
        partitions: rekey.partitions,
        retention: rekey.retention,
    })
}

/// The answer to the look at whose keys a job would write, unless its internal topic cannot be had. A broker that does not
/// answer is no reason: the job waits for it.
///
/// # Errors
/// As of that look; the topic is not this job's, or the user has no right to create it.
pub(super) async fn internal_topic_is_there(
    owned: impl Future<Output = Result<Owned, KolError>>,
    source: SourceSpec,
    stage: Option<QueryRekeying>,
    outside: &Outside,
) -> Result<Owned, KolError> {
    let owned = owned.await;
    let Some(stage) = stage.filter(|_| owned.is_ok()) else {
        return owned;
    };
    let secrets = outside.secrets.clone();
    let look = outside.brokers.internal_topic(source, stage, secrets);
    match tokio::time::timeout(LIMIT, look).await {
        Ok(Err(refused)) if !refused.retryable || refused.code == DENIED => Err(refused.terminal()),
        _ => owned,
    }
}
