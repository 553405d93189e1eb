//! What follows from a committed epoch, outside of the master.

use kol_common::proto::{Manifest, PartitionCheckpoint, Snapshot};
use kol_common::{JobId, SourcePartition};

use super::state::Controller;
use crate::checkpoint::keeper::Chore;

impl Controller {
    /// Tells lag tools how far the job is.
    pub(super) fn publish_offsets(&mut self, id: &JobId, manifest: &Manifest) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        if !self.group_offsets.contains_key(id) {
            let (source, outside) = (&job.header().spec.source, &self.options.outside);
            match outside
                .brokers
                .group_offsets(source, &outside.secrets, &self.tasks)
            {
                Ok(offsets) => self.group_offsets.insert(id.clone(), offsets),
                Err(error) => {
                    return tracing::debug!(job = %id, %error, "lag tools will not see this job");
                }
            };
        }
        let offset_of = |p: &PartitionCheckpoint| {
            let partition = SourcePartition::from(p.partition.clone()?);
            Some((partition, p.offset))
        };
        if let Some(offsets) = self.group_offsets.get(id) {
            offsets.publish(manifest.partitions.iter().filter_map(offset_of).collect());
        }
    }

    /// Has the manifest file of the job's folder say what was committed last.
    pub(super) fn publish_manifest(&self, id: &JobId, manifest: Manifest) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let snapshot = Snapshot {
            manifest: Some(manifest),
            spec_json: job.header().spec_json(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.clean_up(id, Chore::Manifest(id.clone(), Box::new(snapshot)));
    }
}
