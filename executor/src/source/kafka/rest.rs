//! With which client a partition is read: a machine.
//!
//! 1. A client has one fetch under way at a broker, which names all its partitions. Where nothing comes it is answered only
//!    after a while, and those that could have been named meanwhile wait. So the *eager* client, with which a partition begins, has
//!    its fetches answered soon.
//! 2. But then naming them is most of what an idle executor does. A partition from which nothing came for [`REST`] is read
//!    with the *patient* client: a record ends its wait as well, at once. Of many partitions some move each second: opening
//!    them takes a while.
//! 3. More than one batch at a time is for the eager client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// For so long nothing comes before a partition is read with the patient client.
const REST: Duration = Duration::from_secs(30);
/// In so many more seconds all partitions move that could at the same time.
const SPREAD: u32 = 32;

/// See the module.
#[derive(Debug)]
pub(super) struct Rest {
    patient: bool,
    /// When something came last, and for how long nothing may.
    last: Instant,
    rest: Duration,
    /// The patient client is the right one; whoever opens the partition again looks at it.
    wanted: Arc<AtomicBool>,
}

impl Rest {
    /// The partition of this number, which is opened with the patient client or with the eager one.
    pub(super) fn new(now: Instant, number: u32, patient: bool, wanted: Arc<AtomicBool>) -> Self {
        wanted.store(patient, Ordering::Relaxed);
        Self {
            patient,
            last: now,
            rest: REST + Duration::from_secs(u64::from(number % SPREAD)),
            wanted,
        }
    }

    /// So many entries were taken, of so many that might have been.
    pub(super) fn took(&mut self, now: Instant, taken: usize, limit: usize) {
        if limit == 0 {
            return;
        }
        if taken > 0 {
            self.last = now;
        }
        let rests = !self.patient && now.duration_since(self.last) >= self.rest;
        let is_full = taken >= limit;
        let was_full = self.patient && !self.wanted.load(Ordering::Relaxed);
        let wanted = rests || (self.patient && !is_full && !was_full);
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Whether the other client is the right one.
    pub(super) fn is_misplaced(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != self.patient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_from_which_nothing_came_for_half_a_minute_is_for_the_patient_client() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let wanted = Arc::<AtomicBool>::default();
        let mut rest = Rest::new(start, SPREAD, false, Arc::clone(&wanted));
        rest.took(at(20), 3, 10);
        rest.took(at(49), 0, 10);
        assert!(!rest.is_misplaced(), "29 s");
        rest.took(at(60), 0, 0);
        assert!(!rest.is_misplaced(), "it might take none");
        rest.took(at(61), 0, 10);
        assert!(rest.is_misplaced() && wanted.load(Ordering::Relaxed));
        rest.took(at(62), 1, 10);
        assert!(!rest.is_misplaced(), "something comes");
        rest.took(at(63), 10, 10);
        assert!(!rest.is_misplaced(), "it has the eager one");
    }

    #[test]
    fn partitions_that_could_move_at_the_same_time_do_so_one_after_the_other() {
        let start = Instant::now();
        let moves = |number| {
            let mut rest = Rest::new(start, number, false, Arc::default());
            let mut at = (0..).map(|s| start + Duration::from_secs(s));
            let moved = at.find(|at| {
                rest.took(*at, 0, 10);
                rest.is_misplaced()
            });
            moved.unwrap().duration_since(start).as_secs()
        };
        assert_eq!([0, 1, 31, 32].map(moves), [30, 31, 61, 30]);
    }

    #[test]
    fn more_than_a_batch_at_a_time_is_for_the_eager_client_and_less_is_not() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let wanted = Arc::<AtomicBool>::default();
        let mut rest = Rest::new(start, 0, true, Arc::clone(&wanted));
        for second in 0..100 {
            rest.took(at(second), (second % 10) as usize, 10);
            assert!(!rest.is_misplaced());
        }
        rest.took(at(100), 0, 0);
        assert!(!rest.is_misplaced(), "it might take none");
        rest.took(at(101), 10, 10);
        rest.took(at(102), 1, 10);
        assert!(rest.is_misplaced() && !wanted.load(Ordering::Relaxed));
    }
}
