//! The partition's turn to flush: waited for when there is something to send.

use std::time::Duration;

use tokio::time::Instant;

use crate::sink::{Turn, Turns, Wait};

/// See the module.
#[derive(Debug)]
pub struct OwnTurn {
    turns: Turns,
    now: Now,
    /// An epoch that has waited for so long is urgent.
    patience: Duration,
    /// An epoch has waited for that long, or the partition pauses.
    urgent: bool,
}

#[derive(Debug)]
enum Now {
    Idle,
    Waiting(Wait),
    Come(Turn),
}

impl OwnTurn {
    /// Nothing is to be sent yet. An epoch that has waited for `patience` is urgent.
    pub fn new(turns: Turns, patience: Duration) -> Self {
        Self {
            turns,
            now: Now::Idle,
            patience,
            urgent: false,
        }
    }

    /// An epoch has waited since then, if one does; and whether the partition `pauses` until its turn, because it was just
    /// taken over.
    pub fn look(&mut self, now: Instant, awaited_since: Option<Instant>, pauses: bool) {
        self.urgent = pauses || awaited_since.is_some_and(|since| now >= since + self.patience);
        self.urge();
    }

    fn urge(&self) {
        if let (true, Now::Waiting(wait)) = (self.urgent, &self.now) {
            wait.urge();
        }
    }

    /// Waits for a turn, unless it does already.
    pub fn wait(&mut self) {
        if let Now::Idle = self.now {
            self.now = Now::Waiting(self.turns.join());
            self.urge();
        }
    }

    /// Whether it is waited for.
    pub fn is_awaited(&self) -> bool {
        matches!(self.now, Now::Waiting(_))
    }

    /// Whether it is this partition's turn.
    pub fn has_come(&self) -> bool {
        matches!(self.now, Now::Come(_))
    }

    /// Waits until the turn has come; forever where it is not waited for.
    pub async fn come(&mut self) {
        match &self.now {
            Now::Waiting(wait) => self.now = Now::Come(wait.turn().await),
            Now::Idle | Now::Come(_) => std::future::pending().await,
        }
    }

    /// The turn, if it has come; from then on none is waited for.
    pub fn take(&mut self) -> Option<Turn> {
        match std::mem::replace(&mut self.now, Now::Idle) {
            Now::Come(turn) => Some(turn),
            Now::Idle | Now::Waiting(_) => None,
        }
    }

    /// Nothing is to be sent any more.
    pub fn give_up(&mut self) {
        self.now = Now::Idle;
    }

    /// What part of the time Redis' processor works, if it says so, and what part of its time this executor takes.
    pub fn load(&self) -> (Option<f64>, f64) {
        self.turns.load()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Whether a partition has its turn before another one that waits for as long.
    fn is_first(awaited_since: Option<Instant>, pauses: bool) -> bool {
        let turns = Turns::default();
        let (now, patience) = (Instant::now(), Duration::from_secs(1));
        let mut both = [(); 2].map(|()| OwnTurn::new(turns.clone(), patience));
        both.iter_mut().for_each(OwnTurn::wait);
        let [other, own] = &mut both;
        other.look(now, None, false);
        own.look(now, awaited_since, pauses);
        let _first = own.come().now_or_never();
        own.has_come()
    }

    #[tokio::test]
    async fn a_partition_that_pauses_or_whose_epoch_has_waited_has_its_turn_before_others() {
        let now = Instant::now();
        assert!(!is_first(None, false));
        assert!(is_first(None, true));
        assert!(!is_first(Some(now), false), "it has not waited for long");
        let long_ago = now.checked_sub(Duration::from_secs(2));
        assert!(is_first(long_ago, false));
    }
}
