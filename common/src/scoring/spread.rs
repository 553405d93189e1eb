//! How a gain is spread over the time in which it arose.

use std::ops::Range;

pub use crate::job::CARRIED_ON;

/// What the panes of one gain receive, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Number of the first pane.
    pub from: u64,
    /// One past the last pane.
    pub to: u64,
    /// What each of these panes gets.
    pub each_e6: u64,
}

/// Spreads a gain of `gain` engagements evenly over the milliseconds of `[last, now)`: at most three
/// shares (a partial first pane, whole panes that get the same each, and the last pane touched,
/// which gets the remainder). Their sum is exactly `10⁶·gain`.
///
/// That all whole panes get the same makes their part of the baseline a geometric sum, however long
/// the gap is. `gain` is at most 3·10¹² (three counters of at most 10¹²), so a share fits 64 bits.
pub fn spread(gain: u64, last: u64, now: u64, slide: u64) -> [Share; 3] {
    spread_at((gain, now.saturating_sub(last)), last..now, slide)
}

/// The rate of a gain that arose over `span` milliseconds up to `time`, carried on for as long, at most [`CARRIED_ON`].
pub fn carry_on(gain: u64, span: u64, time: u64, slide: u64) -> [Share; 3] {
    spread_at((gain, span), time..time + span.min(CARRIED_ON), slide)
}

/// What a rate, as a gain and the milliseconds in which it arose, amounts to in the panes of a time that is not longer: each
/// part is rounded down but the last pane's, which gets what is missing to the whole.
fn spread_at((gain, span): (u64, u64), time: Range<u64>, slide: u64) -> [Share; 3] {
    let none = share(0, 0, 0);
    if time.is_empty() || gain == 0 {
        return [none; 3];
    }
    let part = |ms: u64| u128::from(gain) * 1_000_000 * u128::from(ms) / u128::from(span);
    let first = time.start / slide;
    let end = (time.end - 1) / slide;
    let last = time.start;
    let mut rest = part(time.end - time.start);
    let mut head = none;
    let mut whole_from = first;
    if first < end && !last.is_multiple_of(slide) {
        let each = part(slide - last % slide);
        rest -= each;
        head = share(first, first + 1, each);
        whole_from = first + 1;
    }
    let mut middle = none;
    if whole_from < end {
        let each = part(slide);
        rest -= each * u128::from(end - whole_from);
        middle = share(whole_from, end, each);
    }
    [head, middle, share(end, end + 1, rest)]
}

fn share(from: u64, to: u64, each: u128) -> Share {
    Share {
        from,
        to,
        each_e6: u64::try_from(each).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gain_within_one_pane_stays_there() {
        let shares = spread(7, 10, 50, 60);
        assert_eq!(shares[2], share(0, 1, 7_000_000));
        assert_eq!(shares[0].each_e6 + shares[1].each_e6, 0);
    }

    #[test]
    fn a_gain_over_three_panes_splits_by_time_and_the_last_takes_the_remainder() {
        // 45 ms .. 190 ms with panes of 60: 15 ms, 60 ms, 60 ms, 10 ms.
        let [head, middle, tail] = spread(1, 45, 190, 60);
        assert_eq!(head, share(0, 1, 103_448));
        assert_eq!(middle, share(1, 3, 413_793));
        assert_eq!(tail, share(3, 4, 1_000_000 - 103_448 - 2 * 413_793));
    }

    #[test]
    fn a_gain_that_ends_on_a_border_gives_the_remainder_to_the_pane_before_it() {
        let [head, middle, tail] = spread(1, 0, 120, 60);
        assert_eq!(head.each_e6, 0);
        assert_eq!(middle, share(0, 1, 500_000));
        assert_eq!(tail, share(1, 2, 500_000));
    }

    #[test]
    fn a_rate_is_carried_on_for_as_long_as_it_was_seen_and_for_two_days_at_most() {
        let hour = 3_600_000;
        assert_eq!(carry_on(7, 90, 100, 60), spread(7, 100, 190, 60));
        let [head, middle, tail] = carry_on(96, 96 * hour, hour / 2, hour);
        assert_eq!(head, share(0, 1, 500_000));
        assert_eq!(middle, share(1, 48, 1_000_000));
        assert_eq!(tail, share(48, 49, 500_000));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_made_by_spreading(
            gain in 0u64..3_000_000_000_000, last in 0u64..4_000_000_000_000,
            span in 1u64..3_000_000_000, slide in 1u64..100_000_000
        ) {
            let shares = spread(gain, last, last + span, slide);
            let sum: u128 = shares
                .iter()
                .map(|s| u128::from(s.each_e6) * u128::from(s.to - s.from))
                .sum();
            prop_assert_eq!(sum, u128::from(gain) * 1_000_000);
        }
    }
}
