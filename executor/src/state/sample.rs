//! A few of the entities of a partition, for the question whether readings of one of them come through
//! several partitions.
//!
//! Each partition takes those with the smallest hashes, which do not depend on the partition: so two
//! partitions that have an entity in common take the same ones. A pass looks at a bounded number of
//! readings at a time; nothing is done for an event.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;
use kol_common::proto::Sighting;

use super::kols::Kols;
use super::reading::Entity;
use super::readings::Readings;

/// Entities in a sample: enough to see a share of one in a hundred from a few partitions on, and few
/// enough to be part of a report.
const SAMPLE: usize = 32;
/// Longest name in a sample, characters.
const MAX_NAME: usize = 80;

/// See the module.
#[derive(Debug, Default)]
pub struct Sampler {
    /// The next reading of the pass under way.
    at: u32,
    /// What that has found so far: indexes of readings, by what the entities are sorted by.
    found: BTreeMap<u64, u32>,
    /// What the last whole pass found.
    sample: Vec<Sighting>,
}

impl Sampler {
    /// Looks at the next `count` readings.
    pub fn step(&mut self, count: usize, readings: &Readings, kols: &Kols) {
        for _ in 0..count {
            if self.at >= readings.bound() {
                self.finish(readings, kols);
                return;
            }
            let index = self.at;
            self.at += 1;
            if let Some(id) = self.candidate(index, readings, kols) {
                self.found.insert(id, index);
                if self.found.len() > SAMPLE {
                    self.found.pop_last();
                }
            }
        }
    }

    /// As the last whole pass found it, sorted.
    pub fn sample(&self) -> &[Sighting] {
        &self.sample
    }

    /// What a reading is sorted by, if it is among the smallest so far. Names are looked up only then.
    fn candidate(&self, index: u32, readings: &Readings, kols: &Kols) -> Option<u64> {
        let full = self.found.len() == SAMPLE;
        let largest = self.found.last_key_value().filter(|_| full);
        let largest = largest.map_or(u64::MAX, |(id, _)| *id);
        let (_, entity) = readings.entity(index)?;
        if entity != Entity::Profile && upper(&entity) > largest >> 32 {
            return None;
        }
        id(index, readings, kols).filter(|id| *id < largest)
    }

    fn finish(&mut self, readings: &Readings, kols: &Kols) {
        let found = std::mem::take(&mut self.found);
        let sighting = |(was, index): (u64, u32)| {
            // The place may have another reading by now.
            (id(index, readings, kols) == Some(was)).then(|| Sighting {
                id: was,
                newest_ms: readings.get(index).time(),
                name: name(index, readings, kols),
            })
        };
        self.sample = found.into_iter().filter_map(sighting).collect();
        self.at = 0;
    }
}

/// The same for an entity in every partition: the upper half is of the video alone, the lower half of all
/// that names it, since creators may number their videos alike.
fn id(index: u32, readings: &Readings, kols: &Kols) -> Option<u64> {
    let (kol, entity) = readings.entity(index)?;
    let (platform, kol) = kols.name(kol)?;
    let whole = FixedState::default().hash_one((kols.platform_name(platform), kol, &entity));
    let upper = match entity {
        Entity::Profile => whole & 0xffff_ffff,
        _ => upper(&entity),
    };
    Some(upper << 32 | whole >> 32)
}

fn upper(entity: &Entity<'_>) -> u64 {
    FixedState::default().hash_one(entity) >> 32
}

fn name(index: u32, readings: &Readings, kols: &Kols) -> String {
    let Some((kol, entity)) = readings.entity(index) else {
        return String::new();
    };
    let (platform, kol) = kols.name(kol).unwrap_or_default();
    let of = format!("{}/{kol}", kols.platform_name(platform));
    let whole = match entity {
        Entity::Profile => format!("the profile of {of}"),
        _ => format!("video {} of {of}", readings.video(index)),
    };
    whole.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::super::kols;
    use super::*;

    /// A partition with the readings of these videos, and the sample of it.
    fn sample(videos: impl IntoIterator<Item = (String, String)>) -> Vec<Sighting> {
        let (mut readings, mut kols) = (Readings::default(), Kols::default());
        for (kol, video) in videos {
            let kol = kols::intern(&mut kols, "tiktok", &kol);
            let video = (!video.is_empty()).then_some(video.as_str());
            readings.insert(kol, Entity::of(video), 7, [1; 4], &mut Vec::new());
        }
        let mut sampler = Sampler::default();
        while sampler.sample().is_empty() {
            sampler.step(10, &readings, &kols);
        }
        sampler.sample().to_vec()
    }

    fn video(number: u32) -> (String, String) {
        let id = match number % 3 {
            0 => format!("75183767946811{number:05}"),
            1 => format!("short{number}"),
            _ => format!("a video with an id that is long {number}"),
        };
        (format!("kol_{}", number % 50), id)
    }

    #[test]
    fn partitions_with_videos_in_common_take_the_same_ones() {
        let one = sample((0..1_000).map(video));
        let other = sample((0..1_000).rev().map(video));
        assert_eq!(one, other);
        assert_eq!(one.len(), SAMPLE);
        assert!(one.iter().all(|s| s.newest_ms == 7), "{one:?}");
        assert!(one[0].name.starts_with("video "), "{one:?}");
        assert!(one[0].name.contains(" of tiktok/kol_"), "{one:?}");
    }

    #[test]
    fn partitions_whose_creators_number_their_videos_alike_have_nothing_in_common() {
        let numbered = |kols: std::ops::Range<u32>| {
            sample(kols.flat_map(|kol| {
                let video = move |n: u32| (format!("kol_{kol}"), n.to_string());
                // The profile has no number.
                (1..5)
                    .map(video)
                    .chain([(format!("kol_{kol}"), String::new())])
            }))
        };
        let (one, other) = (numbered(0..200), numbered(200..400));
        assert!(one.iter().all(|s| other.iter().all(|o| o.id != s.id)));
        assert!(one.iter().any(|s| s.name.starts_with("video ")), "{one:?}");
    }
}
