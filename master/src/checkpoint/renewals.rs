//! When checkpoint roots get a new stamp, and which one executors are held to: a machine without I/O. The rules are
//! those of [`stamp`](kol_common::checkpoint::stamp).
//!
//! All jobs in a root look at it, each by itself: whichever looks first when a stamp has settled writes the next one.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::Millis;
use kol_common::checkpoint::stamp::{Renewal, Renewed, Stamp};

/// How long a stamp must be in a root before executors are held to it. A little less than the time between two looks
/// of a job, so that each look finds the one before settled.
pub const SETTLES: Duration = Duration::from_secs(8);

/// The stamps that have not settled, by the location of the root, and when they were written.
#[derive(Debug, Default)]
pub struct Renewals(BTreeMap<String, (Stamp, Millis)>);

impl Renewals {
    /// What to do at a look at a root. `recorded` is what is on record of it.
    pub fn due(&self, now: Millis, location: &str, recorded: Option<&Stamp>) -> Renewal {
        let written = self.0.get(location);
        let settles = written.filter(|(_, at)| has_settled(now, *at));
        Renewal {
            recorded: recorded.cloned(),
            settles: settles.map(|(stamp, _)| stamp.clone()),
            writes: written.is_none() || settles.is_some(),
        }
    }

    /// A look is over. Answers what is to be on record, given what is: another look may have been faster.
    pub fn looked(
        &mut self,
        now: Millis,
        location: &str,
        recorded: Option<&Stamp>,
        renewed: Renewed,
    ) -> Option<Stamp> {
        let waits = self.0.get(location);
        if waits.is_none_or(|(_, at)| has_settled(now, *at)) {
            self.0.remove(location);
            let written = renewed.written.map(|stamp| (stamp, now));
            self.0
                .extend(written.map(|entry| (location.to_owned(), entry)));
        }
        let kept = recorded.filter(|stamp| renewed.gone.as_ref() != Some(*stamp));
        kept.cloned().max(renewed.settled)
    }
}

fn has_settled(now: Millis, written: Millis) -> bool {
    now.since(written) >= Millis::from(SETTLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "file:///a";

    fn written(stamp: &Stamp) -> Renewed {
        Renewed {
            written: Some(stamp.clone()),
            ..Renewed::default()
        }
    }

    fn settled(stamp: &Stamp) -> Renewed {
        Renewed {
            settled: Some(stamp.clone()),
            ..Renewed::default()
        }
    }

    fn settles() -> Millis {
        Millis::from(SETTLES)
    }

    #[test]
    fn executors_are_held_to_a_stamp_once_it_has_settled_and_then_the_next_one_is_written() {
        let mut renewals = Renewals::default();
        let due = renewals.due(Millis(0), ROOT, None);
        assert_eq!((due.settles, due.writes), (None, true));
        let first = Stamp::after(None);
        assert_eq!(
            renewals.looked(Millis(0), ROOT, None, written(&first)),
            None
        );
        let early = Millis(settles().0 - 1);
        let due = renewals.due(early, ROOT, None);
        assert_eq!((due.settles, due.writes), (None, false));
        let due = renewals.due(settles(), ROOT, None);
        assert_eq!((due.settles.as_ref(), due.writes), (Some(&first), true));
        let second = Stamp::after(Some(&first));
        let renewed = Renewed {
            written: Some(second.clone()),
            ..settled(&first)
        };
        let recorded = renewals.looked(settles(), ROOT, None, renewed);
        assert_eq!(recorded, Some(first));
        let due = renewals.due(Millis(settles().0 * 2), ROOT, recorded.as_ref());
        assert_eq!((due.recorded, due.settles), (recorded, Some(second)));
    }

    #[test]
    fn a_look_that_is_late_takes_nothing_back() {
        let mut renewals = Renewals::default();
        let old = Stamp::after(None);
        let new = Stamp::after(Some(&old));
        let late = renewals.looked(Millis(0), ROOT, Some(&new), settled(&old));
        assert_eq!(late.as_ref(), Some(&new));
        let gone = Renewed {
            gone: Some(old.clone()),
            ..Renewed::default()
        };
        let late = renewals.looked(Millis(0), ROOT, Some(&new), gone.clone());
        assert_eq!(late, Some(new));
        assert_eq!(renewals.looked(Millis(0), ROOT, Some(&old), gone), None);
    }

    #[test]
    fn of_two_looks_at_the_same_time_one_stamp_waits() {
        let mut renewals = Renewals::default();
        let (first, second) = (Stamp::after(None), Stamp::after(None));
        renewals.looked(Millis(0), ROOT, None, written(&first));
        renewals.looked(Millis(1), ROOT, None, written(&second));
        let due = renewals.due(settles(), ROOT, None);
        assert_eq!(due.settles, Some(first));
    }

    #[test]
    fn a_stamp_that_is_gone_before_it_has_settled_is_replaced() {
        let mut renewals = Renewals::default();
        let (first, second) = (Stamp::after(None), Stamp::after(None));
        renewals.looked(Millis(0), ROOT, None, written(&first));
        let recorded = renewals.looked(settles(), ROOT, None, written(&second));
        assert_eq!(recorded, None);
        let due = renewals.due(Millis(settles().0 * 2), ROOT, None);
        assert_eq!(due.settles, Some(second));
        renewals.looked(Millis(settles().0 * 2), ROOT, None, Renewed::default());
        assert!(renewals.due(Millis(settles().0 * 2), ROOT, None).writes);
    }
}
