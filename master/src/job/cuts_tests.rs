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
        oldest: None,
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
    cuts.add(lost(20, 35), false, kept.iter().rev());
    assert_eq!(start(&cuts, &kept), (2, 20, None));
    assert_eq!((cuts.lineage(), cuts.records()), (1, 15));
    assert!(cuts.newest()[0].repaired);
}

/// Whether it starts again without state.
fn starts_again(cuts: &Cuts, checkpoints: &[PartitionCheckpoint]) -> bool {
    let numbered: Vec<_> = (1..).zip(checkpoints).collect();
    cuts.restart(numbered.into_iter().rev()).is_none()
}

#[test]
fn a_log_that_still_gives_the_whole_state_is_read_again_where_no_checkpoint_lies_before_the_cut() {
    let kept = [checkpoint(20, 0), checkpoint(30, 0)];
    let mut cuts = Cuts::default();
    cuts.add(lost(20, 35), true, kept.iter().rev());
    assert_eq!(start(&cuts, &kept), (1, 20, None), "less is read again");
    cuts.add(lost(19, 25), true, kept.iter().rev());
    assert!(starts_again(&cuts, &kept));
    assert!(cuts.newest()[1].repaired);
    let with_one_of_after = [&kept[..], &[checkpoint(8, 2)]].concat();
    assert_eq!(start(&cuts, &with_one_of_after), (3, 8, None));
}

#[test]
fn what_the_newest_cut_found_in_the_log_decides_whether_it_gives_the_whole_state() {
    let kept = [checkpoint(30, 0)];
    let mut cuts = Cuts::default();
    cuts.add(lost(19, 35), true, kept.iter());
    cuts.add(lost(25, 28), false, kept.iter());
    assert_eq!(start(&cuts, &kept), (1, 30, Some(19)));
    assert!(!cuts.newest()[1].repaired);
    cuts.add(lost(25, 28), true, kept.iter());
    assert!(starts_again(&cuts, &kept));
}

#[test]
fn a_log_whose_first_records_are_gone_by_then_is_read_on_at_the_cut_with_the_state() {
    let kept = [checkpoint(10, 0), checkpoint(30, 0)];
    let mut cuts = Cuts::default();
    cuts.add(lost(9, 35), true, kept.iter().rev());
    cuts.is_no_longer_whole(kept.iter().rev());
    assert_eq!(start(&cuts, &kept), (2, 30, Some(9)));
    assert!(!cuts.newest()[0].repaired);
    cuts.add(lost(20, 25), true, kept.iter().rev());
    assert!(starts_again(&cuts, &kept), "another cut, another look");
}

#[test]
fn where_a_cut_may_lie_further_below_no_checkpoint_is_trusted_that_the_whole_log_can_replace() {
    let kept = [checkpoint(10, 0), checkpoint(30, 0)];
    let unproven = LostTail {
        differs: Some(29),
        unproven: true,
        ..lost(20, 35)
    };
    let mut cuts = Cuts::default();
    cuts.add(unproven, true, kept.iter().rev());
    assert!(starts_again(&cuts, &kept));
    assert!(cuts.newest()[0].repaired);
    let after = [kept[0].clone(), kept[1].clone(), checkpoint(25, 1)];
    assert_eq!(start(&cuts, &after), (3, 25, None));
    cuts.add(lost(22, 25), true, after.iter().rev());
    assert!(starts_again(&cuts, &after), "also of a later cut");
    cuts.is_no_longer_whole(after.iter().rev());
    assert_eq!(start(&cuts, &after), (1, 10, None));
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
        cuts.add(lost, false, kept.iter().rev());
        assert_eq!(start(&cuts, &kept), (1, 10, None));
        let cut = cuts.newest()[0];
        assert_eq!((cut.repaired, cut.differs), (!unproven, Some(29)));
    }
}

#[test]
fn without_such_a_checkpoint_the_state_is_kept_and_reading_resumes_at_the_cut() {
    let kept = [checkpoint(20, 0), checkpoint(30, 0)];
    let mut cuts = Cuts::default();
    cuts.add(lost(19, 35), false, kept.iter().rev());
    assert_eq!(start(&cuts, &kept), (2, 30, Some(19)));
    assert!(!cuts.newest()[0].repaired);
}

#[test]
fn a_second_cut_does_not_hide_a_lower_one_that_no_epoch_has_gone_back_to_yet() {
    let old = [checkpoint(100, 0)];
    let mut cuts = Cuts::default();
    cuts.add(lost(50, 100), false, old.iter());
    cuts.add(lost(70, 80), false, old.iter());
    assert_eq!(start(&cuts, &old), (1, 100, Some(50)), "50 to 70 are new");
    let kept = [checkpoint(100, 0), checkpoint(75, 1)];
    assert_eq!(start(&cuts, &kept), (2, 75, Some(70)), "it went back to 50");
    cuts.add(lost(60, 90), false, kept.iter().rev());
    cuts.add(lost(65, 90), false, kept.iter().rev());
    assert_eq!(start(&cuts, &kept), (2, 75, Some(60)));
    assert_eq!(start(&cuts, &old), (1, 100, Some(50)));
}

#[test]
fn a_cut_above_a_checkpoint_skips_nothing_where_older_cuts_are_no_longer_known() {
    let old = [checkpoint(40, 0)];
    let mut cuts = Cuts::default();
    for _ in 0..=MOST {
        cuts.add(lost(100, 110), false, old.iter());
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
    cuts.add(lost(20, 45), false, kept[..2].iter().rev());
    assert_eq!(start(&cuts, &kept), (4, 50, None));
    cuts.add(lost(30, 60), false, kept.iter().rev());
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
    cuts.add(lost(20, 35), false, [].into_iter());
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
fn what_a_log_has_lost_of_a_state_is_one_tail_from_the_lowest_cut_on() {
    let state = checkpoint(30, 0);
    let mut cuts = Cuts::default();
    assert_eq!(cuts.lost_of(&state), None);
    cuts.add(lost(30, 35), false, [].into_iter());
    assert_eq!(cuts.lost_of(&state), None);
    cuts.add(lost(20, 35), false, [].into_iter());
    cuts.add(lost(25, 35), false, [].into_iter());
    assert_eq!(cuts.lost_of(&state), Some(lost(20, 30)));
    assert_eq!(cuts.lost_of(&checkpoint(24, 2)), None, "made since");
    for _ in 0..MOST {
        cuts.add(lost(100, 110), false, [].into_iter());
    }
    let unproven = LostTail {
        unproven: true,
        ..lost(30, 30)
    };
    assert_eq!(
        cuts.lost_of(&state),
        Some(unproven),
        "nobody knows any more"
    );
}

#[test]
fn what_redis_had_confirmed_before_the_cut_does_not_count() {
    let mut cuts = Cuts::default();
    let (old, new) = (checkpoint(10, 0), checkpoint(20, 1));
    cuts.add(lost(15, 30), false, [&old].into_iter());
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
        cuts.add(lost(100, 110), false, std::iter::empty());
    }
    assert_eq!(cuts.lineage(), MOST as u64 + 1);
    assert!(!cuts.leave(&checkpoint(1, 0)));
    assert!(cuts.leave(&checkpoint(1, 1)));
    assert_eq!(cuts.records(), 10 * (MOST as u64 + 1));
}
