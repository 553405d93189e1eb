//! Executors that call a master which does not lead: they live, and look for one that does. When this master begins to
//! lead, that says how long it waits for the owners on record to register.
//!
//! 1. An executor without a leader calls each master that it can reach, again and again: at the latest a second and the
//!    time of a connection after the call before (`executor/src/session/masters.rs`). So an owner that lives has
//!    registered within [`SHORT`] of the beginning of a term, which is much longer than that.
//! 2. One that called this master within [`RECENT`] before lives, and may be slow: it has [`FULL`].
//! 3. Where none called, their silence says nothing: this master may be the one that they cannot reach, or the leader
//!    before it left a moment ago. All have [`FULL`], as with a master that is alone.
//!
//! An owner that is taken for lost too early costs a move, and never a wrong result: what it writes is fenced.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::{ExecutorId, Millis};

use super::members::Members;

/// How long an owner on record has to register after a term began, and how long one has of which nothing was heard while
/// others called.
const FULL: Millis = Millis(6_000);
const SHORT: Millis = Millis(3_000);
/// How long a call counts: a leader that is cut off is followed by another within this time.
const RECENT: Millis = Millis(15_000);
/// Executors that are remembered.
const MOST: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Callers(BTreeMap<ExecutorId, Millis>);

impl Callers {
    /// An executor called, and was refused.
    pub fn called(&mut self, now: Millis, incarnation: &str) {
        if self.0.len() >= MOST {
            self.0.retain(|_, called| is_recent(now, *called));
        }
        if self.0.len() < MOST {
            self.0.insert(Members::id_of(incarnation), now);
        }
    }

    /// How long the owners on record have in a term that begins now.
    pub fn grace(&self, now: Millis) -> Grace {
        let recent = self.0.iter().filter(|(_, called)| is_recent(now, **called));
        Grace(recent.map(|(id, _)| id.clone()).collect())
    }
}

fn is_recent(now: Millis, called: Millis) -> bool {
    now.since(called) < RECENT
}

/// How long owners on record have to say that they still run their partitions; by default, what they have with a master
/// that no one called.
#[derive(Clone, Debug, Default)]
pub struct Grace(BTreeSet<ExecutorId>);

impl Grace {
    /// The longest that any owner has, since the beginning of the term.
    pub const LONGEST: Millis = FULL;

    /// Since the beginning of the term.
    pub fn of(&self, owner: &ExecutorId) -> Millis {
        if self.0.is_empty() || self.0.contains(owner) {
            FULL
        } else {
            SHORT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grace(calls: &[(u64, &str)], begins: u64) -> impl Fn(&str) -> Millis {
        let mut callers = Callers::default();
        for (at, incarnation) in calls {
            callers.called(Millis(*at), incarnation);
        }
        let grace = callers.grace(Millis(begins));
        move |incarnation| grace.of(&Members::id_of(incarnation))
    }

    #[test]
    fn an_owner_that_called_has_longer_than_one_of_which_nothing_was_heard() {
        let grace = grace(&[(1_000, "inc_1"), (4_000, "inc_1")], 8_000);
        assert_eq!(grace("inc_1"), FULL);
        assert_eq!(grace("inc_2"), SHORT);
    }

    #[test]
    fn silence_of_all_says_nothing() {
        assert_eq!(grace(&[], 8_000)("inc_1"), FULL);
        assert_eq!(Grace::default().of(&Members::id_of("inc_1")), FULL);
    }

    #[test]
    fn a_call_of_long_ago_says_nothing() {
        let both = [(0, "inc_1"), (9_000, "inc_2")];
        assert_eq!(grace(&both, RECENT.0)("inc_1"), SHORT);
        assert_eq!(grace(&both, RECENT.0 - 1)("inc_1"), FULL);
        assert_eq!(grace(&both, 100_000)("inc_1"), FULL, "nobody called");
    }

    #[test]
    fn invented_callers_do_not_fill_the_memory() {
        let mut callers = Callers::default();
        for n in 0..MOST + 10 {
            callers.called(Millis(0), &format!("inc_{n}"));
        }
        assert_eq!(callers.0.len(), MOST);
        callers.called(RECENT, "inc_new");
        assert_eq!(callers.0.len(), 1, "those of long ago make room");
    }
}
