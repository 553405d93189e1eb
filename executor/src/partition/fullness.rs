//! How long people are shown that memory is full: a machine.
//!
//! Checkpoint files and dead letters come and go within a second. Memory that is full because of them, again and
//! again, is one problem, which ends once it was not full for a while.

use std::time::Duration;

use kol_common::KolError;
use tokio::time::Instant;

/// Memory must not be full for so long before all is well.
const QUIET: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fullness(Option<Shown>);

#[derive(Debug)]
struct Shown {
    problem: KolError,
    /// When memory was last full.
    at: Instant,
}

impl Fullness {
    /// Takes what is wrong now, if memory is full.
    pub(super) fn look(&mut self, now: Instant, problem: Option<KolError>) {
        if let Some(problem) = problem {
            self.0 = Some(Shown { problem, at: now });
        }
        self.0.take_if(|shown| now >= shown.at + QUIET);
    }

    /// What people are shown: as it was when memory was last full.
    pub(super) fn problem(&self) -> Option<&KolError> {
        self.0.as_ref().map(|shown| &shown.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(what: &str) -> Option<KolError> {
        Some(KolError::external("MEMORY_LIMIT", what.to_owned()))
    }

    #[test]
    fn memory_that_is_full_at_each_epoch_is_one_problem_until_it_has_room_for_a_while() {
        let begun = Instant::now();
        let mut fullness = Fullness::default();
        fullness.look(begun, None);
        assert_eq!(fullness.problem(), None);
        let tenths = |n: u32| begun + n * Duration::from_millis(100);
        for tenth in 1..=100 {
            let file = tenth % 10 == 0;
            fullness.look(tenths(tenth), file.then(|| full("a")).flatten());
            assert_eq!(fullness.problem().is_some(), tenth >= 10, "{tenth}");
        }
        let last = tenths(100);
        fullness.look(last + QUIET.mul_f32(0.9), None);
        assert!(fullness.problem().is_some());
        fullness.look(last + QUIET, None);
        assert_eq!(fullness.problem(), None);
    }

    #[test]
    fn what_is_shown_is_what_filled_it_last() {
        let now = Instant::now();
        let mut fullness = Fullness::default();
        for what in ["state", "files"] {
            fullness.look(now, full(what));
        }
        fullness.look(now + QUIET.mul_f32(0.5), None);
        let shown = fullness.problem().map(|problem| &*problem.message);
        assert_eq!(shown, Some("files"));
    }
}
