//! Whether the log is still the one that the state is of: a machine.
//!
//! A topic that is deleted and recreated is another log, also when it has grown past the position by the
//! time somebody looks. Its id shows that. Brokers learn of a new topic one after the other, so one answer
//! that differs proves nothing; the second one in a row does.

use tokio::time::Instant;
use uuid::Uuid;

use crate::source::Identity;

/// See the module.
#[derive(Clone, Debug)]
pub struct LogId {
    /// Answers to earlier queries are not of the log that is read now.
    since: Instant,
    known: Option<Uuid>,
    /// When the newest query was sent that was answered with the known id.
    confirmed: Option<Instant>,
    /// Another id that was answered, and when it was queried.
    other: Option<(Uuid, Instant)>,
}

impl LogId {
    /// A log is read from now on: the one with this id, if it is known.
    pub fn new(since: Instant, known: Option<Uuid>) -> Self {
        Self {
            since,
            known,
            confirmed: None,
            other: None,
        }
    }

    /// The id of the log that the state is of.
    pub fn known(&self) -> Option<Uuid> {
        self.known
    }

    /// Whether a query that was sent later than this was answered with the known id.
    pub fn is_confirmed_since(&self, moment: Instant) -> bool {
        self.confirmed.is_some_and(|requested| requested > moment)
    }

    /// Takes an answer: the id of the other log, if it is certain that this is one.
    pub fn answered(&mut self, answer: Identity) -> Option<Uuid> {
        if answer.requested < self.since {
            return None;
        }
        let known = *self.known.get_or_insert(answer.topic);
        if answer.topic == known {
            self.confirmed = Some(answer.requested);
            self.other = None;
            return None;
        }
        match self.other {
            Some((other, requested)) if other == answer.topic => {
                (answer.requested > requested).then_some(other)
            }
            _ => {
                self.other = Some((answer.topic, answer.requested));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OLD: Uuid = Uuid::from_u128(1);
    const NEW: Uuid = Uuid::from_u128(2);

    fn id(start: Instant, known: Option<Uuid>) -> (LogId, impl Fn(Uuid, u64) -> Identity) {
        let at = move |topic, ms| Identity {
            topic,
            requested: start + Duration::from_millis(ms),
        };
        (LogId::new(start, known), at)
    }

    #[test]
    fn the_first_answer_is_taken_when_nothing_is_known() {
        let (mut log, at) = id(Instant::now(), None);
        assert_eq!(log.answered(at(OLD, 1)), None);
        assert_eq!(log.known(), Some(OLD));
    }

    #[test]
    fn another_log_is_certain_after_two_answers_to_two_queries() {
        let (mut log, at) = id(Instant::now(), Some(OLD));
        assert_eq!(log.answered(at(NEW, 1)), None);
        assert_eq!(log.answered(at(NEW, 1)), None, "the same answer again");
        assert_eq!(log.answered(at(NEW, 2)), Some(NEW));
        assert_eq!(
            log.known(),
            Some(OLD),
            "of the state, until that is dropped"
        );
    }

    #[test]
    fn the_known_log_is_confirmed_by_an_answer_to_a_later_query_only() {
        let start = Instant::now();
        let (mut log, at) = id(start, Some(OLD));
        log.answered(at(OLD, 5));
        assert!(!log.is_confirmed_since(start + Duration::from_millis(5)));
        log.answered(at(NEW, 6));
        assert!(!log.is_confirmed_since(start + Duration::from_millis(5)));
        log.answered(at(OLD, 7));
        assert!(log.is_confirmed_since(start + Duration::from_millis(5)));
    }

    #[test]
    fn a_broker_that_does_not_know_yet_proves_nothing() {
        let (mut log, at) = id(Instant::now(), Some(NEW));
        assert_eq!(log.answered(at(OLD, 1)), None);
        assert_eq!(log.answered(at(NEW, 2)), None);
        assert_eq!(log.answered(at(OLD, 3)), None);
    }

    #[test]
    fn answers_from_before_the_partition_came_here_do_not_count() {
        let early = Instant::now();
        let (mut log, at) = id(early + Duration::from_secs(1), None);
        let before = Identity {
            topic: OLD,
            requested: early,
        };
        assert_eq!(log.answered(before), None);
        assert_eq!(log.known(), None);
        assert_eq!(log.answered(at(NEW, 1)), None);
        assert_eq!(log.known(), Some(NEW));
    }
}
