//! The time by which the master decides.

use std::time::Duration;

use kol_common::Millis;
use tokio::time::Instant;

/// Begins at the wall clock's time and advances as time passes, whatever happens to the wall clock after
/// that: a step of it must neither end a lease nor hold up an epoch. The wall clock's own time is for what
/// people read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Instant,
    wall: Millis,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            began: Instant::now(),
            wall: Millis::now(),
        }
    }

    pub(super) fn now(self) -> Millis {
        Millis(self.wall.0 + Millis::from(self.elapsed()).0)
    }

    /// Since it began.
    pub(super) fn elapsed(self) -> Duration {
        self.began.elapsed()
    }
}
