//! Where to resume when the log is not what it was: decides from what is known of it.

use uuid::Uuid;

use super::phase::Doubt;
use crate::partition::message::LostTail;

/// What is known of a log whose range was queried.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Offset of the next record.
    pub position: u64,
    /// Oldest offset that is still there.
    pub oldest: u64,
    /// One past the newest.
    pub end: u64,
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

/// Decides.
pub fn resume(evidence: &Evidence) -> Resume {
    let Evidence { oldest, doubt, .. } = *evidence;
    if doubt.other.is_some() {
        return Resume::NewLog { at: oldest };
    }
    let read_to = evidence.position.max(doubt.shown.unwrap_or(0));
    let cut = doubt.cut.unwrap_or(evidence.end).min(evidence.end);
    let from = cut.max(oldest);
    if from < read_to {
        return match evidence.known {
            Some(_) if evidence.confirmed => Resume::BeforeTail(LostTail { from, to: read_to }),
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

    use super::*;

    const KNOWN: Option<Uuid> = Some(Uuid::from_u128(1));

    fn evidence(position: u64, oldest: u64, end: u64) -> Evidence {
        Evidence {
            position,
            oldest,
            end,
            known: KNOWN,
            confirmed: true,
            doubt: Doubt::new(Instant::now()),
        }
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
        let tail = Resume::BeforeTail(LostTail { from: 20, to: 30 });
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
        let tail = |from| Resume::BeforeTail(LostTail { from, to: 30 });
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
        let tail = Resume::BeforeTail(LostTail { from: 20, to: 30 });
        assert_eq!(resume(&seen), tail);
        seen.doubt.shown = Some(20);
        assert_eq!(resume(&seen), Resume::Here);
    }
}
