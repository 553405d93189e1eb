//! When the rankings of a job are kept as they are shown: a machine without I/O.
//!
//! 1. The first partition of a job does it for all: rankings are of all partitions together.
//! 2. A snapshot is due when the job clock has passed another step. Where it passed several, only the last one is kept: what
//!    was shown at those before is not known any more.
//! 3. Snapshots are at least a second apart, however fast events come; what failed is tried again after five.

use std::time::Duration;

use kol_common::Millis;
use kol_common::redis::history::Rules;
use tokio::time::Instant;

use crate::partition::message::Assignment;
use crate::sink::Kept;

/// Number of the partition that keeps the rankings of its job.
const KEEPER: u32 = 0;
/// Least time from one snapshot to the next.
const PACE: Duration = Duration::from_secs(1);
/// When a snapshot that failed is tried again, and one that a key of a wrong type hindered.
const RETRY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct History {
    /// `None` where this partition keeps nothing.
    rules: Option<Rules>,
    /// The time of the newest snapshot that Redis has.
    newest: Option<Millis>,
    /// The time of the one under way.
    begun: Option<Millis>,
    next_at: Instant,
    /// Keys of a wrong type because of which the last one is not there.
    refused: Vec<String>,
}

impl History {
    /// For one assignment.
    pub fn new(assignment: &Assignment, now: Instant) -> Self {
        let reach = assignment.spec.sink.history;
        let reach = reach.filter(|_| assignment.ordinal == KEEPER);
        Self {
            rules: reach.map(|reach| Rules::new(assignment.scoring.spec.slide, reach)),
            newest: None,
            begun: None,
            next_at: now,
            refused: Vec::new(),
        }
    }

    /// Time and rules of the snapshot to take now, at this time of the job clock, if one is due.
    pub fn begin(&mut self, now: Instant, clock: Option<Millis>) -> Option<(Millis, Rules)> {
        let rules = self.rules.filter(|_| now >= self.next_at)?;
        let due = rules.due(clock?);
        if self.newest.is_some_and(|newest| newest >= due) {
            return None;
        }
        self.begun = Some(due);
        self.next_at = now + RETRY;
        Some((due, rules))
    }

    /// The snapshot was taken, or was not.
    pub fn answered(&mut self, now: Instant, kept: Option<&Kept>) {
        let begun = self.begun.take();
        let Some(kept) = kept else {
            return;
        };
        self.refused.clone_from(&kept.refused);
        if self.refused.is_empty() {
            self.newest = begun;
            self.next_at = now + PACE;
        }
    }

    /// Keys of a wrong type because of which no snapshots are kept.
    pub fn refused(&self) -> impl Iterator<Item = &String> {
        self.refused.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Millis = Millis(500_000 * 3_600_000);
    const STEP: u64 = 300_000;

    fn of(ordinal: u32, history: Option<Millis>) -> History {
        let mut assignment = Assignment::with_source("");
        assignment.ordinal = ordinal;
        let mut spec = (*assignment.spec).clone();
        spec.sink.history = history;
        assignment.spec = spec.into();
        History::new(&assignment, Instant::now())
    }

    fn after(steps: u64) -> Option<Millis> {
        Some(Millis(T0.0 + steps * STEP + 7))
    }

    fn due(history: &mut History, now: Instant, clock: Option<Millis>) -> Option<u64> {
        let (at, _) = history.begin(now, clock)?;
        Some((at.0 - T0.0) / STEP)
    }

    #[test]
    fn one_snapshot_is_taken_of_each_step_and_of_several_that_passed_the_last() {
        let mut history = of(0, Some(Millis(86_400_000)));
        let begun = Instant::now();
        let mut taken = Vec::new();
        for (second, step) in [0, 0, 1, 1, 4, 5, 5].into_iter().enumerate() {
            let now = begun + PACE * second as u32;
            if let Some(step) = due(&mut history, now, after(step)) {
                taken.push(step);
                history.answered(now, Some(&Kept::default()));
            }
        }
        assert_eq!(taken, [0, 1, 4, 5]);
    }

    #[test]
    fn nothing_is_due_without_a_clock_on_another_partition_and_where_it_is_off() {
        let day = Some(Millis(86_400_000));
        let [mut keeper, mut other, mut off] = [of(0, day), of(1, day), of(0, None)];
        let now = Instant::now();
        assert_eq!(due(&mut keeper, now, None), None);
        assert_eq!(due(&mut other, now, after(1)), None);
        assert_eq!(due(&mut off, now, after(1)), None);
        assert_eq!(due(&mut keeper, now, after(1)), Some(1));
    }

    #[test]
    fn snapshots_are_a_second_apart_and_what_failed_or_was_hindered_is_tried_again_after_five() {
        let mut history = of(0, Some(Millis(86_400_000)));
        let now = Instant::now();
        assert_eq!(due(&mut history, now, after(1)), Some(1));
        history.answered(now, Some(&Kept::default()));
        assert_eq!(due(&mut history, now, after(2)), None);
        let now = now + PACE;
        assert_eq!(due(&mut history, now, after(2)), Some(2));
        history.answered(now, None);
        assert_eq!(due(&mut history, now + PACE, after(2)), None);
        let now = now + RETRY;
        assert_eq!(due(&mut history, now, after(2)), Some(2));
        let refused = vec!["history".to_owned()];
        history.answered(now, Some(&Kept { refused }));
        assert_eq!(history.refused().collect::<Vec<_>>(), ["history"]);
        let now = now + RETRY;
        assert_eq!(due(&mut history, now, after(2)), Some(2));
        history.answered(now, Some(&Kept::default()));
        assert_eq!(history.refused().count(), 0);
    }
}
