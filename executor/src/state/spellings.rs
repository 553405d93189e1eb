//! A few creators of a partition by their names in lower case, for the question whether a creator is spelled in two
//! ways that differ only by case.
//!
//! Two spellings lie in one partition or in two. In one, a pass over all creators finds the other spelling where that is
//! in lower case; a few such pairs are taken. For those in two, each partition takes the creators with the smallest hashes
//! of their names in lower case: so two partitions take the same ones. A pass looks at a bounded number of creators at a
//! time; nothing is done for an event.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;
use kol_common::proto::Spelling;

use super::consumers::KolIndex;
use super::kols::Kols;

/// Creators with the smallest hashes that are taken.
const SAMPLE: usize = 32;
/// Creators of pairs that are taken besides.
const PAIRED: usize = 8;
/// Longer names are not looked at, bytes.
const MAX_NAME: usize = 100;

/// See the module.
#[derive(Debug, Default)]
pub struct Spellings {
    /// The next creator of the pass under way.
    at: KolIndex,
    /// What that has found so far, by the hashes.
    found: BTreeSet<(u64, KolIndex)>,
    paired: BTreeSet<(u64, KolIndex)>,
    /// What the last whole pass found.
    sample: Vec<Spelling>,
}

impl Spellings {
    /// Looks at the next `count` creators.
    pub fn step(&mut self, count: usize, kols: &Kols) {
        for _ in 0..count {
            if self.at as usize >= kols.bound() {
                self.finish(kols);
                return;
            }
            self.look(self.at, kols);
            self.at += 1;
        }
    }

    /// As the last whole pass found it.
    pub fn sample(&self) -> &[Spelling] {
        &self.sample
    }

    fn look(&mut self, kol: KolIndex, kols: &Kols) {
        let Some((platform, name)) = name(kol, kols) else {
            return;
        };
        let lower = lowered(name);
        let id = id(platform, &lower);
        if lower != name
            && self.paired.len() < PAIRED
            && let Some(other) = kols.find(platform, &lower)
        {
            self.paired.extend([(id, kol), (id, other)]);
        }
        let largest = self.found.last().filter(|_| self.found.len() == SAMPLE);
        if largest.is_none_or(|(largest, _)| id < *largest) {
            self.found.insert((id, kol));
            if self.found.len() > SAMPLE {
                self.found.pop_last();
            }
        }
    }

    fn finish(&mut self, kols: &Kols) {
        let mut all = std::mem::take(&mut self.found);
        all.append(&mut self.paired);
        let spelling = |(was, kol): (u64, KolIndex)| {
            let (platform, name) = name(kol, kols)?;
            // The index may be of another creator by now.
            (id(platform, &lowered(name)) == was).then(|| Spelling {
                id: was,
                platform: platform.to_owned(),
                kol: name.to_owned(),
            })
        };
        self.sample = all.into_iter().filter_map(spelling).collect();
        self.at = 0;
    }
}

/// Platform and name, if that is not too long.
fn name(kol: KolIndex, kols: &Kols) -> Option<(&str, &str)> {
    let (platform, name) = kols.name(kol)?;
    (name.len() <= MAX_NAME).then(|| (kols.platform_name(platform), name))
}

/// In lower case; nearly all names are already, and those are not copied.
fn lowered(name: &str) -> Cow<'_, str> {
    if name
        .bytes()
        .any(|b| b.is_ascii_uppercase() || !b.is_ascii())
    {
        Cow::Owned(name.to_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

fn id(platform: &str, lower: &str) -> u64 {
    FixedState::default().hash_one((platform, lower))
}

#[cfg(test)]
mod tests {
    use super::super::kols;
    use super::*;

    /// The sample of a partition with these creators.
    fn sample<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Spelling> {
        let mut kols = Kols::default();
        for name in names {
            kols::intern(&mut kols, "tiktok", name);
        }
        let mut spellings = Spellings::default();
        for _ in 0..=kols.bound() {
            spellings.step(1, &kols);
        }
        spellings.sample().to_vec()
    }

    fn numbered(prefix: &str) -> Vec<String> {
        (0..10_000).map(|n| format!("{prefix}{n}")).collect()
    }

    #[test]
    fn of_many_creators_a_pair_in_one_partition_is_taken() {
        let many = numbered("kol_");
        let names = many.iter().map(|name| &**name).chain(["Ann", "ann"]);
        let sample = sample(names);
        assert!(sample.len() <= SAMPLE + PAIRED, "{}", sample.len());
        let named = |name| sample.iter().find(|s| s.kol == name).unwrap();
        assert_eq!(named("Ann").id, named("ann").id);
    }

    #[test]
    fn partitions_whose_creators_differ_by_case_take_the_same_ones() {
        let (lower, upper) = (numbered("kol_"), numbered("KOL_"));
        let one = sample(lower.iter().map(|name| &**name));
        let other = sample(upper.iter().map(|name| &**name));
        let ids = |sample: &[Spelling]| sample.iter().map(|s| s.id).collect::<Vec<_>>();
        assert_eq!(ids(&one), ids(&other));
        assert_eq!(one.len(), SAMPLE);
    }

    #[test]
    fn names_that_are_too_long_are_left_out_of_reports() {
        let long = "A".repeat(MAX_NAME + 1);
        let sample = sample([&*long, "ann"]);
        assert_eq!(sample.len(), 1);
        assert_eq!(sample[0].kol, "ann");
    }
}
