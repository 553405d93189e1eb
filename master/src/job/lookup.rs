//! When a job looks at Kafka and Redis: before it can run, and from then on for new partitions.

use std::time::Duration;

use kol_common::{JobId, KolError, Millis};

use super::backoff::pause;
use super::effect::Effect;

/// How often the topics are looked at for new partitions.
const REDISCOVER: Duration = Duration::from_secs(10);

/// When the topics are looked at next, and what was wrong the last time.
#[derive(Debug)]
pub(super) struct Lookup {
    /// `None` while a look is under way.
    next: Option<Millis>,
    /// In a row.
    failures: u32,
    problem: Option<KolError>,
}

impl Lookup {
    /// The first look is due at once.
    pub(super) fn new(now: Millis) -> Self {
        Self {
            next: Some(now),
            failures: 0,
            problem: None,
        }
    }

    /// The next look is due now, unless one is under way.
    pub(super) fn hurry(&mut self, now: Millis) {
        self.next = self.next.map(|_| now);
    }

    /// Why the last look failed.
    pub(super) fn problem(&self) -> Option<&KolError> {
        self.problem.as_ref()
    }

    /// Requests a look when one is due.
    pub(super) fn tick(&mut self, now: Millis, out: &mut Vec<Effect>) {
        if self.next.is_some_and(|next| now >= next) {
            self.next = None;
            out.push(Effect::Discover);
        }
    }

    /// A look is over: the next one comes after a while, or after a pause that grows.
    pub(super) fn looked(&mut self, now: Millis, job: &JobId, failure: Option<KolError>) {
        let wait = if failure.is_none() {
            self.failures = 0;
            Millis::from(REDISCOVER)
        } else {
            let wait = pause(job, self.failures, u64::from(self.failures));
            self.failures += 1;
            wait
        };
        self.next = Some(Millis(now.0 + wait.0));
        self.problem = failure;
    }
}
