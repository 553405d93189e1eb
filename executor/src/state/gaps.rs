//! The time between two readings of one entity, as a histogram: four buckets for each doubling.

const BUCKETS: usize = 64 * 4;
/// The first bucket in use: shorter gaps count as the shortest.
const FIRST: u16 = 2 * 4;

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
        let count = &mut self.counts[power as usize * 4 + quarter as usize];
        *count = count.saturating_add(1);
        self.total = self.total.saturating_add(1);
    }

    /// Buckets that are not empty, with their counts.
    pub(super) fn counts(&self) -> Vec<(u16, u64)> {
        let buckets = (0..).zip(self.counts.iter().copied());
        buckets.filter(|(_, count)| *count > 0).collect()
    }

    /// From counts; unknown buckets are left out.
    pub(super) fn restore(counts: &[(u16, u64)]) -> Self {
        let mut gaps = Self::default();
        let known = counts.iter().filter(|(bucket, _)| *bucket >= FIRST);
        for &(bucket, count) in known {
            if let Some(place) = gaps.counts.get_mut(usize::from(bucket)) {
                *place = count;
            }
        }
        let all = gaps.counts.iter();
        gaps.total = all.fold(0, |sum, count| sum.saturating_add(*count));
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

    #[test]
    fn counts_that_no_histogram_has_are_left_out() {
        let gaps = Gaps::restore(&[(0, 5), (7, 5), (8, 1), (8, 2), (256, 9)]);
        assert_eq!((gaps.counts(), gaps.median()), (vec![(8, 2)], Some(4)));
        let mut full = Gaps::restore(&[(8, u64::MAX), (9, u64::MAX)]);
        full.add(4);
        assert_eq!(full.median(), Some(4));
    }
}
