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
    /// Whether an epoch has waited for that long.
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

    /// An epoch has waited since then, if one does.
    pub fn look(&mut self, now: Instant, awaited_since: Option<Instant>) {
        self.urgent = awaited_since.is_some_and(|since| now >= since + self.patience);
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
