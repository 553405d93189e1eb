//! The tails that Kafka lost of one partition's log, and what that leaves of its checkpoints: pure rules.
//!
//! 1. Each lost tail begins a new lineage of the partition. A checkpoint carries the lineage of the
//!    assignment that made it.
//! 2. A checkpoint is of the log as it is now if it lies at or before every cut that came after it.
//! 3. The partition starts from the newest such checkpoint: with what it reads from there on, its state
//!    is exactly the fold of the log.
//! 4. If there is none, and the log still had everything that gives its state when the newest cut was found, the
//!    partition starts again without state, at the first record of that: this is exact, too. Its owner looks whether
//!    that record is still there.
//! 5. If it is not, the partition keeps the newest state and resumes at the lowest cut that came after it: a log that
//!    was cut off again further up may have new records below, which no state has yet. This is not exact.
//! 6. A log that has grown again may show only that it is another one at some record: then `from` is the end of the
//!    newest epoch whose last record is still the same, and the cut lies at that record or before it. If no such epoch
//!    is kept, `from` is the oldest record that is known to differ, and the cut may lie anywhere before it. Then no
//!    checkpoint is known to be of the log as it is now, which is rule 4. Where that cannot be, checkpoints from before
//!    `from` count; some new records may not be read, and nothing counts as repaired.
//! 7. What Redis had confirmed in an older lineage may be of lost records: everything is sent again.

use kol_common::proto::{KeptEpoch, LostTail, PartitionCheckpoint};
use serde::{Deserialize, Serialize};

/// Cuts that are kept. Checkpoints from before the oldest of them count as not of the log.
const MOST: usize = 16;

/// The tails that were lost, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cuts {
    /// How many there were: the number of the present lineage.
    lineage: u64,
    /// Records that were read and lost, in all.
    records: u64,
    /// The newest of them.
    newest: Vec<Cut>,
}

/// One lost tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Offset of the first record that was lost.
    pub from: u64,
    /// One past the last record that was read before.
    pub to: u64,
    /// Rule 6: the record at this offset is another one, and `from` is where the log is the same up to, at least.
    #[serde(default)]
    pub differs: Option<u64>,
    /// Rule 6: the log is not known to be the same up to `from` either.
    #[serde(default)]
    unproven: bool,
    /// Rule 4: the log had everything that gives the state.
    #[serde(default)]
    whole: bool,
    /// Whether the partition could go back before it.
    pub repaired: bool,
}

/// Where a partition starts that has state.
#[derive(Clone, Debug, PartialEq)]
pub struct Restart {
    /// The epoch that the state is of.
    pub epoch: u64,
    /// The state, as an epoch has it.
    pub checkpoint: PartitionCheckpoint,
    /// Where to resume, if not where the state ends.
    pub resume_at: Option<u64>,
}

impl Restart {
    /// The offset of the first record that is read.
    pub fn begins_at(&self) -> u64 {
        self.resume_at.unwrap_or(self.checkpoint.offset)
    }
}

impl Cuts {
    /// The present lineage.
    pub fn lineage(&self) -> u64 {
        self.lineage
    }

    /// Records that were read and lost, in all.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The newest lost tails, oldest first.
    pub fn newest(&self) -> &[Cut] {
        &self.newest
    }

