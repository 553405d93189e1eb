//! Where to resume when the log is not what it was: decides from what is known of it.

use uuid::Uuid;

use super::phase::{Doubt, Found};
use crate::partition::message::LostTail;

/// What is known of a log whose range was queried.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Offset of the next record.
    pub position: u64,
    /// What was looked up.
    pub found: Found,
    /// The id of the log that the state is of; `None` where brokers give none.
    pub known: Option<Uuid>,
    /// A query that was sent after the doubt arose was answered with that id.
    pub confirmed: bool,
    /// Why the range was queried.
    pub doubt: Doubt,
}

/// Where to resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The log has the position after all: a broker answered before it knew.
    Here,
    /// Not known yet: whether this is another log must show first.
    Later,
    /// Records were deleted before they were read.
    BehindGap {
        /// Oldest record that is left.
        at: u64,
        /// Records that are gone.
        lost: u64,
    },
    /// It is the same log, and its tail is lost: the state has records that no longer exist.
    BeforeTail(LostTail),
    /// This is another log: the topic was recreated. All state belonged to the old one.
    NewLog {
        /// Oldest record of the new one.
        at: u64,
    },
}

/// Decides where reading resumes, or that it cannot.
pub fn resume(evidence: &Evidence) -> Resume {
    let Evidence { found, doubt, .. } = *evidence;
    let Found { oldest, end, .. } = found;
    if doubt.other.is_some() {
        return Resume::NewLog { at: oldest };
    }
    // The query had begun before that showed.
    let differs = doubt.differs.or(found.differs);
    let left = differs.is_none() && doubt.read.is_some() && !found.compared;
    if left || (differs.is_some() && found.cut.is_none()) {
        return Resume::Later;
    }
    let read_to = evidence.position.max(doubt.shown.unwrap_or(0));
    let cuts = doubt.cut.into_iter().chain(found.cut_at());
    let from = cuts.fold(end, u64::min).max(oldest);
    if from < read_to {
        return match evidence.known {
            Some(_) if evidence.confirmed => Resume::BeforeTail(LostTail {
                from,
                to: read_to,
                differs,
                unproven: doubt.cut.is_none() && found.is_unproven(),
                oldest,
            }),
            Some(_) => Resume::Later,
            // It cannot be distinguished from a recreated topic.
            None => Resume::NewLog { at: oldest },
        };
    }
    if evidence.position < oldest {
        return Resume::BehindGap {
            at: oldest,
            lost: oldest - evidence.position,
        };
    }
    Resume::Here
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use kol_common::proto::RecordMark;

    use super::super::phase::Cut;
    use super::*;

    const KNOWN: Option<Uuid> = Some(Uuid::from_u128(1));

    fn evidence(position: u64, oldest: u64, end: u64) -> Evidence {
        Evidence {
            position,
            found: Found {
                oldest,
                end,
                differs: None,
                cut: None,
                compared: false,
            },
            known: KNOWN,
            confirmed: true,
            doubt: Doubt::new(Instant::now()),
        }
    }

    fn lost(from: u64, to: u64) -> LostTail {
        LostTail {
            from,
            to,
            differs: None,
            unproven: false,
            oldest: 0,
        }
    }

    #[test]
    fn a_log_with_another_record_at_a_place_that_was_read_is_cut_where_its_epochs_say() {
        let mut seen = evidence(30, 0, 90);
        seen.doubt.differs = Some(29);
        assert_eq!(resume(&seen), Resume::Later, "its epochs must be compared");
        seen.found.cut = Some(Cut::From(12));
        let tail = LostTail {
            differs: Some(29),
            ..lost(12, 30)
        };
        assert_eq!(resume(&seen), Resume::BeforeTail(tail));
        seen.found.cut = Some(Cut::Before(12));
        let unproven = LostTail {
            unproven: true,
            ..tail
        };
        assert_eq!(resume(&seen), Resume::BeforeTail(unproven));
        seen.doubt.cut = Some(8);
        let tail = LostTail { from: 8, ..tail };
        assert_eq!(
            resume(&seen),
            Resume::BeforeTail(tail),
            "the client knows better"
        );
        seen.confirmed = false;
        assert_eq!(resume(&seen), Resume::Later, "its id must show first");
        seen.doubt.other = Some(Uuid::from_u128(2));
        assert_eq!(resume(&seen), Resume::NewLog { at: 0 });
        seen.doubt.other = None;
        seen.known = None;
        assert_eq!(resume(&seen), Resume::NewLog { at: 0 });
    }

    #[test]
    fn a_record_that_an_owner_before_had_read_is_compared_before_the_log_is_read_on() {
        let mut seen = evidence(30, 0, 90);
        seen.doubt.read = Some(RecordMark::default());
        assert_eq!(resume(&seen), Resume::Later);
        seen.found.compared = true;
        assert_eq!(resume(&seen), Resume::Here);
        (seen.found.differs, seen.found.cut) = (Some(29), Some(Cut::From(12)));
        let tail = LostTail {
            differs: Some(29),
            ..lost(12, 30)
        };
        assert_eq!(resume(&seen), Resume::BeforeTail(tail));
    }

    #[test]
    fn a_gap_is_counted_and_a_log_that_has_the_position_is_read_on() {
        let gap = Resume::BehindGap { at: 9, lost: 4 };
        assert_eq!(resume(&evidence(5, 9, 20)), gap);
        assert_eq!(resume(&evidence(20, 0, 20)), Resume::Here);
        assert_eq!(resume(&evidence(9, 9, 20)), Resume::Here);
    }

    #[test]
    fn a_log_that_ends_before_the_position_lost_its_tail_if_it_is_the_same_log() {
        let mut seen = evidence(30, 0, 20);
        let tail = Resume::BeforeTail(lost(20, 30));
        assert_eq!(resume(&seen), tail);
        seen.confirmed = false;
        assert_eq!(resume(&seen), Resume::Later, "its id must show first");
        seen.doubt.other = Some(Uuid::from_u128(2));
        assert_eq!(resume(&seen), Resume::NewLog { at: 0 });
        let mut without_ids = evidence(30, 3, 20);
        without_ids.known = None;
        assert_eq!(resume(&without_ids), Resume::NewLog { at: 3 });
    }

    #[test]
    fn a_log_that_has_grown_again_is_cut_where_its_client_says() {
        let mut seen = evidence(30, 5, 90);
        seen.doubt.cut = Some(20);
        let tail = |from| {
            Resume::BeforeTail(LostTail {
                oldest: 5,
                ..lost(from, 30)
            })
        };
        assert_eq!(resume(&seen), tail(20));
        seen.doubt.cut = Some(0);
        assert_eq!(resume(&seen), tail(5), "nothing is left of what was read");
        seen.doubt.cut = Some(30);
        assert_eq!(resume(&seen), Resume::Here);
    }

    #[test]
    fn what_an_owner_before_had_read_is_lost_too() {
        let mut seen = evidence(10, 0, 20);
        seen.doubt.shown = Some(30);
        let tail = Resume::BeforeTail(lost(20, 30));
        assert_eq!(resume(&seen), tail);
        seen.doubt.shown = Some(20);
        assert_eq!(resume(&seen), Resume::Here);
    }
}
