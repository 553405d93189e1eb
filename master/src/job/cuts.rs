//! The tails that Kafka lost of one partition's log, and what that leaves of its checkpoints: pure rules.
//!
//! 1. Each lost tail begins a new lineage of the partition. A checkpoint carries the lineage of the
//!    assignment that made it.
//! 2. A checkpoint is of the log as it is now if it lies at or before every cut that came after it.
//! 3. The partition starts from the newest such checkpoint: with what it reads from there on, its state
//!    is exactly the fold of the log.
//! 4. If there is none, it keeps the newest state and resumes at the lowest cut that came after it: a log that
//!    was cut off again further up may have new records below, which no state has yet.
//! 5. What Redis had confirmed in an older lineage may be of lost records: everything is sent again.

use kol_common::proto::{LostTail, PartitionCheckpoint};
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
    /// Whether the partition could go back before it.
    pub repaired: bool,
}

/// Where a partition starts that has state.
#[derive(Clone, Debug, PartialEq)]
pub struct Restart {
    /// The epoch that the state is of.
    pub epoch: u64,
    /// The state.
    pub checkpoint: PartitionCheckpoint,
    /// Where to resume, if not where the state ends.
    pub resume_at: Option<u64>,
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

    /// Another tail was lost. `checkpoints` are the usable ones, newest first.
    pub fn add<'a>(
        &mut self,
        lost: LostTail,
        checkpoints: impl Iterator<Item = &'a PartitionCheckpoint>,
    ) {
        self.lineage += 1;
        self.records += lost.to.saturating_sub(lost.from);
        self.newest.push(Cut {
            from: lost.from,
            to: lost.to,
            repaired: false,
        });
        if self.newest.len() > MOST {
            self.newest.remove(0);
        }
        let mut checkpoints = checkpoints.peekable();
        let repaired = checkpoints.peek().is_none() || checkpoints.any(|c| self.leave(c));
        if let Some(cut) = self.newest.last_mut() {
            cut.repaired = repaired;
        }
    }

    /// Whether a checkpoint is of the log as it is now: rule 2.
    pub fn leave(&self, checkpoint: &PartitionCheckpoint) -> bool {
        let later = self.lineage.saturating_sub(checkpoint.lineage) as usize;
        let known = later <= self.newest.len();
        known && self.resume_at(checkpoint) == checkpoint.offset
    }

    /// Where the records begin that a checkpoint does not have, as far as cuts are known: at its end, or at
    /// the lowest cut that came after it.
    fn resume_at(&self, checkpoint: &PartitionCheckpoint) -> u64 {
        let later = self.lineage.saturating_sub(checkpoint.lineage) as usize;
        let later = self.newest.iter().rev().take(later);
        later.fold(checkpoint.offset, |lowest, cut| lowest.min(cut.from))
    }

    /// A checkpoint for another job, which knows nothing of these cuts: its end is where to resume.
    pub fn hand_on(&self, checkpoint: &PartitionCheckpoint) -> PartitionCheckpoint {
        let offset = self.resume_at(checkpoint);
        PartitionCheckpoint {
            offset,
            // Of the record before the old end.
            leader_epoch: checkpoint
                .leader_epoch
                .filter(|_| offset == checkpoint.offset),
            ..checkpoint.clone()
        }
    }

    /// The checkpoint to start from, of the usable ones with their epochs, newest first: the newest that the
    /// lost tails leave whole, or just the newest.
    pub fn choose<'a>(
        &self,
        checkpoints: impl Iterator<Item = (u64, &'a PartitionCheckpoint)> + Clone,
    ) -> Option<(u64, &'a PartitionCheckpoint)> {
        let fits = checkpoints.clone().find(|(_, c)| self.leave(c));
        fits.or_else(|| checkpoints.clone().next())
    }

    /// Where to start, given the usable checkpoints with their epochs, newest first: rules 3 to 5.
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
mod tests {
    use kol_common::proto::AsOf;

    use super::*;

    fn checkpoint(offset: u64, lineage: u64) -> PartitionCheckpoint {
        PartitionCheckpoint {
            offset,
            lineage,
            confirmed_as_of: Some(AsOf::default()),
            ..PartitionCheckpoint::default()
        }
    }

    fn lost(from: u64, to: u64) -> LostTail {
        LostTail { from, to }
    }

