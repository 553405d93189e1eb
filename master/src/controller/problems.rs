//! When the log says that a job has a problem, and that it no longer has it: a machine without I/O.
//!
//! 1. The code of a problem sets it apart: of several partitions with one code the first is named.
//! 2. A problem begins once it was there for [`LASTS`], and ends once it was not for as long: a move, or a process that is
//!    started again, is no line.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::Millis;
use kol_common::proto::ErrorInfo;

/// See rule 2.
const LASTS: Duration = Duration::from_secs(3);

/// The problems of one job.
#[derive(Debug, Default)]
pub(super) struct Problems(BTreeMap<String, Known>);

#[derive(Debug)]
struct Known {
    first: Millis,
    last: Millis,
    was_said: bool,
}

/// What the log should say.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// This problem has begun.
    Begins(ErrorInfo),
    /// The one with this code is over, after so long.
    Ends(String, Millis),
}

impl Problems {
    /// Takes the problems of now.
    pub(super) fn look(&mut self, now: Millis, problems: &[ErrorInfo]) -> Vec<Line> {
        let mut lines = Vec::new();
        for problem in problems {
            let known = self.0.entry(problem.code.clone()).or_insert(Known {
                first: now,
                last: now,
                was_said: false,
            });
            known.last = now;
            if !known.was_said && now.since(known.first) >= Millis::from(LASTS) {
                known.was_said = true;
                lines.push(Line::Begins(problem.clone()));
            }
        }
        self.0.retain(|code, known| {
            let is_over = now.since(known.last) >= Millis::from(LASTS);
            if is_over && known.was_said {
                let lasted = known.last.since(known.first);
                lines.push(Line::Ends(code.clone(), lasted));
            }
            !is_over
        });
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: &str, message: &str) -> ErrorInfo {
        ErrorInfo {
            code: code.into(),
            message: message.into(),
            ..ErrorInfo::default()
        }
    }

    #[test]
    fn a_problem_is_one_line_when_it_begins_and_one_when_it_ends() {
        let mut problems = Problems::default();
        let mut lines = Vec::new();
        for second in 0..20 {
            let (away, waits) = (
                problem("AWAY", "partition 0"),
                problem("AWAY", "partition 1"),
            );
            let now = if (2..12).contains(&second) {
                vec![away, waits]
            } else {
                Vec::new()
            };
            let said = problems.look(Millis(second * 1_000), &now);
            lines.extend(said.into_iter().map(|line| (second, line)));
        }
        let begins = Line::Begins(problem("AWAY", "partition 0"));
        let ends = Line::Ends("AWAY".into(), Millis(9_000));
        assert_eq!(lines, [(5, begins), (14, ends)]);
    }

    #[test]
    fn a_problem_of_a_moment_is_no_line_and_neither_is_a_gap_in_one() {
        let mut problems = Problems::default();
        let look = |problems: &mut Problems, second: u64, there: bool| {
            let now = there.then(|| problem("AWAY", "x"));
            problems.look(Millis(second * 1_000), now.as_slice()).len()
        };
        for (second, there) in [(0, true), (1, true), (2, false), (3, false), (4, false)] {
            assert_eq!(look(&mut problems, second, there), 0, "{second}");
        }
        assert_eq!(look(&mut problems, 5, true), 0);
        assert_eq!(look(&mut problems, 8, true), 1, "begins");
        assert_eq!(look(&mut problems, 10, false), 0, "a gap");
        assert_eq!(look(&mut problems, 11, true), 0);
        assert_eq!(look(&mut problems, 14, false), 1, "ends");
    }
}
