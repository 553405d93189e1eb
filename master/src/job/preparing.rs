//! Live moves: the executor that is to get a partition reads its state while the owner continues. Rules:
//!
//! 1. Who reads ahead owns nothing: see `docs/protocol/ownership.md`. What is noted here is therefore not durable, and
//!    forgotten with a new stream of that executor.
//! 2. It is sent the newest usable epoch of the partition, each newer one, and every 10 s the same one again: otherwise
//!    it drops what it read.
//! 3. The owner is revoked at once when the next one has read the newest of them, and little would be read again. An epoch
//!    that is open then may end first, if it takes no longer than 3 s.
//! 4. Where much would be read again, the move waits for one newer epoch, for up to a minute. That epoch begins soon, however
//!    long the one before took. Nothing is waited for once the owner ends soon, or where it cannot take part in epochs.
//! 5. A state that cannot be read, or not within 2 min, stays where it is and is tried again after 10 s. An owner that must
//!    not keep it drains; so does one without a committed epoch, one whose next owner reads nothing ahead, and one that
//!    leaves, soon before it ends.

use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{Discard, Preparation, Prepared};
use kol_common::{ExecutorId, JobId, Millis};

use super::cuts::Restart;
use super::effect::Effect;
use super::fleet::{Fleet, is_callable};
use super::ownership::{Partitions, is_named};
use super::partition::Partition;
use super::standby::{Circumstances, Standby, may_try_again};

/// What becomes of a partition that should be elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Its owner keeps it for now.
    Later,
    /// The next owner has the state: the owner ends it at once.
    HandOver,
    /// Without that: the owner drains.
    Drain,
}

impl Partition {
    /// How far it was read, by this owner or one before.
    fn read_to(&self) -> u64 {
        let position = self.current_report().map(|report| report.position);
        position.max(self.pauses.read_before()).unwrap_or_default()
    }

    /// One step of a move to another executor, and the state that it is to be sent, if any: of the newest usable one.
    pub(super) fn step(
        &mut self,
        target: &ExecutorId,
        newest: Option<Restart>,
        c: Circumstances,
    ) -> (Move, Option<Preparation>) {
        let otherwise = if c.urgent { Move::Drain } else { Move::Later };
        let Some(newest) = newest.filter(|_| c.prepares) else {
            return (Move::Drain, None);
        };
        if let Some(failed) = self.unprepared {
            if !may_try_again(c.now, failed) {
                return (otherwise, None);
            }
            self.unprepared = None;
        }
        let again = self.read_to().saturating_sub(newest.begins_at());
        let standby = self.standby.as_mut().filter(|s| s.executor() == target);
        let is_due = match standby {
            Some(standby) if standby.is_late(c.now) => {
                self.unprepared = Some(c.now);
                return (otherwise, None);
            }
            Some(standby) => standby.want(newest.epoch, c.now),
            None => {
                self.standby = Some(Standby::new(target.clone(), newest.epoch, c.now));
                true
            }
        };
        let wanted = is_due.then(|| Preparation {
            partition: Some((&self.record.partition).into()),
            epoch: newest.epoch,
            state: Some(newest.checkpoint),
        });
        let standby = self.standby.as_mut();
        let next = match standby.is_some_and(|s| s.takes_over(c, again)) {
            true => Move::HandOver,
            false if c.ends_soon => Move::Drain,
            false => Move::Later,
        };
        (next, wanted)
    }
}

impl Partitions {
    /// Drops what is not `wanted` to be read ahead, and what could not be read.
    pub(super) fn discard_unless(
        &mut self,
        wanted: impl Fn(&Standby) -> bool,
        fleet: &Fleet,
        out: &mut Vec<Effect>,
    ) {
        for partition in &mut self.all {
            let failed = partition.unprepared.is_some();
            let keeps = |standby: &Standby| !failed && wanted(standby);
            if !partition.standby.as_ref().is_none_or(keeps) {
                discard(&self.job, partition, fleet, out);
            }
        }
    }

    /// An executor has read a state ahead, or cannot.
    pub(super) fn prepared(&mut self, now: Millis, executor: &ExecutorId, prepared: &Prepared) {
        let Some(name) = &prepared.partition else {
            return;
        };
        let Some(partition) = self.all.iter_mut().find(|p| is_named(p, name)) else {
            return;
        };
        let standby = partition.standby.as_mut();
        let of = |s: &&mut Standby| s.executor() == executor && s.was_sent(prepared.epoch);
        let Some(standby) = standby.filter(of) else {
            return;
        };
        if prepared.error.is_some() {
            partition.unprepared = Some(now);
        } else {
            standby.mark_read(now);
        }
    }

    /// An executor opened a new stream: it has dropped what it read.
    pub(super) fn forget_standbys(&mut self, executor: &ExecutorId) {
        for partition in &mut self.all {
            partition.standby.take_if(|s| s.executor() == executor);
        }
    }
}

/// Nobody reads ahead the state of a partition any more.
pub(super) fn discard(
    job: &JobId,
    partition: &mut Partition,
    fleet: &Fleet,
    out: &mut Vec<Effect>,
) {
    let Some(standby) = partition.standby.take() else {
        return;
    };
    // Any other one drops it by itself.
    let executor = standby.executor();
    if is_callable(fleet, executor) {
        let message = Discard {
            job_id: job.to_string(),
            partition: Some((&partition.record.partition).into()),
        };
        out.push(Effect::Send(executor.clone(), ToExecutor::Discard(message)));
    }
}

#[cfg(test)]
#[path = "preparing_tests.rs"]
mod tests;
