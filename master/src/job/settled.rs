//! Whether placing can wait: a machine.
//!
//! Placing looks at everything, and is done at each step. Where each partition is with the executor that should have it,
//! and none is moving, it would say the same until something is heard of a partition or the fleet changes. It looks again
//! after [`AGAIN`] all the same: failures are forgotten with time.

use std::time::Duration;

use kol_common::Millis;

use super::fleet::Fleet;

const AGAIN: Duration = Duration::from_secs(1);

/// When, and for which fleet, everything was last where it should be.
#[derive(Debug, Default)]
pub(super) struct Settled(Option<(Millis, Fleet)>);

impl Settled {
    /// Something was heard.
    pub(super) fn stir(&mut self) {
        self.0 = None;
    }

    /// It was placed now, and is all where it should be, or not.
    pub(super) fn placed(&mut self, now: Millis, fleet: &Fleet, all: bool) {
        self.0 = all.then(|| (now, fleet.clone()));
    }

    /// Whether it is as it was placed.
    pub(super) fn is(&self, now: Millis, fleet: &Fleet) -> bool {
        self.0
            .as_ref()
            .is_some_and(|(at, before)| now.since(*at) < Millis::from(AGAIN) && before == fleet)
    }
}

#[cfg(test)]
mod tests {
    use kol_common::proto::ExecutorState;

    use super::super::testing::{fleet, set};
    use super::*;

    #[test]
    fn what_is_where_it_should_be_stays_there_until_something_is_heard_or_the_fleet_changes() {
        let mut executors = fleet(&[1, 2]);
        let mut settled = Settled::default();
        assert!(!settled.is(Millis(0), &executors), "it was never placed");
        settled.placed(Millis(0), &executors, false);
        assert!(!settled.is(Millis(0), &executors), "something moves");
        settled.placed(Millis(0), &executors, true);
        assert!(settled.is(Millis(999), &executors));
        assert!(!settled.is(Millis(1_000), &executors), "a second later");
        set(&mut executors, 2, ExecutorState::Suspect);
        assert!(
            !settled.is(Millis(1), &executors),
            "the fleet is another one"
        );
        settled.placed(Millis(1), &executors, true);
        settled.stir();
        assert!(!settled.is(Millis(1), &executors), "something was heard");
    }
}
