//! Whether a job keeps up with its input: a machine that looks now and then.
//!
//! 1. The input is measured by how the ends of all logs grow.
//! 2. A job keeps up while its lag is at most what comes in between two flushes, and while that is reported, and [`FEW`] more;
//!    all its partitions have an owner that answers; and Redis is not later than the spec allows. Of a job without
//!    partitions, which has not begun, the lag is not known.
//! 3. It is live once that was so for [`ENTER`], and no longer once it was not for [`LEAVE`]. As long as it is live, twice
//!    the lag is allowed. So neither a flush nor a move shows, and what stays shows soon.
//! 4. Without an owner that answers for each partition it is not live, from then on: a move leaves none without one.

use std::collections::VecDeque;
use std::time::Duration;

use kol_common::Millis;
use kol_common::job::SinkSpec;

use super::ends::{Ends, is_served};
use super::fleet::Fleet;
use super::partition::Partition;
use super::rekeying::Stages;
use crate::checkpoint::Coordinator;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(500);
/// How long the input is measured.
const WINDOW: Duration = Duration::from_secs(10);
/// Between a look at the end of a log and the report that has it, at most.
const REPORTS: Duration = Duration::from_secs(1);
/// Records that are never too many.
const FEW: u64 = 10;
const ENTER: Duration = Duration::from_secs(1);
const LEAVE: Duration = Duration::from_secs(5);

/// How things are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Records that are not read; `None` while that is not known.
    pub(super) lag: Option<u64>,
    /// The sum of the ends of all logs of the input; `None` while one is not known.
    pub(super) ends: Option<u64>,
    /// All partitions have an owner that answers.
    pub(super) is_served: bool,
    /// Redis is later than the spec allows.
    pub(super) is_late: bool,
    /// Time between two flushes.
    pub(super) interval: Millis,
}

