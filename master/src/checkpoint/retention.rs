//! Which committed epochs of a job are kept whole: a machine of numbers.
//!
//! 1. The newest, as many as the spec says.
//! 2. Of each minute of the last so many minutes, and of each hour of the last so many hours, the oldest epoch: so one that
//!    is chosen stays chosen while newer ones come, and at most one for each minute and hour is kept. Time is the wall
//!    clock that the manifests say, counted back from the newest one: where it steps, fewer are kept, and never more.
//! 3. Where that takes too much, the one goes first that is closest to its neighbours for its age.

use kol_common::job::CheckpointSpec;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// How many are kept of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiers {
    /// The newest; at least one is.
    pub(super) newest: usize,
    /// Minutes of which one is kept.
    minutes: u64,
    /// Hours of which one is kept.
    hours: u64,
}

impl Tiers {
    /// As a spec says.
    pub(super) fn new(spec: &CheckpointSpec) -> Self {
        Self {
            newest: usize::try_from(spec.retain).unwrap_or(usize::MAX).max(1),
            minutes: spec.retain_minutes,
            hours: spec.retain_hours,
        }
    }

    #[cfg(test)]
    pub(super) fn of_newest(newest: usize) -> Self {
        Self {
            newest,
            minutes: 0,
            hours: 0,
        }
    }

    /// Whether an epoch is kept that is the first of its minute, of its hour, or neither.
    fn keeps(&self, made: u64, newest: u64, first_of: impl Fn(u64) -> bool) -> bool {
        let recent = |unit: u64, most: u64| {
            let age = (newest / unit).checked_sub(made / unit);
            age.is_some_and(|age| age < most)
        };
        let of = |unit: u64, most: u64| recent(unit, most) && first_of(unit);
        of(MINUTE, self.minutes) || of(HOUR, self.hours)
    }
}

/// The oldest epoch that is not kept, of those that were made then, oldest first.
pub(super) fn surplus(made: &[u64], tiers: &Tiers) -> Option<usize> {
    let newest = *made.last()?;
    let before = made.len().saturating_sub(tiers.newest);
    (0..before).find(|&at| {
        let is_first = |unit: u64| {
            made[..at]
                .iter()
                .all(|older| older / unit != made[at] / unit)
        };
        !tiers.keeps(made[at], newest, is_first)
    })
}

/// The one of those before the newest that the others stand in for best, if there is one: it leaves the smallest gap for
/// its age. The oldest goes last: it says how far back one can go.
pub(super) fn thinnest(made: &[u64], newest: usize) -> Option<usize> {
    let now = *made.last()?;
    let before = made.len().saturating_sub(newest);
    let gap = |at: usize| {
        let older = at.checked_sub(1).map(|older| made[older])?;
        let newer = made.get(at + 1).copied().unwrap_or(now);
        let age = now.saturating_sub(made[at]).max(1);
        // In thousandths: whole numbers have an order.
        Some(newer.saturating_sub(older).saturating_mul(1_000) / age)
    };
    (0..before).min_by_key(|&at| gap(at).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const TIERS: Tiers = Tiers {
        newest: 3,
        minutes: 60,
        hours: 24,
    };

    /// Keeps epochs that are made at these times.
    fn after(times: impl IntoIterator<Item = u64>, tiers: &Tiers) -> Vec<u64> {
        let mut kept = Vec::new();
        for time in times {
            kept.push(time);
            while let Some(at) = surplus(&kept, tiers) {
                kept.remove(at);
            }
        }
        kept
    }

    #[test]
    fn a_day_of_an_epoch_a_second_leaves_the_last_one_a_minute_and_one_an_hour() {
        let day = 24 * HOUR;
        let kept = after((0..=day).step_by(1_000), &TIERS);
        assert_eq!(kept[kept.len() - 3..], [day - 2_000, day - 1_000, day]);
        let minutes: Vec<u64> = kept.iter().copied().filter(|t| *t > day - HOUR).collect();
        let of_minutes: BTreeSet<u64> = minutes.iter().map(|t| t / MINUTE).collect();
        assert_eq!(of_minutes.len(), 60, "{minutes:?}");
        let hours: BTreeSet<u64> = kept.iter().map(|t| t / HOUR).collect();
        assert_eq!(hours.len(), 24);
        // One is the first of its minute and of its hour.
        assert!(kept.len() <= 3 + 60 + 24, "{}", kept.len());
    }

    #[test]
    fn a_spec_that_wants_none_of_them_keeps_the_newest_only() {
        let kept = after((0..HOUR).step_by(1_000), &Tiers::of_newest(2));
        assert_eq!(kept, [HOUR - 2_000, HOUR - 1_000]);
    }

    #[test]
    fn what_is_thinned_out_is_what_the_others_stand_in_for() {
        let made = [0, HOUR, HOUR + MINUTE, 3 * HOUR, 3 * HOUR + 1];
        assert_eq!(thinnest(&made, 2), Some(1));
        assert_eq!(
            thinnest(&[0, 3 * HOUR, 3 * HOUR + 1], 2),
            Some(0),
            "the last one"
        );
        assert_eq!(thinnest(&made[3..], 2), None, "the newest stay");
        assert_eq!(thinnest(&[], 2), None);
    }

    proptest! {
        #[test]
        fn whatever_the_clock_does_few_are_kept_and_the_newest_always(
            steps in prop::collection::vec((0..5u8, 0..90 * MINUTE), 1..200),
            newest in 1..5usize, minutes in 0..70u64, hours in 0..30u64,
        ) {
            let tiers = Tiers { newest, minutes, hours };
            let mut now = 100 * HOUR;
            let times: Vec<u64> = steps.iter().map(|(back, by)| {
                now = if *back == 0 { now.saturating_sub(*by) } else { now + by / 30 };
                now
            }).collect();
            let kept = after(times.clone(), &tiers);
            prop_assert!(kept.len() <= newest + (minutes + hours) as usize);
            let last = &times[times.len().saturating_sub(newest)..];
            prop_assert!(kept.ends_with(last));
        }

        #[test]
        fn where_the_clock_does_not_step_there_is_one_of_each_minute_that_had_one(
            gaps in prop::collection::vec(500..200_000u64, 1..300),
        ) {
            let mut now = 0;
            let times: Vec<u64> = gaps.iter().map(|gap| { now += gap; now }).collect();
            let kept = after(times.clone(), &TIERS);
            for (unit, most) in [(MINUTE, 60), (HOUR, 24)] {
                let of = |times: &[u64]| -> BTreeSet<u64> {
                    let all = times.iter().map(|t| t / unit);
                    all.filter(|u| now / unit - u < most).collect()
                };
                prop_assert_eq!(of(&kept), of(&times));
            }
        }
    }
}
