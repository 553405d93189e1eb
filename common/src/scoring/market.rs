//! The market measure: the mean velocity of a platform's slots, or of the profile `rising` their median, added up exactly so
//! that the order in which partitions report does not matter.

use std::collections::BTreeMap;

use crate::job::Profile;

/// The market measure by which a flush scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Market {
    /// `m`: mean velocity of the platform, or its median; engagements a minute.
    pub mean: f64,
    /// Grows with each change.
    pub version: u64,
}

/// A partition's share of the market, or the sum of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarketSum {
    /// Sum of velocities, each rounded to 4 decimals, in 1/10000.
    pub velocity_e4: u64,
    /// How many slots were not empty.
    pub slots: u64,
    /// Their velocities by size.
    pub histogram: Histogram,
}

/// How many velocities there are of each size: bin i is of those from 2^(i/4) up to 2^((i+1)/4) engagements a minute. One that
/// rounds to 0 is in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<i32, u64>);

impl Histogram {
    /// From bins and their counts.
    pub fn of(bins: impl IntoIterator<Item = (i32, u64)>) -> Self {
        Self(bins.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    /// The bins that are not empty, with their counts.
    pub fn bins(&self) -> impl Iterator<Item = (i32, u64)> {
        self.0.iter().map(|(bin, count)| (*bin, *count))
    }

    fn add(&mut self, velocity_e4: u64) {
        if velocity_e4 > 0 {
            *self.0.entry(bin(velocity_e4)).or_default() += 1;
        }
    }

    fn remove(&mut self, velocity_e4: u64) {
        if velocity_e4 == 0 {
            return;
        }
        let bin = bin(velocity_e4);
        if let Some(count) = self.0.get_mut(&bin) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&bin);
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        for (bin, count) in &other.0 {
            let sum = self.0.entry(*bin).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// The median: in the first bin up to which at least half of all lie, by how many of its own are needed for that, on the
    /// logarithmic scale. Rounded to 3 significant digits; 0 without any.
    pub fn median(&self) -> f64 {
        let all: u64 = self.0.values().sum();
        let half = all as f64 / 2.0;
        let mut below = 0;
        for (bin, count) in &self.0 {
            if (below + count) as f64 >= half {
                let place = (half - below as f64) / *count as f64;
                return round_to_3_significant(((f64::from(*bin) + place) / 4.0).exp2());
            }
            below += count;
        }
        0.0
    }
}

/// The bin of a velocity above zero, in 1/10000.
fn bin(velocity_e4: u64) -> i32 {
    (4.0 * (velocity_e4 as f64 / 1e4).log2()).floor() as i32
}

impl MarketSum {
    /// Adds a slot's velocity (see [`velocity_e4`]).
    pub fn add(&mut self, profile: Profile, velocity_e4: u64) {
        self.velocity_e4 = self.velocity_e4.saturating_add(velocity_e4);
        self.slots += 1;
        if profile == Profile::Rising {
            self.histogram.add(velocity_e4);
        }
    }

    /// Takes a slot's velocity back out.
    pub fn remove(&mut self, profile: Profile, velocity_e4: u64) {
        self.velocity_e4 = self.velocity_e4.saturating_sub(velocity_e4);
        self.slots = self.slots.saturating_sub(1);
        if profile == Profile::Rising {
            self.histogram.remove(velocity_e4);
        }
    }

    /// Adds another partition's share.
    pub fn merge(&mut self, other: &Self) {
        self.velocity_e4 = self.velocity_e4.saturating_add(other.velocity_e4);
        self.slots += other.slots;
        self.histogram.merge(&other.histogram);
    }

    /// The measure by which jobs of a profile score.
    pub fn measure(&self, profile: Profile) -> f64 {
        match profile {
            Profile::Default | Profile::SparkCompat => self.mean(),
            Profile::Rising => self.histogram.median(),
        }
    }

    /// `m`: the mean, rounded to 3 significant digits; 0 without slots.
    fn mean(&self) -> f64 {
        if self.slots == 0 {
            return 0.0;
        }
        round_to_3_significant(self.velocity_e4 as f64 / 1e4 / self.slots as f64)
    }
}

/// A velocity in 1/10000, rounded to the nearest, halves away from zero.
pub fn velocity_e4(velocity: f64) -> u64 {
    // `as` saturates: a velocity beyond u64 stays at its largest value.
    (velocity * 1e4).round() as u64
}

/// Rounds through the decimal text, so that every process gets the same number.
fn round_to_3_significant(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_has_three_significant_digits() {
        let sum = MarketSum {
            velocity_e4: 123_456,
            slots: 10,
            ..MarketSum::default()
        };
        assert_eq!(sum.mean(), 1.23);
        assert_eq!(round_to_3_significant(98_765.0), 98_800.0);
        assert_eq!(MarketSum::default().mean(), 0.0);
    }

    #[test]
    fn adding_and_removing_a_slot_leaves_nothing() {
        for profile in [Profile::Default, Profile::Rising] {
            let mut sum = MarketSum::default();
            for velocity in [1.234_56, 0.0] {
                sum.add(profile, velocity_e4(velocity));
            }
            assert_eq!(sum.velocity_e4, 12_346);
            for velocity in [0.0, 1.234_56] {
                sum.remove(profile, velocity_e4(velocity));
            }
            assert_eq!(sum, MarketSum::default());
        }
    }

    #[test]
    fn a_velocity_lies_in_the_bin_whose_edges_are_quarters_of_a_doubling() {
        let bins = [1, 5_000, 9_999, 10_000, 11_892, 11_893, 20_000, u64::MAX].map(bin);
        assert_eq!(bins, [-54, -4, -1, 0, 0, 1, 4, 202]);
    }

    #[test]
    fn the_median_lies_within_its_bin_by_the_logarithm() {
        let of = |bins: &[(i32, u64)]| Histogram::of(bins.iter().copied()).median();
        assert_eq!(of(&[]), 0.0);
        assert_eq!(of(&[(4, 2)]), 2.18, "half of the bin from 2 to 2.38");
        assert_eq!(
            of(&[(0, 3), (4, 1)]),
            1.12,
            "two thirds of the bin from 1 to 1.19"
        );
        assert_eq!(of(&[(0, 2), (8, 2)]), 1.19, "the end of the lower one");
    }

    proptest::proptest! {
        #[test]
        fn the_median_of_all_partitions_does_not_depend_on_their_order(
            velocities in proptest::collection::vec((0usize..4, 0u64..1_000_000), 0..60),
        ) {
            let mut parts = vec![MarketSum::default(); 4];
            let mut all = MarketSum::default();
            for (part, velocity) in velocities {
                parts[part].add(Profile::Rising, velocity);
                all.add(Profile::Rising, velocity);
            }
            for order in [[0, 1, 2, 3], [3, 1, 0, 2]] {
                let mut sum = MarketSum::default();
                order.iter().for_each(|part| sum.merge(&parts[*part]));
                proptest::prop_assert_eq!(&sum, &all);
            }
        }
    }
}
