//! The executor that is to get a partition, and reads its state while the owner continues. See `preparing`.

use std::time::Duration;

use kol_common::{ExecutorId, Millis};

/// How often an executor is reminded of a state that it has read.
const RENEW: Duration = Duration::from_secs(10);
/// How long a move waits for an epoch that is open; and for a newer one, without which so many records would be read again
/// that the partition would pause for it.
const EPOCH: Duration = Duration::from_secs(3);
const EPOCH_OF_MANY: Duration = Duration::from_secs(60);
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
    /// When it began, or had read an epoch last.
    since: Millis,
    /// The epoch that it was sent last, and when.
    sent: u64,
    sent_at: Millis,
    /// The newest epoch that it has read.
    read: Option<u64>,
    /// The first one that it had read, and when.
    first: Option<(u64, Millis)>,
    /// The move waits for an epoch to begin.
    needs_epoch: bool,
}

/// How things are when a partition should move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    pub(super) now: Millis,
    /// The next owner reads states ahead.
    pub(super) prepares: bool,
    /// Its owner must not keep it: it leaves, or does not see its state files.
    pub(super) urgent: bool,
    /// Its owner ends soon, whoever is prepared.
    pub(super) ends_soon: bool,
    /// Its owner does not see its state files: no epoch can be committed before it moves.
    pub(super) no_epochs: bool,
    /// An epoch is open.
    pub(super) epoch_is_open: bool,
}

impl Standby {
    /// Is sent this epoch now.
    pub(super) fn new(executor: ExecutorId, epoch: u64, now: Millis) -> Self {
        Self {
            executor,
            since: now,
            sent: epoch,
            sent_at: now,
            read: None,
            first: None,
            needs_epoch: false,
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
        self.since = now;
        self.first.get_or_insert((self.sent, now));
    }

    /// Whether the owner is revoked now: it has read what it was sent last, and no epoch is worth waiting for. `again` are
    /// the records that it would read again now. Where they are many, a newer epoch is worth it, open yet or not; but one
    /// only, because while a backlog is read they are always many.
    pub(super) fn takes_over(&mut self, c: Circumstances, again: u64) -> bool {
        let Some((first, at)) = self.first else {
            return false;
        };
        let many = again > MANY;
        let patience = if many { EPOCH_OF_MANY } else { EPOCH };
        let waits = !(c.ends_soon || c.no_epochs || past(c.now, at, patience));
        let needs_newer = waits && many && self.sent == first;
        self.needs_epoch = needs_newer && !c.epoch_is_open;
        let has_all = self.read == Some(self.sent);
        has_all && !needs_newer && !(waits && !many && c.epoch_is_open)
    }

    /// Whether the move waits for an epoch that is not open yet.
    pub(super) fn needs_epoch(&self) -> bool {
        self.needs_epoch
    }

    /// Whether it takes too long.
    pub(super) fn is_late(&self, now: Millis) -> bool {
        past(now, self.since, PATIENCE)
    }
}

/// Whether a state that could not be read then may be tried again.
pub(super) fn may_try_again(now: Millis, failed: Millis) -> bool {
    past(now, failed, AGAIN)
}

fn past(now: Millis, since: Millis, limit: Duration) -> bool {
    now.since(since) >= Millis::from(limit)
}
