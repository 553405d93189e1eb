//! What follows from a committed epoch, and what people ask about them.

use kol_common::proto::{ListCheckpointsReply, Manifest};
use kol_common::{JobId, KolError, SourcePartition};

use super::actor::Controller;
use crate::checkpoint::collector::Garbage;
use crate::checkpoint::group_offsets::GroupOffsets;

impl Controller {
    /// Tells lag tools how far the job is.
    pub(super) fn publish_offsets(&mut self, id: &JobId, manifest: &Manifest) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        if !self.group_offsets.contains_key(id) {
            match GroupOffsets::start(&job.header().spec.source, &self.options.secrets) {
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

    /// Deletes state of a job beside the loop.
    pub(super) fn collect(&self, id: &JobId, what: Garbage) {
        if let Some(job) = self.jobs.get(id) {
            let location = job.header().spec.checkpoint.location.clone();
            self.collector.delete(location, what);
        }
    }

    pub(super) fn checkpoints(&self, name: &str) -> Result<ListCheckpointsReply, KolError> {
        let (_, job) = self.find(name)?;
        Ok(ListCheckpointsReply {
            location: job.header().spec.checkpoint.location.clone(),
            checkpoints: job.checkpoints().cloned().collect(),
        })
    }
}