impl Look {
    /// How far a job is behind its input. One without partitions has not begun: of that nothing is known.
    pub(super) fn of(
        now: Millis,
        sink: &SinkSpec,
        (stages, ends, epochs): (Stages<'_>, &Ends, &Coordinator),
        fleet: &Fleet,
    ) -> Self {
        let all = || stages.iter();
        let late = |p: &Partition| {
            let report = p.current_report();
            report.is_some_and(|r| r.staleness_ms > sink.max_staleness.0)
        };
        let has_begun = all().next().is_some();
        let states = stages.with_states(epochs);
        let lag: Option<u64> = states.map(|(p, epochs)| ends.lag(now, p, epochs)).sum();
        Self {
            lag: lag.filter(|_| has_begun),
            ends: stages.input().map(|p| Some(ends.end(now, p)?.1)).sum(),
            is_served: all().all(|p| is_served(p, fleet)),
            is_late: all().any(late),
            interval: sink.flush_interval,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Live {
    is: bool,
    looked: Option<Millis>,
    ends: VecDeque<(Millis, u64)>,
    /// Since when it is not as `is` says.
    differs: Option<Millis>,
}

impl Live {
    /// Whether it is.
    pub(super) fn is(&self) -> bool {
        self.is
    }

    /// Whether a look is due.
    pub(super) fn is_due(&self, now: Millis) -> bool {
        self.looked
            .is_none_or(|at| now.since(at) >= Millis::from(EVERY))
    }

    /// Takes how things are now.
    pub(super) fn look(&mut self, now: Millis, look: &Look) {
        self.looked = Some(now);
        let per_second = self.measure(now, look.ends);
        let comes_in = per_second * (look.interval.0 + Millis::from(REPORTS).0) / 1_000;
        let allowed = (comes_in + FEW) * if self.is { 2 } else { 1 };
        if !look.is_served {
            (self.is, self.differs) = (false, None);
            return;
        }
        let keeps_up = !look.is_late && look.lag.is_some_and(|lag| lag <= allowed);
        if keeps_up == self.is {
            self.differs = None;
            return;
        }
        let since = *self.differs.get_or_insert(now);
        let patience = if self.is { LEAVE } else { ENTER };
        if now.since(since) >= Millis::from(patience) {
            self.is = keeps_up;
            self.differs = None;
        }
    }

    /// Records that come in a second.
    fn measure(&mut self, now: Millis, ends: Option<u64>) -> u64 {
        if let Some(ends) = ends {
            if self.ends.back().is_some_and(|(_, last)| ends < *last) {
                // A topic was recreated, or a log lost its tail.
                self.ends.clear();
            }
            self.ends.push_back((now, ends));
        }
        while self
            .ends
            .front()
            .is_some_and(|(at, _)| now.since(*at) > Millis::from(WINDOW))
        {
            self.ends.pop_front();
        }
        let (Some((from, first)), Some((until, last))) = (self.ends.front(), self.ends.back())
        else {
            return 0;
        };
        (last - first).saturating_mul(1_000) / until.since(*from).0.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that is looked at each half second while so many records a second come in.
    #[derive(Default)]
    struct Rig {
        live: Live,
        now: u64,
        ends: u64,
    }

    impl Rig {
        /// Whether it was live at each look, while the lag was each of these.
        fn looks(&mut self, rate: u64, lags: impl IntoIterator<Item = Option<u64>>) -> Vec<bool> {
            let look = |lag| {
                self.now += 500;
                self.ends += rate / 2;
                let look = Look {
                    lag,
                    ends: lag.map(|_| self.ends),
                    is_served: true,
                    is_late: false,
                    interval: Millis(1_000),
                };
                self.live.look(Millis(self.now), &look);
                self.live.is()
            };
            lags.into_iter().map(look).collect()
        }
    }

    #[test]
    fn a_job_under_a_steady_input_is_live_without_a_break() {
        let mut rig = Rig::default();
        rig.looks(50, [Some(0); 3]);
        // What came in since the last flush, a move, a burst.
        let lags = [0, 25, 50, 3, 75, 0, 140, 90, 5].map(Some);
        let looks = rig.looks(50, lags.into_iter().cycle().take(100));
        assert!(looks.iter().all(|live| *live), "{looks:?}");
    }

    #[test]
    fn a_backlog_is_not_live_until_it_is_read() {
        let mut rig = Rig::default();
        assert_eq!(rig.looks(0, [Some(5_000); 20]), [false; 20]);
        assert_eq!(rig.looks(0, [Some(10); 3]), [false, false, true]);
    }

    #[test]
    fn what_stays_behind_for_seconds_is_no_longer_live_and_so_is_what_is_not_known() {
        for lag in [Some(1_000), None] {
            let mut rig = Rig::default();
            rig.looks(50, [Some(0); 10]);
            assert!(rig.live.is());
            let looks = rig.looks(50, [lag; 12]);
            let last = looks.iter().rposition(|live| *live).unwrap();
            assert_eq!(last, 9, "{lag:?}: for 5 s");
        }
    }

    /// One that has read everything is looked at: whether its partitions have owners, and Redis is late.
    fn look(rig: &mut Rig, is_served: bool, is_late: bool) -> bool {
        rig.now += 500;
        let look = Look {
            lag: Some(0),
            ends: Some(0),
            is_served,
            is_late,
            interval: Millis(1_000),
        };
        rig.live.look(Millis(rig.now), &look);
        rig.live.is()
    }

    #[test]
    fn a_redis_that_is_late_for_seconds_is_not_live() {
        let mut rig = Rig::default();
        rig.looks(0, [Some(0); 10]);
        let looks: Vec<_> = (0..12).map(|_| look(&mut rig, true, true)).collect();
        assert_eq!(looks.iter().rposition(|live| *live), Some(9), "for 5 s");
    }

    #[test]
    fn a_job_with_a_partition_without_an_owner_is_not_live_at_once_and_live_again_after_a_second() {
        let mut rig = Rig::default();
        rig.looks(0, [Some(0); 10]);
        assert!(!look(&mut rig, false, false));
        let looks = [(); 3].map(|()| look(&mut rig, true, false));
        assert_eq!(looks, [false, false, true]);
    }
}
