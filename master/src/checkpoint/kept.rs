//! The committed epochs of a job that are kept, and which files of state nothing refers to.
//!
//! 1. The newest are kept, as many as the spec says.
//! 2. They may all stand on one base file. So for each partition the newest epoch with another base is
//!    kept as well: a base that is torn costs what came after that epoch to be read again, and not the
//!    whole log.
//! 3. A file is garbage once no kept epoch refers to it. Files at other locations are never garbage here:
//!    a job that resumes from another state does not own it.
//!
//! The parts of each epoch are sorted by ordinal here, whatever order they were stored in: at each step of a job every
//! partition looks up its part in each kept epoch.

use std::collections::{BTreeSet, VecDeque};

use kol_common::proto::{Manifest, PartitionCheckpoint};

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    /// Epochs that are kept whole, oldest first.
    manifests: VecDeque<Manifest>,
    /// Rule 2: those that are kept for some of their partitions only, oldest first.
    older: Vec<Manifest>,
    /// State that proved damaged: ordinal and epoch.
    damaged: BTreeSet<(u32, u64)>,
    garbage: Vec<String>,
}

impl Kept {
    /// Those of the store, oldest first.
    pub(super) fn new(manifests: Vec<Manifest>) -> Self {
        let sorted = manifests.into_iter().map(by_ordinal);
        let (older, kept): (Vec<_>, Vec<_>) = sorted.partition(|m| m.older_chain);
        Self {
            manifests: kept.into(),
            older,
            damaged: BTreeSet::new(),
            garbage: Vec::new(),
        }
    }

    /// The newest epoch that is kept whole.
    pub(super) fn head(&self) -> Option<&Manifest> {
        self.manifests.back()
    }

    /// Number of the newest; 0 without any.
    pub(super) fn newest(&self) -> u64 {
        self.head().map_or(0, |m| m.epoch)
    }

    /// Number of the oldest that is kept whole; 0 without any.
    pub(super) fn oldest(&self) -> u64 {
        self.manifests.front().map_or(0, |m| m.epoch)
    }

    /// Epochs that are kept whole, newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests.iter().rev()
    }

    /// The states of a partition that are not known to be damaged, and their epochs; newest first.
    pub(super) fn usable(
        &self,
        ordinal: u32,
    ) -> impl Iterator<Item = (u64, &PartitionCheckpoint)> + Clone {
        let all = self.manifests.iter().rev().chain(self.older.iter().rev());
        all.filter_map(move |manifest| {
            let usable = !self.damaged.contains(&(ordinal, manifest.epoch));
            let part = part_of(manifest, ordinal);
            part.filter(|_| usable).map(|p| (manifest.epoch, p))
        })
    }

    /// Whether a partition is part of kept epochs, and its state in all of them is known to be damaged.
    pub(super) fn is_lost(&self, ordinal: u32) -> bool {
        let mut all = self.iter().chain(&self.older);
        all.any(|m| part_of(m, ordinal).is_some()) && self.usable(ordinal).next().is_none()
    }

    /// The state of a partition in an epoch cannot be read: it is not given out again.
    pub(super) fn mark_damaged(&mut self, ordinal: u32, epoch: u64) {
        self.damaged.insert((ordinal, epoch));
    }

    /// Makes an epoch the newest, and releases the oldest.
    pub(super) fn keep(&mut self, manifest: Manifest, retain: usize) -> Released {
        self.manifests.push_back(by_ordinal(manifest));
        let mut released = Released::default();
        while self.manifests.len() > retain.max(1) {
            if let (Some(gone), Some(next)) = (self.manifests.pop_front(), self.manifests.front()) {
                let (needed, unneeded) = last_of_a_chain(gone, next);
                self.supersede(needed, &mut released);
                self.discard(&unneeded);
            }
        }
        let oldest = self.older.first().map_or(self.oldest(), |m| m.epoch);
        self.damaged.retain(|(_, epoch)| *epoch >= oldest);
        released
    }

    /// These partitions need this epoch; what was kept for them before is no longer needed.
    fn supersede(&mut self, needed: Manifest, released: &mut Released) {
        let ordinals: BTreeSet<u32> = needed.partitions.iter().map(|p| p.ordinal).collect();
        let mut unneeded = Vec::new();
        for older in &mut self.older {
            let before = older.partitions.len();
            let parts = std::mem::take(&mut older.partitions).into_iter();
            let (gone, still): (Vec<_>, Vec<_>) =
                parts.partition(|p| ordinals.contains(&p.ordinal));
            older.partitions = still;
            unneeded.extend(gone);
            if older.partitions.is_empty() {
                released.forgotten.push(older.epoch);
            } else if older.partitions.len() < before {
                released.reduced.push(older.clone());
            }
        }
        self.older.retain(|m| !m.partitions.is_empty());
        if ordinals.is_empty() {
            released.forgotten.push(needed.epoch);
        } else {
            released.reduced.push(needed.clone());
            self.older.push(needed);
        }
        self.discard(&unneeded);
    }

    /// These parts of epochs are not kept: their files are garbage, but for those that kept ones refer to.
    pub(super) fn discard(&mut self, parts: &[PartitionCheckpoint]) {
        let used = self.used();
        let files: BTreeSet<String> = files_here(parts).filter(|p| !used.contains(p)).collect();
        let new = files.into_iter().filter(|p| !self.garbage.contains(p));
        let new: Vec<_> = new.collect();
        self.garbage.extend(new);
    }

    /// Files that nothing refers to.
    pub(super) fn take_garbage(&mut self) -> Vec<String> {
        std::mem::take(&mut self.garbage)
    }

    /// Files that kept epochs refer to.
    pub(super) fn used(&self) -> BTreeSet<String> {
        let all = self.manifests.iter().chain(&self.older);
        all.flat_map(|m| files_here(&m.partitions)).collect()
    }
}

