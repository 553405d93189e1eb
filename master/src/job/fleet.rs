//! The executors as a job sees them.

use std::collections::BTreeMap;

use kol_common::proto::{ExecutorState, UnseenRoot};
use kol_common::{ExecutorId, Incarnation, Millis};

use super::load::Load;
use super::placement::Site;

/// An executor, as far as placement is concerned. Lost ones are not in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executor {
    /// Its incarnation: an executor that is started again has another one.
    pub incarnation: Incarnation,
    /// Whether it may be called, and given partitions.
    pub state: ExecutorState,
    /// Its host and zone.
    pub site: Site,
    /// Its processor cores.
    pub cores: u32,
    /// Its memory limit, bytes.
    pub memory: u64,
    /// Its partitions move to others, and it gets none: a person wants that.
    pub draining: bool,
    /// It reads states ahead.
    pub prepares: bool,
    /// When it should drain what it still has, if it leaves.
    pub drains_at: Option<Millis>,
    /// What partitions of other jobs take there.
    pub others: Load,
    /// Places of state files that it does not see.
    pub unseen: Vec<UnseenRoot>,
    /// When it said so.
    pub unseen_since: Millis,
}

/// A place that has state files of a job, or gets some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    /// URL of the root.
    pub location: &'a str,
    /// The folder of the job there; empty where another job or another cluster wrote.
    pub folder: &'a str,
}

impl Executor {
    /// A suspect executor is never called.
    pub fn callable(&self) -> bool {
        matches!(self.state, ExecutorState::Alive | ExecutorState::Leaving)
    }

    /// Whether it may have partitions of a job with state files in these places.
    pub fn takes_partitions(&self, places: &[Place<'_>]) -> bool {
        !self.draining && self.state == ExecutorState::Alive && self.misses(places).is_none()
    }

    /// The first of these places that it does not see.
    pub fn misses(&self, places: &[Place<'_>]) -> Option<&UnseenRoot> {
        let is = |place: &Place<'_>, root: &UnseenRoot| {
            let whole = root.folder.is_empty() || root.folder == place.folder;
            root.location == place.location && whole
        };
        let needed = |root: &&UnseenRoot| places.iter().any(|place| is(place, root));
        self.unseen.iter().find(needed)
    }
}

/// All executors that are not lost.
pub type Fleet = BTreeMap<ExecutorId, Executor>;

/// Whether an executor of the fleet may be called.
pub fn is_callable(fleet: &Fleet, executor: &ExecutorId) -> bool {
    fleet.get(executor).is_some_and(Executor::callable)
}
