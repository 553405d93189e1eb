//! When files of what was forgotten are to be deleted next.

use std::time::Duration;

use kol_common::Millis;
use kol_common::retry::Backoff;

/// First and longest wait after an attempt.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// See the module.
#[derive(Debug)]
pub(super) struct Attempts {
    next: Millis,
    waits: Backoff,
}

impl Attempts {
    /// The first one is due.
    pub(super) fn new(now: Millis) -> Self {
        Self {
            next: now,
            waits: Backoff::new(RETRY.0, RETRY.1),
        }
    }

    pub(super) fn is_due(&self, now: Millis) -> bool {
        now >= self.next
    }

    /// One begins: its end says when the next one comes, but for one that hangs.
    pub(super) fn begin(&mut self, now: Millis) {
        self.wait(now, RETRY.1);
    }

    /// One is over: the next one comes after a wait that grows while nothing could be deleted.
    pub(super) fn end(&mut self, now: Millis, worked: bool) {
        if worked {
            self.waits.succeeded();
        }
        let wait = self.waits.failed();
        self.wait(now, wait);
    }

    /// Something more is to be deleted: its place may well be there.
    pub(super) fn hurry(&mut self, now: Millis) {
        self.next = now;
        self.waits.succeeded();
    }

    fn wait(&mut self, now: Millis, wait: Duration) {
        self.next = Millis(now.0 + Millis::from(wait).0);
    }
}
