//! The committed epochs of a job that are kept, and which files of state nothing refers to.
//!
//! 1. The newest are kept, as many as the spec says; of those before them the ones that `retention` chooses.
//! 2. They may all stand on one base file. So for each partition the newest epoch with another base is
//!    kept as well: a base that is torn costs what came after that epoch to be read again, and not the
//!    whole log.
//! 3. A file is garbage once no kept epoch refers to it. Files at other locations are never garbage here:
//!    a job that resumes from another state does not own it.
//! 4. What is kept takes at most [`FACTOR`] times as much as the newest epoch and [`ALWAYS`] bytes, and refers to at most
//!    [`REFERENCES`] files: then those before the newest go first that the others stand in for.
//!
//! The parts of each epoch are sorted by ordinal here, whatever order they were stored in: at each step of a job every
//! partition looks up its part in each kept epoch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kol_common::proto::{Manifest, PartitionCheckpoint, StateFile};

use super::retention::{Tiers, surplus, thinnest};

/// How much all epochs may take, in sizes of the newest one.
const FACTOR: u64 = 16;
/// What they may take in any case, bytes.
const ALWAYS: u64 = 256 << 20;
/// Most references to files: manifests are kept in the state store and in memory.
const REFERENCES: usize = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Oldest first. Those of rule 2 have only some of their partitions, and `older_chain` set.
    epochs: VecDeque<Manifest>,
    files: Files,
    /// State that proved damaged: ordinal and epoch.
    damaged: BTreeSet<(u32, u64)>,
    garbage: Vec<String>,
}

/// The files of the job that kept epochs refer to: how often, and their size in bytes.
#[derive(Debug, Default)]
struct Files {
    all: BTreeMap<String, (usize, u64)>,
    references: usize,
    bytes: u64,
}

impl Kept {
    /// Those of the store.
    pub(super) fn new(mut manifests: Vec<Manifest>) -> Self {
        manifests.sort_by_key(|m| m.epoch);
        let mut kept = Self::default();
        for manifest in manifests.into_iter().map(by_ordinal) {
            kept.files.refer(&manifest.partitions);
            kept.epochs.push_back(manifest);
        }
        kept
    }

    /// The newest epoch that is kept whole.
    pub(super) fn head(&self) -> Option<&Manifest> {
        self.iter().next()
    }

    /// Number of the newest; 0 without any.
    pub(super) fn newest(&self) -> u64 {
        self.head().map_or(0, |m| m.epoch)
    }

