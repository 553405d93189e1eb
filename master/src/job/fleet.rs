//! The executors as a job sees them.

use std::collections::BTreeMap;

use kol_common::proto::{ExecutorState, UnseenRoot};
use kol_common::{ExecutorId, Incarnation, Millis};

/// An executor, as far as placement is concerned. Lost ones are not in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executor {
    /// Its life.
    pub incarnation: Incarnation,
    /// Whether it may be called, and given partitions.
    pub state: ExecutorState,
    /// Its host, for people.
    pub host: String,
    /// How many partitions of other jobs it has.
    pub others: usize,
    /// Places of state files that it does not see.
    pub unseen: Vec<UnseenRoot>,
    /// When it said so.
    pub unseen_since: Millis,
}

impl Executor {
    /// A suspect executor is never called.
    pub fn callable(&self) -> bool {
        matches!(self.state, ExecutorState::Alive | ExecutorState::Leaving)
    }

    /// The first of these places that it does not see.
    pub fn misses(&self, places: &[&str]) -> Option<&UnseenRoot> {
        let needed = |root: &&UnseenRoot| places.contains(&root.location.as_str());
        self.unseen.iter().find(needed)
    }
}

/// All executors that are not lost.
pub type Fleet = BTreeMap<ExecutorId, Executor>;

/// Whether an executor of the fleet may be called.
pub fn is_callable(fleet: &Fleet, executor: &ExecutorId) -> bool {
    fleet.get(executor).is_some_and(Executor::callable)
}
