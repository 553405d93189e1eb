//! How old the oldest change is that Redis does not have, and from where on that is a problem.

use std::time::Duration;

use kol_common::{KolError, Millis};
use tokio::time::Instant;

/// What to do where Redis is what limits.
const OVERLOADED: &str = "More changes arrive than Redis may take: give Redis a faster processor, keep other clients off it, \
                          divide the platforms between jobs with a Redis each, or raise sink.max_staleness.";
/// What to do where Redis has time to spare.
const STARVED: &str = "The executor gets too little processor time, or Redis does not answer it: see what else runs on its \
                       host, give it more cores, or add executors; look whether Redis answers there (redis-cli --latency).";

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
        // Less than half of what this executor may take of it: something else keeps changes from Redis.
        let idle = busy.is_some_and(|busy| busy < share / 2.0);
        // Rounded, so that the problem of one Redis is one problem, and the same a second later.
        let percent = |part: f64| format!("{:.0} %", (10.0 * part).round() * 10.0);
        let busy = busy.map_or_else(String::new, |busy| {
            format!(": its processor is {} busy", percent(busy))
        });
        let what = format!(
            "Redis lacks changes that are older than sink.max_staleness ({}){busy}",
            self.most
        );
        Some(if idle {
            let what = format!("{what}, so it is not what is slow");
            KolError::external("SINK_STALE", what).help(STARVED)
        } else {
            let what = format!(
                "{what}; an executor takes at most {} of its time",
                percent(share)
            );
            KolError::external("SINK_STALE", what).help(OVERLOADED)
        })
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
        assert!(problem.help.contains("give Redis a faster processor"));
        // What an executor may take of it is not used either.
        for (busy, share) in [(0.0, 0.5), (0.2, 0.5), (0.02, 0.05)] {
            let problem = staleness.problem((Some(busy), share)).unwrap();
            assert_eq!(problem.code, "SINK_STALE");
            assert!(!problem.help.contains("faster"), "{problem}");
            assert!(problem.help.contains("executor"), "{problem}");
            assert!(problem.message.contains("is not what is slow"), "{problem}");
        }
        staleness.look(at(32), None);
        assert_eq!(
            (staleness.age(), staleness.problem((None, 0.5))),
            (Duration::ZERO, None)
        );
    }
}
