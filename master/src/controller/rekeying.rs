//! The internal topic that a job wants, and which one is its own.

use kol_common::job::JobSpec;
use kol_common::{JobId, KolError};

use super::state::Controller;
use crate::job::discovery::{QueryRekeying, Wanted};
use crate::job::internal::same_partitions;
use crate::job::rekeying::RekeyRecord;
use crate::job::{Job, Phase};

impl Controller {
    /// What is to be looked up of the first stage of a job; `None` for one that does not re-key its input.
    pub(super) fn wanted_stage(&self, id: &JobId, job: &Job) -> Option<QueryRekeying> {
        let record = job.header();
        let wanted = wanted(&record.spec)?;
        let own = job.rekeying();
        let begins = own.is_none();
        let stored = own.or_else(|| self.stage_before(id, &record.spec.name, &wanted.topic));
        // A job that runs never gets another topic; one that resumes would lack what its state was made of.
        let needs_it = record.phase != Phase::Starting || !record.origin.is_the_log();
        let offsets = record.spec.source.starting_offsets().clone();
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
            offsets,
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
