//! What the actor says to the outbox, and what it answers.

use kol_common::proto::RecordMark;

use super::requests::Answer;

/// How far the partition has read.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    /// Offset of the next record.
    pub position: u64,
    /// The last record before that, if it is known.
    pub last: Option<RecordMark>,
    /// The last record that Redis was shown is there still, as far as is known: nothing is sent before.
    pub is_same_log: bool,
    /// What is worth sending from here.
    pub scope: Scope,
}

/// What is worth sending of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Near the head of the log: what changed, and then what must be rescored.
    Everything,
    /// It was just taken over, and people see nothing new of it until a flush from here has arrived: what changed, at
    /// once. What only the time or the market changed is sent after that.
    Changes,
    /// Far behind the head of the log, or where its owner before has read: what changed and has waited.
    WhatWaited,
}

/// What the outbox waited for.
#[derive(Debug)]
pub enum News {
    /// The sink answered.
    Answer(Answer),
    /// It is the partition's turn to flush.
    Turn,
}

/// Everything that was awaited is in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The newest sequence that Redis has confirmed.
    pub sequence: u64,
    /// Window end (ms) and market version at which Redis has every slot, if that is known.
    pub as_of: Option<(u64, u64)>,
}

/// What an answer of the sink means for the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Another owner holds the fence: the partition must end.
    Fenced,
    /// Nothing that concerns others, unless something awaited has arrived.
    Served(Option<Arrived>),
    /// The fence is held. Redis may show the partition up to this window end already: the job clock is at
    /// least that far.
    Claimed {
        /// The window end, a pane number; `None` when there is nothing to hold for.
        shown: Option<u64>,
        /// The last record that it was shown, if there is something to hold for and that is known.
        last: Option<RecordMark>,
        /// As with `Served`.
        arrived: Option<Arrived>,
    },
}