/// The epoch with its parts in the order of ordinals.
fn by_ordinal(mut epoch: Manifest) -> Manifest {
    epoch.partitions.sort_by_key(|p| p.ordinal);
    epoch
}

/// The part of a partition in an epoch.
fn part_of(epoch: &Manifest, ordinal: u32) -> Option<&PartitionCheckpoint> {
    let at = epoch
        .partitions
        .binary_search_by_key(&ordinal, |p| p.ordinal);
    epoch.partitions.get(at.ok()?)
}

/// What the store has to do with epochs that are not kept whole.
#[derive(Debug, Default)]
pub(super) struct Released {
    /// Numbers of the epochs to delete.
    pub(super) forgotten: Vec<u64>,
    /// Put these in the place of what they were.
    pub(super) reduced: Vec<Manifest>,
}

/// An epoch with the partitions only that have another base in the one after it, and the rest.
fn last_of_a_chain(mut epoch: Manifest, next: &Manifest) -> (Manifest, Vec<PartitionCheckpoint>) {
    let base = |p: &PartitionCheckpoint| p.files.first().map(|f| f.path.clone());
    let is_last = |p: &PartitionCheckpoint| {
        let after = part_of(next, p.ordinal);
        let has_state = p.location.is_empty() && !p.files.is_empty();
        has_state && after.is_some_and(|after| base(after) != base(p))
    };
    let parts = std::mem::take(&mut epoch.partitions).into_iter();
    let (last, rest) = parts.partition(is_last);
    epoch.partitions = last;
    epoch.older_chain = true;
    (epoch, rest)
}

/// Paths of state files at the checkpoint location of the job.
fn files_here(parts: &[PartitionCheckpoint]) -> impl Iterator<Item = String> {
    let here = parts.iter().filter(|p| p.location.is_empty());
    here.flat_map(|p| &p.files).map(|f| f.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: u64, older_chain: bool, ordinals: &[u32]) -> Manifest {
        let part = |ordinal: &u32| PartitionCheckpoint {
            ordinal: *ordinal,
            ..PartitionCheckpoint::default()
        };
        Manifest {
            epoch,
            older_chain,
            partitions: ordinals.iter().map(part).collect(),
            ..Manifest::default()
        }
    }

    #[test]
    fn each_part_of_an_epoch_is_found_whatever_order_they_were_stored_in() {
        let stored = vec![epoch(3, true, &[4, 1]), epoch(7, false, &[2, 4, 0, 3, 1])];
        let mut kept = Kept::new(stored);
        kept.keep(epoch(8, false, &[4, 3, 2, 0]), 2);
        for (ordinal, epochs) in [
            (0, vec![8, 7]),
            (1, vec![7, 3]),
            (2, vec![8, 7]),
            (3, vec![8, 7]),
            (4, vec![8, 7, 3]),
        ] {
            let found: Vec<_> = kept.usable(ordinal).collect();
            assert!(found.iter().all(|(_, part)| part.ordinal == ordinal));
            let found: Vec<u64> = found.iter().map(|(epoch, _)| *epoch).collect();
            assert_eq!(found, epochs, "{ordinal}");
            assert!(!kept.is_lost(ordinal));
            for epoch in epochs {
                kept.mark_damaged(ordinal, epoch);
            }
            assert!(kept.is_lost(ordinal), "{ordinal}");
        }
        assert!(!kept.is_lost(5), "it has no part");
    }
}
