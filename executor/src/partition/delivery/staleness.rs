//! How old the oldest change is that Redis does not have, and from where on that is a problem.

use std::time::Duration;

use kol_common::{KolError, Millis};
use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct Staleness {
    /// `sink.max_staleness`.
    most: Millis,
    now: Duration,
}

impl Staleness {
    /// Everything is in Redis.
    pub fn new(most: Millis) -> Self {
        Self {
            most,
            now: Duration::ZERO,
        }
    }

    /// The oldest change that Redis does not have was made at this time, if there is one.
    pub fn look(&mut self, now: Instant, oldest: Option<Instant>) {
        self.now = oldest.map_or(Duration::ZERO, |since| now.duration_since(since));
    }

    /// How old it is.
    pub fn age(&self) -> Duration {
        self.now
    }

    /// The problem, if it is too old. `load` is what part of the time Redis' processor works, if it says so, and
    /// what part of its time this executor takes.
    pub fn problem(&self, load: (Option<f64>, f64)) -> Option<KolError> {
        if self.now <= self.most.duration() {
            return None;
        }
        let (busy, share) = load;
        // Rounded, so that the problem of one Redis is one problem, and the same a second later.
        let percent = |part: f64| format!("{:.0} %", (10.0 * part).round() * 10.0);
        let busy = busy.map_or_else(String::new, |busy| {
            format!(": its processor is {} busy", percent(busy))
        });
        let what = format!(
            "Redis lacks changes that are older than sink.max_staleness ({}){busy}; an executor takes at most {} of its \
             time",
            self.most,
            percent(share),
        );
        Some(KolError::external("SINK_STALE", what).help(
            "More changes arrive than Redis may take: give Redis a faster processor, keep other clients off it, divide the \
             platforms between jobs with a Redis each, or raise sink.max_staleness.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_is_older_than_the_spec_allows_is_a_problem_until_it_is_in_redis() {
        let start = Instant::now();
        let mut staleness = Staleness::new(Millis(30_000));
        let at = |s| start + Duration::from_secs(s);
        staleness.look(at(30), Some(start));
        assert_eq!(staleness.problem((None, 0.5)), None);
        staleness.look(at(31), Some(start));
        assert_eq!(staleness.age(), Duration::from_secs(31));
        let problem = staleness.problem((Some(0.93), 0.15)).unwrap();
        assert_eq!(problem.code, "SINK_STALE");
        for text in ["max_staleness (30s)", "90 % busy", "at most 20 % of"] {
            assert!(problem.message.contains(text), "{problem}");
        }
        staleness.look(at(32), None);
        assert_eq!(
            (staleness.age(), staleness.problem((None, 0.5))),
            (Duration::ZERO, None)
        );
    }
}
