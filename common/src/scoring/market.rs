//! The market measure: the mean velocity of a platform's slots, added up exactly so that the order
//! in which partitions report does not matter.

/// The market measure by which a flush scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Market {
    /// `m`: mean velocity of the platform, engagements a minute.
    pub mean: f64,
    /// Grows with each change.
    pub version: u64,
}

/// A partition's share of the market, or the sum of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketSum {
    /// Sum of velocities, each rounded to 4 decimals, in 1/10000.
    pub velocity_e4: u64,
    /// How many slots were not empty.
    pub slots: u64,
}

impl MarketSum {
    /// Adds a slot's velocity (see [`velocity_e4`]).
    pub fn add(&mut self, velocity_e4: u64) {
        self.velocity_e4 = self.velocity_e4.saturating_add(velocity_e4);
        self.slots += 1;
    }

    /// Takes a slot's velocity back out.
    pub fn remove(&mut self, velocity_e4: u64) {
        self.velocity_e4 = self.velocity_e4.saturating_sub(velocity_e4);
        self.slots = self.slots.saturating_sub(1);
    }

    /// Adds another partition's share.
    pub fn merge(&mut self, other: Self) {
        self.velocity_e4 = self.velocity_e4.saturating_add(other.velocity_e4);
        self.slots += other.slots;
    }

    /// `m`: the mean, rounded to 3 significant digits; 0 without slots.
    pub fn mean(&self) -> f64 {
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
        };
        assert_eq!(sum.mean(), 1.23);
        assert_eq!(round_to_3_significant(98_765.0), 98_800.0);
        assert_eq!(MarketSum::default().mean(), 0.0);
    }

    #[test]
    fn adding_and_removing_a_slot_leaves_nothing() {
        let mut sum = MarketSum::default();
        sum.add(velocity_e4(1.234_56));
        assert_eq!(sum.velocity_e4, 12_346);
        sum.remove(velocity_e4(1.234_56));
        assert_eq!(sum, MarketSum::default());
    }
}
