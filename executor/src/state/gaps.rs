//! The time between two readings of one entity, as a histogram: four buckets for each doubling.

const BUCKETS: usize = 64 * 4;

/// Counts of gaps.
#[derive(Debug)]
pub(super) struct Gaps {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
}

impl Default for Gaps {
    fn default() -> Self {
        Self {
            counts: Box::new([0; BUCKETS]),
            total: 0,
        }
    }
}

impl Gaps {
    /// Counts a gap of `ms` milliseconds.
    pub(super) fn add(&mut self, ms: u64) {
        let ms = ms.max(4);
        let power = ms.ilog2();
        let quarter = (ms >> (power - 2)) & 3;
        self.counts[power as usize * 4 + quarter as usize] += 1;
        self.total += 1;
    }

    /// Buckets that are not empty, with their counts.
    pub(super) fn counts(&self) -> Vec<(u16, u64)> {
        let buckets = (0..).zip(self.counts.iter().copied());
        buckets.filter(|(_, count)| *count > 0).collect()
    }

    /// From counts; unknown buckets are left out.
    pub(super) fn restore(counts: &[(u16, u64)]) -> Self {
        let mut gaps = Self::default();
        for &(bucket, count) in counts {
            if let Some(place) = gaps.counts.get_mut(usize::from(bucket)) {
                *place = count;
                gaps.total = gaps.total.saturating_add(count);
            }
        }
        gaps
    }

    /// The median, exact to a quarter of a doubling; `None` before the first gap.
    pub(super) fn median(&self) -> Option<u64> {
        let mut left = self.total.div_ceil(2);
        if left == 0 {
            return None;
        }
        for (bucket, count) in self.counts.iter().enumerate() {
            if *count >= left {
                let (power, quarter) = (bucket / 4, bucket as u64 % 4);
                return Some((4 + quarter) << (power - 2));
            }
            left -= count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_right_to_a_quarter_of_a_doubling() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.median(), None);
        for ms in [60_000, 86_400_000, 86_400_000, 90_000_000, 1] {
            gaps.add(ms);
        }
        let median = gaps.median().unwrap();
        assert!(
            median <= 86_400_000 && median * 5 / 4 > 86_400_000,
            "{median}"
        );
    }
}
