//! The creators that take most of a partition's newest events, about: a count of a few (Metwally's Space-Saving) over a
//! sample of the events.
//!
//! Most events only count down to the next one of the sample. The distance between two of the sample varies, so that
//! events that come in a fixed order do not always fall beside it; it comes from a fixed sequence, so that the same
//! log gives the same counts.

use kol_common::proto::HotKol;

use super::consumers::KolIndex;
use super::kols::Kols;

/// Creators that are counted. A creator with more than one in so many events is among them.
const COUNTED: usize = 32;
/// Once so many events of the sample were counted, all of them count half: the newest ones matter.
const MANY: u32 = 4_096;
/// Events from one of the sample to the next: from half of it to one and a half of it.
const APART: u32 = 32;
/// Creators that are reported, and the part of the events from which on they are, in thousandths.
const REPORTED: usize = 3;
const MUCH: u32 = 50;
/// Events of the sample before anything is said.
const ENOUGH: u32 = 256;
/// Longest name that is reported, characters.
const MAX_NAME: usize = 80;

/// See the module.
#[derive(Debug)]
pub struct Hot {
    left: u32,
    sequence: u32,
    total: u32,
    counts: Vec<(KolIndex, u32)>,
}

impl Default for Hot {
    fn default() -> Self {
        Self {
            left: APART,
            sequence: 1,
            total: 0,
            counts: Vec::with_capacity(COUNTED),
        }
    }
}

impl Hot {
    /// An event of this creator came.
    #[inline]
    pub fn event(&mut self, kol: KolIndex) {
        self.left -= 1;
        if self.left == 0 {
            self.count(kol);
        }
    }

    fn count(&mut self, kol: KolIndex) {
        // Numerical Recipes' generator; the upper bits are the better ones.
        self.sequence = self
            .sequence
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.left = APART / 2 + (self.sequence >> 16) % APART;
        self.total += 1;
        if let Some((_, count)) = self.counts.iter_mut().find(|(known, _)| *known == kol) {
            *count += 1;
        } else if self.counts.len() < COUNTED {
            self.counts.push((kol, 1));
        } else if let Some(least) = self.counts.iter_mut().min_by_key(|(_, count)| *count) {
            // It may have been counted before and replaced: at most as often as the one that it replaces.
            *least = (kol, least.1 + 1);
        }
        if self.total >= MANY {
            self.total /= 2;
            for (_, count) in &mut self.counts {
                *count /= 2;
            }
            self.counts.retain(|(_, count)| *count > 0);
        }
    }

    /// The index is about to be given to another creator.
    pub fn forget(&mut self, kol: KolIndex) {
        self.counts.retain(|(known, _)| *known != kol);
    }

    /// Those with the most, the first one first.
    pub fn hottest(&self, kols: &Kols) -> Vec<HotKol> {
        if self.total < ENOUGH {
            return Vec::new();
        }
        let mut all = self.counts.clone();
        all.sort_unstable_by_key(|(kol, count)| (std::cmp::Reverse(*count), *kol));
        let shown = all.into_iter().filter_map(|(kol, count)| {
            let permille = count * 1_000 / self.total;
            let (platform, name) = kols.name(kol).filter(|_| permille >= MUCH)?;
            Some(HotKol {
                platform: kols.platform_name(platform).to_owned(),
                kol: name.chars().take(MAX_NAME).collect(),
                permille,
            })
        });
        shown.take(REPORTED).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::kols;
    use super::*;

    fn kols(count: usize) -> (Kols, Vec<KolIndex>) {
        let mut kols = Kols::default();
        let indexes = (0..count).map(|n| kols::intern(&mut kols, "tiktok", &format!("kol_{n}")));
        let indexes = indexes.collect();
        (kols, indexes)
    }

    #[test]
    fn creators_with_a_large_part_are_named_with_it_among_thousands_of_others() {
        let (kols, all) = kols(5_000);
        let mut hot = Hot::default();
        // One in three events is of kol_0, one in nine of kol_1.
        for n in 0..400_000 {
            let kol = match n % 9 {
                0 | 4 | 7 => 0,
                1 => 1,
                _ => n % all.len(),
            };
            hot.event(all[kol]);
        }
        let hottest = hot.hottest(&kols);
        let names: Vec<_> = hottest.iter().map(|h| h.kol.as_str()).collect();
        assert_eq!(names, ["kol_0", "kol_1"]);
        assert!((280..390).contains(&hottest[0].permille), "{hottest:?}");
        assert!((80..150).contains(&hottest[1].permille), "{hottest:?}");
        assert_eq!(hot.counts.len(), COUNTED);
    }

    #[test]
    fn where_nobody_stands_out_nobody_is_named() {
        let (kols, all) = kols(1_000);
        let mut hot = Hot::default();
        for n in 0..400_000 {
            hot.event(all[n % all.len()]);
        }
        assert_eq!(hot.hottest(&kols), []);
        let mut in_turn = Hot::default();
        for n in 0..400_000 {
            in_turn.event(all[n % 64]);
        }
        assert_eq!(in_turn.hottest(&kols), [], "whatever their order");
        let mut few = Hot::default();
        for _ in 0..1_000 {
            few.event(all[0]);
        }
        assert_eq!(few.hottest(&kols), [], "a few events say nothing");
    }

    #[test]
    fn who_was_hot_before_is_replaced_and_who_is_forgotten_is_gone() {
        let (kols, all) = kols(3);
        let mut hot = Hot::default();
        for (kol, events) in [(0, 300_000), (1, 600_000)] {
            for _ in 0..events {
                hot.event(all[kol]);
            }
        }
        assert_eq!(hot.hottest(&kols)[0].kol, "kol_1");
        hot.forget(all[1]);
        assert!(hot.hottest(&kols).iter().all(|h| h.kol != "kol_1"));
    }
}
