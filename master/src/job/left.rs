//! The state that a job has, for those that begin with it.

use std::collections::BTreeSet;

use kol_common::JobId;
use kol_common::proto::Manifest;

use super::lineage::state_left;
use super::machine::Job;
use super::origin::Origin;
use super::record::Phase;

impl Job {
    /// The committed epochs that are kept, newest first.
    pub fn checkpoints(&self) -> impl Iterator<Item = &Manifest> {
        self.epochs.coordinator().kept()
    }

    /// The state that it left, in an epoch that is kept or in its last one.
    pub fn state_left(&self, epoch: Option<u64>) -> Option<Manifest> {
        let mut manifest = match epoch {
            Some(epoch) => Some(self.checkpoints().find(|m| m.epoch == epoch)?.clone()),
            None => self.last_usable(),
        };
        for part in manifest.iter_mut().flat_map(|m| &mut m.partitions) {
            if let Some(partition) = self.partitions.get(part.ordinal) {
                *part = partition.record.hand_on(part);
            }
        }
        let records = self.partitions.records();
        Some(state_left(&self.record.spec, &records, manifest.as_ref()))
    }

    /// The last epoch; where the state of a partition is known to be damaged, or has records that Kafka
    /// lost, with the newest before it that is not, if there is one: the log has what came after that.
    fn last_usable(&self) -> Option<Manifest> {
        let epochs = self.epochs.coordinator();
        let mut manifest = epochs.head()?.clone();
        for part in &mut manifest.partitions {
            let partition = self.partitions.get(part.ordinal);
            let mut usable = epochs.usable(part.ordinal);
            let start = partition.and_then(|p| p.record.cuts.choose(usable.clone()));
            // Without one the log is read again; if it cannot be, a state that can be read is better than none.
            if let Some((_, checkpoint)) = start.or_else(|| usable.next()) {
                *part = checkpoint.clone();
            }
        }
        Some(manifest)
    }

    /// Whether it needs the state in a folder: it is about to begin with it, or a kept epoch refers to it.
    pub fn reads_from(&self, location: &str) -> bool {
        let begins = match &self.record.origin {
            Origin::Savepoint { location: folder } => {
                self.record.phase == Phase::Starting && folder == location
            }
            _ => false,
        };
        let refers = |m: &Manifest| m.partitions.iter().any(|p| p.location == location);
        begins || self.checkpoints().any(refers)
    }

    /// The jobs that it needs: those that it waits for or begins with, and those that wrote state files
    /// which its kept epochs refer to.
    pub fn needs(&self) -> BTreeSet<JobId> {
        let record = &self.record;
        let begins = record.is_live() || !self.has_read();
        let origin = match &record.origin {
            Origin::Job { id, .. } if begins => Some(id.clone()),
            _ => None,
        };
        let waits = record.follows.iter().filter(|_| record.is_live());
        let parts = self.checkpoints().flat_map(|m| &m.partitions);
        // A path begins with the job that wrote the file.
        let files = parts
            .filter(|p| !p.location.is_empty())
            .flat_map(|p| &p.files);
        let writers = files.filter_map(|f| f.path.split('/').next());
        origin
            .into_iter()
            .chain(waits.map(|before| before.id.clone()))
            .chain(writers.map(JobId::from_wire))
            .collect()
    }
}