    /// Another tail was lost; `whole`: the log has everything that gives the state. `checkpoints` are the usable ones,
    /// newest first.
    pub fn add<'a>(
        &mut self,
        lost: LostTail,
        whole: bool,
        checkpoints: impl Iterator<Item = &'a PartitionCheckpoint>,
    ) {
        self.lineage += 1;
        self.records += lost.to.saturating_sub(lost.from);
        self.newest.push(Cut {
            from: lost.from,
            to: lost.to,
            differs: lost.differs,
            unproven: lost.unproven,
            whole,
            repaired: false,
        });
        if self.newest.len() > MOST {
            self.newest.remove(0);
        }
        self.judge(checkpoints);
    }

    /// The log no longer has everything that gives the state: rule 5.
    pub fn is_no_longer_whole<'a>(
        &mut self,
        checkpoints: impl Iterator<Item = &'a PartitionCheckpoint>,
    ) {
        if let Some(cut) = self.newest.last_mut() {
            cut.whole = false;
        }
        self.judge(checkpoints);
    }

    /// Whether the partition can go back before the newest cut.
    fn judge<'a>(&mut self, checkpoints: impl Iterator<Item = &'a PartitionCheckpoint>) {
        let Some(newest) = self.newest.last().copied() else {
            return;
        };
        let mut checkpoints = checkpoints.peekable();
        let none = checkpoints.peek().is_none();
        let goes_back = !newest.unproven && checkpoints.any(|c| self.leave(c));
        if let Some(cut) = self.newest.last_mut() {
            cut.repaired = none || newest.whole || goes_back;
        }
    }

    /// Whether a partition with checkpoints of which none is of the log as it is now starts again without state: rule 4.
    pub fn is_whole(&self) -> bool {
        self.newest.last().is_some_and(|cut| cut.whole)
    }

    /// Whether a checkpoint is of the log as it is now: rule 2.
    pub fn leave(&self, checkpoint: &PartitionCheckpoint) -> bool {
        let proven = !self.is_whole() || self.later_than(checkpoint).all(|cut| !cut.unproven);
        self.knows_later(checkpoint) && proven && self.resume_at(checkpoint) == checkpoint.offset
    }

    /// Where the records begin that a checkpoint does not have, as far as cuts are known: at its end, or at
    /// the lowest cut that came after it.
    fn resume_at(&self, checkpoint: &PartitionCheckpoint) -> u64 {
        let later = self.later_than(checkpoint);
        later.fold(checkpoint.offset, |lowest, cut| lowest.min(cut.from))
    }

    /// The cuts that came after a checkpoint and are known.
    fn later_than(&self, checkpoint: &PartitionCheckpoint) -> impl Iterator<Item = &Cut> {
        let later = self.lineage.saturating_sub(checkpoint.lineage) as usize;
        self.newest.iter().rev().take(later)
    }

    /// Whether all of them are known.
    fn knows_later(&self, checkpoint: &PartitionCheckpoint) -> bool {
        checkpoint.lineage + self.newest.len() as u64 >= self.lineage
    }

    /// What the log has lost of a checkpoint, as one tail, for another job that begins with it.
    pub fn lost_of(&self, checkpoint: &PartitionCheckpoint) -> Option<LostTail> {
        let mut later = self.later_than(checkpoint);
        (!self.leave(checkpoint)).then(|| LostTail {
            from: self.resume_at(checkpoint),
            to: checkpoint.offset,
            differs: None,
            unproven: !self.knows_later(checkpoint) || later.any(|cut| cut.unproven),
            oldest: None,
        })
    }

    /// The checkpoint to start from, of the usable ones with their epochs, newest first: the newest that the
    /// lost tails leave whole; without one, none where the partition starts again, or just the newest.
    pub fn choose<'a>(
        &self,
        checkpoints: impl Iterator<Item = (u64, &'a PartitionCheckpoint)> + Clone,
    ) -> Option<(u64, &'a PartitionCheckpoint)> {
        let fits = checkpoints.clone().find(|(_, c)| self.leave(c));
        fits.or_else(|| checkpoints.clone().next().filter(|_| !self.is_whole()))
    }

    /// Where the epochs end that are older than this one and of the log as it is now, as far as they know their last
    /// record; newest first, as they are given.
    pub fn kept_before<'a>(
        &self,
        epoch: u64,
        checkpoints: impl Iterator<Item = (u64, &'a PartitionCheckpoint)>,
    ) -> impl Iterator<Item = KeptEpoch> {
        let older = checkpoints.filter(move |(number, c)| *number < epoch && self.leave(c));
        let known = older.filter(|(_, c)| c.last_record.is_some());
        known.map(|(_, c)| KeptEpoch {
            offset: c.offset,
            last_record: c.last_record,
        })
    }

    /// Where to start, given the usable checkpoints with their epochs, newest first: rules 3 to 7. `None`: without
    /// state, where the log gives all of it.
    pub fn restart<'a>(
        &self,
        checkpoints: impl Iterator<Item = (u64, &'a PartitionCheckpoint)> + Clone,
    ) -> Option<Restart> {
        let (epoch, checkpoint) = self.choose(checkpoints)?;
        let resume_at = (!self.leave(checkpoint)).then(|| self.resume_at(checkpoint));
        let current = checkpoint.lineage == self.lineage;
        Some(Restart {
            epoch,
            checkpoint: PartitionCheckpoint {
                confirmed_as_of: checkpoint.confirmed_as_of.filter(|_| current),
                ..checkpoint.clone()
            },
            resume_at,
        })
    }
}

#[cfg(test)]
#[path = "cuts_tests.rs"]
mod tests;
