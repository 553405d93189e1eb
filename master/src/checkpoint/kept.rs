//! The committed epochs of a job that are kept, and which files of state nothing refers to any more.
//!
//! 1. The newest are kept, as many as the spec says.
//! 2. A file is garbage once no kept epoch refers to it. Files at other locations are nobody's garbage:
//!    a job that goes on from another state does not own it.

use std::collections::{BTreeSet, VecDeque};

use kol_common::proto::{Manifest, PartitionCheckpoint};

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    /// Oldest first.
    manifests: VecDeque<Manifest>,
    /// State that proved damaged: slot and epoch.
    damaged: BTreeSet<(u32, u64)>,
    garbage: Vec<String>,
}

impl Kept {
    /// Those of the store, oldest first.
    pub(super) fn new(manifests: Vec<Manifest>) -> Self {
        Self {
            manifests: manifests.into(),
            damaged: BTreeSet::new(),
            garbage: Vec::new(),
        }
    }

    /// The newest.
    pub(super) fn head(&self) -> Option<&Manifest> {
        self.manifests.back()
    }

    /// Number of the newest; 0 without any.
    pub(super) fn newest(&self) -> u64 {
        self.head().map_or(0, |m| m.epoch)
    }

    /// Number of the oldest; 0 without any.
    pub(super) fn oldest(&self) -> u64 {
        self.manifests.front().map_or(0, |m| m.epoch)
    }

    /// Newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests.iter().rev()
    }

    /// The newest state of a partition that is not known to be damaged, and its epoch.
    pub(super) fn checkpoint_of(&self, slot: u32) -> Option<(u64, &PartitionCheckpoint)> {
        self.iter().find_map(|manifest| {
            let usable = !self.damaged.contains(&(slot, manifest.epoch));
            let of_slot = manifest.partitions.iter().find(|p| p.slot == slot);
            of_slot.filter(|_| usable).map(|p| (manifest.epoch, p))
        })
    }

    /// The state of a partition in an epoch cannot be read.
    pub(super) fn is_damaged(&mut self, slot: u32, epoch: u64) {
        self.damaged.insert((slot, epoch));
    }

    /// Makes an epoch the newest, and forgets the oldest: those are the answer.
    pub(super) fn keep(&mut self, manifest: Manifest, retain: usize) -> Vec<u64> {
        self.manifests.push_back(manifest);
        let surplus = self.manifests.len().saturating_sub(retain.max(1));
        let gone: Vec<Manifest> = self.manifests.drain(..surplus).collect();
        for manifest in &gone {
            self.discard(&manifest.partitions);
        }
        let oldest = self.oldest();
        self.damaged.retain(|(_, epoch)| *epoch >= oldest);
        gone.iter().map(|m| m.epoch).collect()
    }

    /// These parts of epochs are not kept: their files go, but for those that kept ones refer to.
    pub(super) fn discard(&mut self, parts: &[PartitionCheckpoint]) {
        let used = self.used();
        let files: BTreeSet<String> = files_here(parts).filter(|p| !used.contains(p)).collect();
        let new = files.into_iter().filter(|p| !self.garbage.contains(p));
        let new: Vec<_> = new.collect();
        self.garbage.extend(new);
    }

    /// Files that nothing refers to any more.
    pub(super) fn take_garbage(&mut self) -> Vec<String> {
        std::mem::take(&mut self.garbage)
    }

    /// Files that kept epochs refer to.
    pub(super) fn used(&self) -> BTreeSet<String> {
        let all = self.manifests.iter();
        all.flat_map(|m| files_here(&m.partitions)).collect()
    }
}

/// Paths of state files at the checkpoint location of the job.
fn files_here(parts: &[PartitionCheckpoint]) -> impl Iterator<Item = String> {
    let here = parts.iter().filter(|p| p.location.is_empty());
    here.flat_map(|p| &p.files).map(|f| f.path.clone())
}
