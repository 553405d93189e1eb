//! When the log says that Redis refuses, and that it no longer does: a machine without I/O.
//!
//! Not every request that fails is a line. Trouble begins with a failure of another kind than those known, and
//! ends once every kind of request that failed has succeeded and none has failed for a while: a read that works
//! says nothing about writes, and one partition that is served nothing about another that is not.

use std::time::Duration;

use kol_common::KolError;
use kol_common::redis::SCRIPTS_FORGOTTEN;
use tokio::time::Instant;

use super::message::Operation;

/// So long nothing may fail before all is well.
const QUIET: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// What each kind of request failed with, until it succeeds.
    codes: [Option<&'static str>; Operation::ALL.len()],
    /// What was said, and the last failure.
    said: Vec<&'static str>,
    failed_at: Option<Instant>,
}

/// What the log should say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Begins,
    Ends,
}

impl Trouble {
    /// A request was served, or failed.
    pub(super) fn note(
        &mut self,
        now: Instant,
        operation: Operation,
        error: Option<&KolError>,
    ) -> Option<Line> {
        let code = error.map(|e| e.code);
        // A script that Redis lost is loaded again at once: the next reply shows whether all is well.
        if code == Some(SCRIPTS_FORGOTTEN) {
            return None;
        }
        if let Some(code) = code {
            self.codes[operation as usize] = Some(code);
            self.failed_at = Some(now);
            let is_new = !self.said.contains(&code);
            is_new.then(|| self.said.push(code));
            return is_new.then_some(Line::Begins);
        }
        for (of, known) in Operation::ALL.into_iter().zip(&mut self.codes) {
            known.take_if(|code| operation.proves(of, code));
        }
        let is_quiet = self.failed_at.is_some_and(|at| now >= at + QUIET);
        if !is_quiet || self.codes.iter().any(Option::is_some) {
            return None;
        }
        self.failed_at = None;
        self.said.clear();
        Some(Line::Ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &'static str) -> KolError {
        KolError::external(code, "no")
    }

    #[test]
    fn a_partition_that_fails_beside_one_that_is_served_is_one_line() {
        let begun = Instant::now();
        let mut trouble = Trouble::default();
        let mut lines = Vec::new();
        for second in 0..60 {
            let now = begun + Duration::from_secs(second);
            lines.extend(trouble.note(now, Operation::Flush, Some(&error("SINK_ERROR"))));
            lines.extend(trouble.note(now, Operation::Flush, None));
        }
        assert_eq!(lines, [Line::Begins]);
        let last = begun + Duration::from_secs(59);
        let soon = last + QUIET.mul_f32(0.9);
        assert_eq!(trouble.note(soon, Operation::Flush, None), None);
        let ended = trouble.note(last + QUIET, Operation::Flush, None);
        assert_eq!(ended, Some(Line::Ends));
        assert_eq!(trouble.note(last + 2 * QUIET, Operation::Flush, None), None);
    }

    #[test]
    fn reads_that_work_do_not_end_the_trouble_of_writes() {
        let now = Instant::now();
        let mut trouble = Trouble::default();
        let code = error("SINK_OUT_OF_MEMORY");
        trouble.note(now, Operation::Flush, Some(&code));
        assert_eq!(trouble.note(now + 2 * QUIET, Operation::Look, None), None);
        let ended = trouble.note(now + 2 * QUIET, Operation::Flush, None);
        assert_eq!(ended, Some(Line::Ends));
    }

    #[test]
    fn flushes_that_succeed_end_the_trouble_of_looks_and_samples() {
        let now = Instant::now();
        for operation in [Operation::Look, Operation::Tops] {
            let mut trouble = Trouble::default();
            trouble.note(now, operation, Some(&error("SINK_READ_ONLY")));
            let ended = trouble.note(now + 2 * QUIET, Operation::Flush, None);
            assert_eq!(ended, Some(Line::Ends), "{operation:?}");
        }
    }

    #[test]
    fn another_reason_is_another_line_and_forgotten_scripts_are_none() {
        let now = Instant::now();
        let mut trouble = Trouble::default();
        let mut note = |code| trouble.note(now, Operation::Flush, Some(&error(code)));
        assert_eq!(note(SCRIPTS_FORGOTTEN), None);
        assert_eq!(note("SINK_MISCONF"), Some(Line::Begins));
        assert_eq!(note("SINK_OUT_OF_MEMORY"), Some(Line::Begins));
        assert_eq!(note("SINK_MISCONF"), None);
    }
}