    /// Epochs that are kept whole, newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Manifest> {
        self.epochs.iter().rev().filter(|m| !m.older_chain)
    }

    /// Number of the oldest of so many that are the newest; 0 without any.
    pub(super) fn oldest_of(&self, newest: usize) -> u64 {
        self.iter()
            .take(newest.max(1))
            .last()
            .map_or(0, |m| m.epoch)
    }

    /// The states of a partition that are not known to be damaged, and their epochs; newest first.
    pub(super) fn usable(
        &self,
        ordinal: u32,
    ) -> impl Iterator<Item = (u64, &PartitionCheckpoint)> + Clone {
        self.epochs.iter().rev().filter_map(move |manifest| {
            let usable = !self.damaged.contains(&(ordinal, manifest.epoch));
            let part = part_of(manifest, ordinal);
            part.filter(|_| usable).map(|p| (manifest.epoch, p))
        })
    }

    /// Whether a partition is part of kept epochs, and its state in all of them is known to be damaged.
    pub(super) fn is_lost(&self, ordinal: u32) -> bool {
        let mut all = self.epochs.iter();
        all.any(|m| part_of(m, ordinal).is_some()) && self.usable(ordinal).next().is_none()
    }

    /// The state of a partition in an epoch cannot be read: it is not given out again.
    pub(super) fn mark_damaged(&mut self, ordinal: u32, epoch: u64) {
        self.damaged.insert((ordinal, epoch));
    }

    /// Makes an epoch the newest, and releases those that are no longer kept.
    pub(super) fn keep(&mut self, manifest: Manifest, tiers: &Tiers) -> Released {
        let manifest = by_ordinal(manifest);
        self.files.refer(&manifest.partitions);
        self.epochs.push_back(manifest);
        let mut changed = BTreeSet::new();
        while let Some(epoch) = self.next_surplus(tiers) {
            self.reduce(epoch);
            changed.insert(epoch);
            // What is kept must be known before another one goes.
            self.settle_chains(tiers.newest, &mut changed);
        }
        self.settle_chains(tiers.newest, &mut changed);
        let mut released = Released::default();
        for manifest in self.epochs.iter().filter(|m| changed.contains(&m.epoch)) {
            match manifest.partitions.is_empty() {
                true => released.forgotten.push(manifest.epoch),
                false => released.reduced.push(manifest.clone()),
            }
        }
        self.epochs
            .retain(|m| !m.partitions.is_empty() || !m.older_chain);
        let oldest = self.epochs.front().map_or(0, |m| m.epoch);
        self.damaged.retain(|(_, epoch)| *epoch >= oldest);
        released
    }

    /// An epoch that is kept whole, and need not be.
    fn next_surplus(&self, tiers: &Tiers) -> Option<u64> {
        let whole: Vec<&Manifest> = self.epochs.iter().filter(|m| !m.older_chain).collect();
        let made: Vec<u64> = whole.iter().map(|m| m.begun_ms).collect();
        let older = &whole[..whole.len().saturating_sub(tiers.newest)];
        // State of elsewhere is another job's, or a savepoint that a person may want to delete.
        let of_others = |m: &&Manifest| m.partitions.iter().any(|p| !p.location.is_empty());
        let elsewhere = older.iter().position(of_others);
        let at = elsewhere.or_else(|| surplus(&made, tiers)).or_else(|| {
            let newest = files_here(&whole.last()?.partitions)
                .map(|f| f.bytes)
                .sum::<u64>();
            let most = (FACTOR * newest).max(ALWAYS);
            let too_much = self.files.bytes > most || self.files.references > REFERENCES;
            thinnest(&made, tiers.newest).filter(|_| too_much)
        })?;
        whole.get(at).map(|m| m.epoch)
    }

    /// An epoch is no longer kept whole.
    fn reduce(&mut self, epoch: u64) {
        let reduced = self.epochs.iter_mut().filter(|m| m.epoch == epoch);
        reduced.for_each(|m| m.older_chain = true);
    }

    /// Rule 2: of epochs that are not kept whole, drops the partitions that have a newer one with another base than
    /// those that are kept in any case, or never had one.
    fn settle_chains(&mut self, newest: usize, changed: &mut BTreeSet<u64>) {
        let recent = self.oldest_of(newest);
        let Some(recent) = self.epochs.iter().find(|m| m.epoch == recent) else {
            return;
        };
        let base = |p: &PartitionCheckpoint| p.files.first().map(|f| f.path.clone());
        let of_recent = recent.partitions.iter().map(|p| (p.ordinal, base(p)));
        let mut searched: BTreeMap<u32, Option<String>> = of_recent.collect();
        let first_recent = recent.epoch;
        let mut dropped = Vec::new();
        for manifest in self
            .epochs
            .iter_mut()
            .rev()
            .filter(|m| m.epoch < first_recent)
        {
            let parts = std::mem::take(&mut manifest.partitions);
            for part in parts {
                let has_state = part.location.is_empty() && !part.files.is_empty();
                let of_recent = searched.get(&part.ordinal);
                let is_other = has_state && of_recent.is_some_and(|recent| *recent != base(&part));
                if is_other {
                    searched.remove(&part.ordinal);
                }
                if is_other || !manifest.older_chain {
                    manifest.partitions.push(part);
                } else {
                    changed.insert(manifest.epoch);
                    dropped.push(part);
                }
            }
        }
        let mut unused = self.files.release(&dropped);
        unused.sort_unstable();
        self.garbage.extend(unused);
    }

    /// These parts of an epoch were never kept: their files are garbage, but for those that kept ones refer to.
    pub(super) fn discard(&mut self, parts: &[PartitionCheckpoint]) {
        let files: BTreeSet<&str> = files_here(parts).map(|f| f.path.as_str()).collect();
        let unused = files
            .into_iter()
            .filter(|path| !self.files.all.contains_key(*path));
        let new = unused.filter(|path| !self.garbage.iter().any(|known| known == path));
        let new: Vec<_> = new.map(str::to_owned).collect();
        self.garbage.extend(new);
    }

    /// Files that nothing refers to.
    pub(super) fn take_garbage(&mut self) -> Vec<String> {
        std::mem::take(&mut self.garbage)
    }

    /// Files that kept epochs refer to.
    pub(super) fn used(&self) -> BTreeSet<String> {
        self.files.all.keys().cloned().collect()
    }
}

impl Files {
    /// Parts of an epoch are kept.
    fn refer(&mut self, parts: &[PartitionCheckpoint]) {
        for file in files_here(parts) {
            self.references += 1;
            if let Some((count, _)) = self.all.get_mut(&file.path) {
                *count += 1;
            } else {
                self.bytes += file.bytes;
                self.all.insert(file.path.clone(), (1, file.bytes));
            }
        }
    }

    /// Parts of an epoch are no longer kept; answers with the files that nothing refers to now.
    fn release(&mut self, parts: &[PartitionCheckpoint]) -> Vec<String> {
        let mut unused = Vec::new();
        for file in files_here(parts) {
            let Some((count, bytes)) = self.all.get_mut(&file.path) else {
                continue;
            };
            self.references -= 1;
            *count -= 1;
            if *count == 0 {
                self.bytes -= *bytes;
                self.all.remove(&file.path);
                unused.push(file.path.clone());
            }
        }
        unused
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

/// State files at the checkpoint location of the job.
fn files_here(parts: &[PartitionCheckpoint]) -> impl Iterator<Item = &StateFile> {
    let here = parts.iter().filter(|p| p.location.is_empty());
    here.flat_map(|p| &p.files)
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
