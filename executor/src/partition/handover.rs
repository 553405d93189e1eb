//! When a partition that was taken over is where its owner before stopped, and a flush from there has arrived in Redis: until
//! then it pauses for people, who see nothing that was not there before. The supervisor reports that at once.

use std::time::Duration;

use kol_common::SourcePartition;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::delivery::Scope;
use super::message::Assignment;

/// How long everything else waits for the end of a hand-over, once the state is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Handover {
    /// Name of the job, and the partition, for people.
    of: (String, SourcePartition),
    begun: Instant,
    /// Offset of the first record that is read.
    from: u64,
    /// How long restoring took, claiming the fence, and reaching what the owner before had read.
    restored: Duration,
    claimed: Option<Duration>,
    read: Option<Duration>,
    /// Where the owner before stopped reading, and who waits for the end of the hand-over; `None` once it is over.
    open: Option<(u64, oneshot::Sender<()>)>,
}

impl Handover {
    /// Of this assignment; `done` is dropped where nobody had the partition before.
    pub(super) fn new(assignment: &Assignment, done: oneshot::Sender<()>, now: Instant) -> Self {
        let job = assignment.spec.name.clone();
        let state = assignment.restore.as_ref();
        let from = state.map_or(assignment.offset, |state| state.offset);
        Self {
            of: (job, assignment.partition.clone()),
            begun: now,
            from: assignment.resume_at.unwrap_or(from),
            restored: Duration::ZERO,
            claimed: None,
            read: None,
            open: assignment.read_before.map(|position| (position, done)),
        }
    }

    /// The state is there.
    pub(super) fn restored(&mut self, now: Instant) {
        self.restored = now.duration_since(self.begun);
    }

    /// The fence is claimed.
    pub(super) fn claimed(&mut self, now: Instant) {
        self.claimed.get_or_insert(now.duration_since(self.begun));
    }

    /// What is worth sending at this position until it is over; `None` when it is, or takes too long for that.
    pub(super) fn scope(&self, now: Instant, position: u64) -> Option<Scope> {
        let &(before, _) = self.open.as_ref()?;
        if now >= self.begun + self.restored + PATIENCE {
            return None;
        }
        // A flush that begins earlier does not end it, and would only be in the way of one that does.
        Some(match position < before {
            true => Scope::WhatWaited,
            false => Scope::Changes,
        })
    }

    /// Whether it is over with this position, and with where the newest flush began that has arrived: who waits for that.
    pub(super) fn ends(
        &mut self,
        now: Instant,
        position: u64,
        arrived: Option<u64>,
    ) -> Option<oneshot::Sender<()>> {
        let &(before, _) = self.open.as_ref()?;
        if position < before {
            return None;
        }
        let took = now.duration_since(self.begun);
        let read = *self.read.get_or_insert(took);
        if arrived.is_none_or(|arrived| arrived < before) {
            return None;
        }
        tracing::info!(
            code = "PARTITION_CONTINUES",
            job = self.of.0.as_str(),
            partition = %self.of.1,
            before,
            position,
            again = before.saturating_sub(self.from),
            restored_ms = self.restored.as_millis(),
            claimed_ms = self.claimed.map(|took| took.as_millis()),
            read_ms = read.as_millis(),
            arrived_ms = took.as_millis(),
            "a partition continues where its owner before stopped"
        );
        self.open.take().map(|(_, done)| done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(read_before: Option<u64>) -> (Handover, oneshot::Receiver<()>) {
        let assignment = Assignment {
            read_before,
            ..Assignment::with_source("")
        };
        let (done, comes) = oneshot::channel();
        (Handover::new(&assignment, done, Instant::now()), comes)
    }

    #[test]
    fn a_hand_over_ends_once_when_what_the_owner_before_had_read_has_arrived_in_redis() {
        let (mut handover, _comes) = of(Some(50));
        let now = Instant::now();
        assert!(handover.ends(now, 49, None).is_none());
        assert!(handover.ends(now, 70, Some(49)).is_none());
        assert!(handover.ends(now, 70, Some(50)).is_some());
        assert!(handover.ends(now, 90, Some(90)).is_none(), "once");
    }

    #[test]
    fn until_a_hand_over_is_over_only_what_ends_it_is_worth_sending_unless_that_takes_too_long() {
        let (mut handover, _comes) = of(Some(50));
        // Restoring may take as long as it does.
        let now = Instant::now() + 10 * PATIENCE;
        handover.restored(now);
        assert_eq!(handover.scope(now, 49), Some(Scope::WhatWaited));
        assert_eq!(handover.scope(now, 50), Some(Scope::Changes));
        let late = now + 2 * PATIENCE;
        assert_eq!(handover.scope(late, 50), None, "others wait for it, too");
        assert!(handover.ends(now, 70, Some(50)).is_some());
        assert_eq!(handover.scope(now, 70), None);
    }

    #[tokio::test]
    async fn nobody_waits_where_nobody_had_it_before() {
        let (mut handover, comes) = of(None);
        assert_eq!(handover.scope(Instant::now(), 70), None);
        let at_once = handover.ends(Instant::now(), 70, Some(70));
        assert!(at_once.is_none() && comes.await.is_err());
    }
}