    /// Epoch, offset and where to resume.
    fn start(cuts: &Cuts, checkpoints: &[PartitionCheckpoint]) -> (u64, u64, Option<u64>) {
        let numbered: Vec<_> = (1..).zip(checkpoints).collect();
        let found = cuts.restart(numbered.into_iter().rev()).unwrap();
        (found.epoch, found.checkpoint.offset, found.resume_at)
    }

    #[test]
    fn the_newest_checkpoint_at_or_before_the_cut_is_the_start() {
        let kept = [checkpoint(10, 0), checkpoint(20, 0), checkpoint(30, 0)];
        let mut cuts = Cuts::default();
        assert_eq!(start(&cuts, &kept), (3, 30, None));
        cuts.add(lost(20, 35), kept.iter().rev());
        assert_eq!(start(&cuts, &kept), (2, 20, None));
        assert_eq!((cuts.lineage(), cuts.records()), (1, 15));
        assert!(cuts.newest()[0].repaired);
    }

    #[test]
    fn without_such_a_checkpoint_the_state_is_kept_and_reading_resumes_at_the_cut() {
        let kept = [checkpoint(20, 0), checkpoint(30, 0)];
        let mut cuts = Cuts::default();
        cuts.add(lost(19, 35), kept.iter().rev());
        assert_eq!(start(&cuts, &kept), (2, 30, Some(19)));
        assert!(!cuts.newest()[0].repaired);
    }

    #[test]
    fn a_second_cut_does_not_hide_a_lower_one_that_no_epoch_has_gone_back_to_yet() {
        let old = [checkpoint(100, 0)];
        let mut cuts = Cuts::default();
        cuts.add(lost(50, 100), old.iter());
        cuts.add(lost(70, 80), old.iter());
        assert_eq!(start(&cuts, &old), (1, 100, Some(50)), "50 to 70 are new");
        let kept = [checkpoint(100, 0), checkpoint(75, 1)];
        assert_eq!(start(&cuts, &kept), (2, 75, Some(70)), "it went back to 50");
        cuts.add(lost(60, 90), kept.iter().rev());
        cuts.add(lost(65, 90), kept.iter().rev());
        assert_eq!(start(&cuts, &kept), (2, 75, Some(60)));
        assert_eq!(start(&cuts, &old), (1, 100, Some(50)));
    }

    #[test]
    fn a_cut_above_a_checkpoint_skips_nothing_where_older_cuts_are_no_longer_known() {
        let old = [checkpoint(40, 0)];
        let mut cuts = Cuts::default();
        for _ in 0..=MOST {
            cuts.add(lost(100, 110), old.iter());
        }
        assert_eq!(start(&cuts, &old), (1, 40, Some(40)));
    }

    #[test]
    fn a_checkpoint_from_after_the_cut_may_lie_behind_it_and_not_behind_the_next_one() {
        let kept = [
            checkpoint(10, 0),
            checkpoint(40, 0),
            checkpoint(25, 1),
            checkpoint(50, 1),
        ];
        let mut cuts = Cuts::default();
        cuts.add(lost(20, 45), kept[..2].iter().rev());
        assert_eq!(start(&cuts, &kept), (4, 50, None));
        cuts.add(lost(30, 60), kept.iter().rev());
        assert_eq!(start(&cuts, &kept), (3, 25, None));
        assert_eq!(start(&cuts, &kept[..2]), (1, 10, None));
    }

    #[test]
    fn what_redis_had_confirmed_before_the_cut_does_not_count() {
        let mut cuts = Cuts::default();
        let (old, new) = (checkpoint(10, 0), checkpoint(20, 1));
        cuts.add(lost(15, 30), [&old].into_iter());
        let counts_as_confirmed = |c: &PartitionCheckpoint| {
            let found = cuts.restart([(1, c)].into_iter()).unwrap();
            found.checkpoint.confirmed_as_of.is_some()
        };
        assert!(!counts_as_confirmed(&old));
        assert!(counts_as_confirmed(&new));
    }

    #[test]
    fn checkpoints_from_before_cuts_that_are_no_longer_known_are_not_trusted() {
        let mut cuts = Cuts::default();
        for _ in 0..=MOST {
            cuts.add(lost(100, 110), std::iter::empty());
        }
        assert_eq!(cuts.lineage(), MOST as u64 + 1);
        assert!(!cuts.leave(&checkpoint(1, 0)));
        assert!(cuts.leave(&checkpoint(1, 1)));
        assert_eq!(cuts.records(), 10 * (MOST as u64 + 1));
    }
}
