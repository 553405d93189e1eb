//! What is wrong with Redis, by the kind of operation: a machine without I/O.
//!
//! A problem stays until the same kind of operation succeeded. While Redis refuses every write (it is full, it
//! cannot save, it is a replica), looks at the fence still succeed, and prove nothing about writes; a flush that
//! succeeds does prove that looks do. That Redis cannot be reached is disproved by any answer.

use kol_common::KolError;
use kol_common::redis::{SCRIPTS_FORGOTTEN, UNREACHABLE_CODE};

use crate::partition::message::Assignment;
use crate::sink::{Operation, SinkError};

/// See the module.
#[derive(Debug, Default)]
pub struct Problems([Option<KolError>; Operation::ALL.len()]);

impl Problems {
    /// An operation was answered.
    pub fn answered(&mut self, operation: Operation, error: Option<&SinkError>) {
        if error.is_none() {
            for (of, known) in Operation::ALL.into_iter().zip(&mut self.0) {
                known.take_if(|problem| {
                    operation.proves(of, problem.code) || problem.code == UNREACHABLE_CODE
                });
            }
        }
        let problem = &mut self.0[operation as usize];
        match error {
            None => {}
            // Scripts are loaded again at once: nobody has to know.
            Some(SinkError::Unavailable(e)) if e.code == SCRIPTS_FORGOTTEN => {}
            Some(SinkError::Unavailable(e)) => *problem = Some(e.clone()),
            // Not a refusal of Redis: the owner changed, or everything is sent again.
            Some(SinkError::Fenced | SinkError::TakenOver(_) | SinkError::Lost) => {}
        }
    }

    /// Whether operations of this kind failed, and none has succeeded since.
    pub fn has(&self, operation: Operation) -> bool {
        self.0[operation as usize].is_some()
    }

    /// Nothing waits to be written any more: what was refused is of a log that no longer exists.
    pub fn nothing_to_write(&mut self) {
        self.0[Operation::Flush as usize] = None;
    }

    /// The one that matters most: refused writes first.
    pub fn worst(&self) -> Option<&KolError> {
        self.0.iter().flatten().next()
    }
}

/// Why a partition ends whose write was refused.
pub fn fenced(assignment: &Assignment, refusal: Option<&SinkError>) -> KolError {
    let error = match refusal {
        Some(SinkError::TakenOver(why)) => why.clone(),
        _ => KolError::external("FENCED", "a newer owner of this partition writes to Redis").help(
            "Nothing to do after a move. If it repeats, a cluster of an older version runs a job of \
             this name on this Redis: give one of them other keys.",
        ),
    };
    error
        .job(&assignment.spec.name)
        .partition(&assignment.partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &'static str) -> SinkError {
        KolError::external(code, "no").into()
    }

    #[test]
    fn a_refused_flush_stays_a_problem_until_a_flush_succeeds() {
        for code in [
            "SINK_MISCONF",
            "SINK_OUT_OF_MEMORY",
            "SINK_READ_ONLY",
            "SINK_ERROR",
        ] {
            let mut problems = Problems::default();
            problems.answered(Operation::Flush, Some(&error(code)));
            for other in Operation::ALL {
                if other != Operation::Flush {
                    problems.answered(other, None);
                }
                assert_eq!(problems.worst().map(|e| e.code), Some(code), "{other:?}");
            }
            problems.answered(Operation::Flush, None);
            assert_eq!(problems.worst(), None);
        }
    }

    #[test]
    fn every_operation_keeps_its_own_problem_and_a_refused_write_comes_first() {
        for operation in Operation::ALL {
            let mut problems = Problems::default();
            problems.answered(operation, Some(&error("SINK_RIGHTS")));
            problems.answered(Operation::Flush, Some(&error("SINK_MISCONF")));
            assert_eq!(problems.worst().map(|e| e.code), Some("SINK_MISCONF"));
            problems.answered(Operation::Flush, None);
            let left = problems.worst().map(|e| e.code);
            let proven = matches!(operation, Operation::Flush | Operation::Look);
            assert_eq!(left, (!proven).then_some("SINK_RIGHTS"), "{operation:?}");
        }
    }

    #[test]
    fn what_was_refused_in_a_failover_is_no_problem_once_flushes_succeed() {
        let mut problems = Problems::default();
        for operation in [Operation::Flush, Operation::Look, Operation::Tops] {
            problems.answered(operation, Some(&error("SINK_READ_ONLY")));
        }
        problems.answered(Operation::Flush, None);
        assert_eq!(
            problems.worst(),
            None,
            "nobody looks or samples while flushes succeed"
        );
    }

    #[test]
    fn a_redis_that_could_not_be_reached_is_reached_once_it_answers_anything() {
        for operation in Operation::ALL {
            let mut problems = Problems::default();
            problems.answered(operation, Some(&error(UNREACHABLE_CODE)));
            problems.answered(Operation::Look, None);
            assert_eq!(problems.worst(), None, "{operation:?}");
        }
    }

    #[test]
    fn forgotten_scripts_neither_are_a_problem_nor_end_one() {
        let mut problems = Problems::default();
        problems.answered(Operation::Flush, Some(&error(SCRIPTS_FORGOTTEN)));
        assert_eq!(problems.worst(), None);
        problems.answered(Operation::Flush, Some(&error("SINK_MISCONF")));
        problems.answered(Operation::Flush, Some(&error(SCRIPTS_FORGOTTEN)));
        assert!(problems.worst().is_some());
        problems.nothing_to_write();
        assert_eq!(problems.worst(), None);
    }
}
