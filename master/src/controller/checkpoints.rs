//! What follows from a committed epoch, and what people ask about them.

use kol_common::proto::{ListCheckpointsReply, Manifest, Snapshot};
use kol_common::{JobId, KolError, SourcePartition};

use super::actor::Controller;
use crate::checkpoint::keeper::Chore;
use crate::job::{JobRecord, Origin, Start};

impl Controller {
    /// Tells lag tools how far the job is.
    pub(super) fn publish_offsets(&mut self, id: &JobId, manifest: &Manifest) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        if !self.group_offsets.contains_key(id) {
            let (source, outside) = (&job.header().spec.source, &self.options.outside);
            match outside.brokers.group_offsets(source, &outside.secrets) {
                Ok(offsets) => self.group_offsets.insert(id.clone(), offsets),
                Err(error) => {
                    return tracing::debug!(job = %id, %error, "lag tools will not see this job");
                }
            };
        }
        let offset_of = |p: &kol_common::proto::PartitionCheckpoint| {
            let partition = SourcePartition::from(p.partition.clone()?);
            Some((partition, p.offset))
        };
        if let Some(offsets) = self.group_offsets.get(id) {
            offsets.publish(manifest.partitions.iter().filter_map(offset_of).collect());
        }
    }

    /// Where a job begins, once what it follows is over.
    pub(super) fn start_of(&self, record: &JobRecord) -> Result<Start, KolError> {
        let (id, epoch) = match &record.origin {
            Origin::Spec => {
                let offsets = record.spec.source.starting_offsets().clone();
                return Ok(Start::Offsets(offsets));
            }
            Origin::Offsets(offsets) => return Ok(Start::Offsets(offsets.clone())),
            Origin::Savepoint { location } => return Ok(Start::Folder(location.clone())),
            Origin::Job { id, epoch } => (id, *epoch),
        };
        let left = self.jobs.get(id).and_then(|job| job.state_left(epoch));
        left.map(|state| Start::State(Box::new(state)))
            .ok_or_else(|| {
                let what = format!("{} is not known any more", record.origin);
                KolError::user("EPOCH_NOT_FOUND", what)
                    .help("Submit with --from-savepoint and a savepoint, or with --discard-state.")
            })
    }

    /// The manifest file of the job's folder says what was committed last.
    pub(super) fn publish_manifest(&self, id: &JobId, manifest: Manifest) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let snapshot = Snapshot {
            manifest: Some(manifest),
            spec_json: job.spec_json(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.keep_in_order(id, Chore::Manifest(id.clone(), Box::new(snapshot)));
    }

    /// Has something done in the job's folder, beside the loop.
    pub(super) fn keep_in_order(&self, id: &JobId, chore: Chore) {
        if let Some(job) = self.jobs.get(id) {
            let location = job.header().spec.checkpoint.location.clone();
            self.keeper.tell(location, chore);
        }
    }

    pub(super) fn checkpoints(&self, name: &str) -> Result<ListCheckpointsReply, KolError> {
        let (_, job) = self.find(name)?;
        Ok(ListCheckpointsReply {
            location: job.header().spec.checkpoint.location.clone(),
            checkpoints: job.checkpoints().cloned().collect(),
            savepoints: self
                .store
                .savepoints(&job.header().spec.name)
                .cloned()
                .collect(),
        })
    }
}
