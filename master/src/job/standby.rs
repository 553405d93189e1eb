//! The executor that is to get a partition, and reads its state while the owner continues. See `preparing`.

use std::time::Duration;

use kol_common::{ExecutorId, Millis};

/// How often an executor is reminded of a state that it has read.
const RENEW: Duration = Duration::from_secs(10);
/// How long an open epoch may take to end before a partition moves in spite of it; and where so many records would be
/// read again that it would pause for it.
const EPOCH: Duration = Duration::from_secs(3);
const EPOCH_OF_MANY: Duration = Duration::from_secs(15);
/// Records that are read again in about a tenth of a second.
const MANY: u64 = 20_000;
/// How long reading a state may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// When a state that could not be read is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// The next owner of a partition, which reads its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    executor: ExecutorId,
    begun: Millis,
    /// The epoch that it was sent last, and when.
    sent: u64,
    sent_at: Millis,
    /// The newest epoch that it has read.
    read: Option<u64>,
    /// When it had read one for the first time.
    ready_at: Option<Millis>,
}

impl Standby {
    /// Is sent this epoch now.
    pub(super) fn new(executor: ExecutorId, epoch: u64, now: Millis) -> Self {
        Self {
            executor,
            begun: now,
            sent: epoch,
            sent_at: now,
            read: None,
            ready_at: None,
        }
    }

    /// Who that is.
    pub(super) fn executor(&self) -> &ExecutorId {
        &self.executor
    }

    /// It is to read this epoch. Whether it is to be sent that now.
    pub(super) fn want(&mut self, epoch: u64, now: Millis) -> bool {
        let due = epoch != self.sent || past(now, self.sent_at, RENEW);
        if due {
            (self.sent, self.sent_at) = (epoch, now);
        }
        due
    }

    /// Whether an answer about this epoch says something: not about one that it was not sent last.
    pub(super) fn was_sent(&self, epoch: u64) -> bool {
        self.sent == epoch
    }

    /// It has read what it was sent last.
    pub(super) fn mark_read(&mut self, now: Millis) {
        self.read = Some(self.sent);
        self.ready_at.get_or_insert(now);
    }

    /// Whether it has read what it was sent last, and no epoch is worth waiting for; `again` are the records that it would
    /// read again now.
    pub(super) fn is_ready(&self, now: Millis, epoch_is_open: bool, again: u64) -> bool {
        let patience = if again > MANY { EPOCH_OF_MANY } else { EPOCH };
        let waited = self.ready_at.is_some_and(|at| past(now, at, patience));
        self.read == Some(self.sent) && (waited || !epoch_is_open)
    }

    /// Whether it takes too long.
    pub(super) fn is_late(&self, now: Millis) -> bool {
        past(now, self.begun, PATIENCE)
    }
}

/// Whether a state that could not be read then may be tried again.
pub(super) fn may_try_again(now: Millis, failed: Millis) -> bool {
    past(now, failed, AGAIN)
}

fn past(now: Millis, since: Millis, limit: Duration) -> bool {
    now.since(since) >= Millis::from(limit)
}
