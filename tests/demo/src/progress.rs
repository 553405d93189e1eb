//! How fast a job reads, and how far it is behind, as the person sees it: a machine without I/O.
//!
//! A status has positions that executors reported up to 200 ms before, and at 1,500 events a second that alone looks like
//! 300 records that were not read. How old they are at a look depends on when it comes, and a look every two seconds
//! comes a little later each time: what is shown would creep up and fall. So several looks are taken, and the one
//! with the newest report counts: the lag of a second is its smallest.

use std::collections::VecDeque;
use std::time::Duration;

/// Over how long the rate is taken.
const RATE_OVER: Duration = Duration::from_secs(2);
/// Over how long the smallest lag is taken.
const LAG_OVER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Of each look when it was, how much was read, and how much was not.
    looks: VecDeque<(Duration, u64, u64)>,
}

impl Progress {
    /// So many records were written at a moment, and so many of them read.
    pub(super) fn look(&mut self, now: Duration, written: u64, read: u64) {
        self.looks
            .push_back((now, read, written.saturating_sub(read)));
        while self.looks.len() > 2 && now - self.looks[1].0 > RATE_OVER {
            self.looks.pop_front();
        }
    }

    /// Records read a second.
    pub(super) fn rate(&self) -> u64 {
        let (Some((since, before, _)), Some((now, read, _))) =
            (self.looks.front(), self.looks.back())
        else {
            return 0;
        };
        let seconds = (*now - *since).as_secs_f64().max(0.001);
        (read.saturating_sub(*before) as f64 / seconds) as u64
    }

    /// Records not read yet.
    pub(super) fn lag(&self) -> u64 {
        let Some((now, ..)) = self.looks.back() else {
            return 0;
        };
        let recent = self.looks.iter().filter(|(at, ..)| *now - *at < LAG_OVER);
        recent.map(|(.., lag)| *lag).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records a second, time between two reports of positions, and between two looks: a little later each time.
    const RATE: u64 = 1_500;
    const REPORTS: u64 = 200;
    const LOOKS: u64 = 253;

    /// What is shown in each second of a minute in which everything is read at once, except from a second on to another.
    fn shown(stalled: std::ops::Range<u64>) -> Vec<(u64, u64)> {
        let mut progress = Progress::default();
        let mut shown = Vec::new();
        for at in (0..60_000).step_by(LOOKS as usize) {
            let reported = at / REPORTS * REPORTS;
            let read = if (stalled.start * 1_000..stalled.end * 1_000).contains(&reported) {
                stalled.start * 1_000
            } else {
                reported
            };
            let now = Duration::from_millis(at);
            progress.look(now, at * RATE / 1_000, read * RATE / 1_000);
            if at % 1_000 < LOOKS {
                shown.push((progress.lag(), progress.rate()));
            }
        }
        shown
    }

    #[test]
    fn the_age_of_reports_does_not_look_like_records_that_are_not_read() {
        for (second, (lag, rate)) in shown(0..0).into_iter().enumerate().skip(3) {
            assert!(lag <= RATE * 60 / 1_000, "{lag} at {second} s");
            assert!(rate.abs_diff(RATE) <= RATE / 8, "{rate} at {second} s");
        }
    }

    #[test]
    fn a_stall_shows_as_lag_and_as_a_rate_that_falls() {
        let shown = shown(20..25);
        let (lag, rate) = shown[24];
        assert!(lag > 2 * RATE, "{lag}");
        assert!(rate < RATE / 4, "{rate}");
        assert!(shown[27].0 <= RATE * 60 / 1_000, "{:?}", shown[27]);
    }
}
