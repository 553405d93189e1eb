//! The tails that Kafka lost of one partition's log, and what that leaves of its checkpoints: pure rules.
//!
//! 1. Each lost tail begins a new lineage of the partition. A checkpoint carries the lineage of the
//!    assignment that made it.
//! 2. A checkpoint is of the log as it is now if it lies at or before every cut that came after it.
//! 3. The partition starts from the newest such checkpoint: with what it reads from there on, its state
//!    is exactly the fold of the log.
//! 4. If there is none, it keeps the newest state and resumes at the lowest cut that came after it: a log that
//!    was cut off again further up may have new records below, which no state has yet.
//! 5. A log that has grown again may show only that it is another one at some record: then `from` is the end of the
//!    newest epoch whose last record is still the same, and the cut lies at that record or before it. If no such epoch
//!    is kept, `from` is the oldest record that is known to differ: some new records before it may not be read, and
//!    nothing counts as repaired.
//! 6. What Redis had confirmed in an older lineage may be of lost records: everything is sent again.

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
    /// Rule 5: the record at this offset is another one, and `from` is where the log is the same up to, at least.
    #[serde(default)]
    pub differs: Option<u64>,
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
            differs: lost.differs,
            repaired: false,
        });
        if self.newest.len() > MOST {
            self.newest.remove(0);
        }
        let mut checkpoints = checkpoints.peekable();
        let none = checkpoints.peek().is_none();
        let repaired = none || (checkpoints.any(|c| self.leave(c)) && !lost.unproven);
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
        let same_end = offset == checkpoint.offset;
        PartitionCheckpoint {
            offset,
            // Of the record before the old end.
            leader_epoch: checkpoint.leader_epoch.filter(|_| same_end),
            last_record: checkpoint.last_record.filter(|_| same_end),
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

    /// Where to start, given the usable checkpoints with their epochs, newest first: rules 3 to 6.
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
    use kol_common::proto::{AsOf, RecordMark};

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
        LostTail {
            from,
            to,
            differs: None,
            unproven: false,
        }
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
    fn a_cut_that_may_lie_further_below_is_not_repaired_by_a_checkpoint_before_it() {
        let kept = [checkpoint(10, 0), checkpoint(30, 0)];
        for unproven in [false, true] {
            let mut cuts = Cuts::default();
            let lost = LostTail {
                differs: Some(29),
                unproven,
                ..lost(20, 35)
            };
            cuts.add(lost, kept.iter().rev());
            assert_eq!(start(&cuts, &kept), (1, 10, None));
            let cut = cuts.newest()[0];
            assert_eq!((cut.repaired, cut.differs), (!unproven, Some(29)));
        }
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
    fn older_epochs_of_the_log_as_it_is_now_are_named_with_their_last_records() {
        let known = |offset, lineage| PartitionCheckpoint {
            last_record: Some(RecordMark {
                offset: offset - 1,
                ..RecordMark::default()
            }),
            ..checkpoint(offset, lineage)
        };
        let kept = [
            known(10, 0),
            known(15, 0),
            checkpoint(18, 0),
            known(30, 0),
            known(40, 1),
        ];
        let numbered: Vec<_> = (1..).zip(&kept).collect();
        let mut cuts = Cuts::default();
        cuts.add(lost(20, 35), [].into_iter());
        let named = |before| -> Vec<u64> {
            let older = cuts.kept_before(before, numbered.iter().rev().copied());
            older.map(|epoch| epoch.offset).collect()
        };
        assert_eq!(
            named(5),
            [15, 10],
            "30 is of lost records, 18 does not know its own"
        );
        assert_eq!(named(2), [10]);
    }

    #[test]
    fn a_state_that_is_handed_on_before_its_end_does_not_claim_a_last_record() {
        let whole = PartitionCheckpoint {
            last_record: Some(RecordMark::default()),
            leader_epoch: Some(1),
            ..checkpoint(30, 0)
        };
        let mut cuts = Cuts::default();
        assert_eq!(cuts.hand_on(&whole), whole);
        cuts.add(lost(20, 35), [].into_iter());
        let handed = cuts.hand_on(&whole);
        assert_eq!(
            (handed.offset, handed.leader_epoch, handed.last_record),
            (20, None, None)
        );
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
