//! Whether readings of one video come through several partitions: then its gains are counted more than
//! once.
//!
//! 1. Each partition reports a sample of its videos: those with the smallest ids. Ids up to the smallest
//!    of the samples' largest are in all samples whose partitions have the video, so those are compared.
//! 2. A video is split when two partitions have newest readings of it that are not further apart than
//!    readings of a video usually are. A key that moves to another partition, as when a topic gets more
//!    partitions, leaves old readings behind; those fall back further and further.

use std::collections::BTreeMap;

use kol_common::proto::{PartitionReport, Sighting, SourcePartition};
use kol_common::{Millis, SourcePartition as Name};

/// What the samples of a job's partitions show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Videos that were compared.
    pub compared: u64,
    /// Those of them that are split.
    pub split: u64,
    /// One of them: its name, and two partitions that have readings of it.
    pub example: Option<(String, Name, Name)>,
}

impl Overlap {
    /// Of these partitions. `window` is how far apart readings may be where that is not known.
    pub fn of<'a>(reports: impl Iterator<Item = &'a PartitionReport>, window: Millis) -> Self {
        let reports: Vec<_> = reports.collect();
        let mut gaps: Vec<_> = reports.iter().filter_map(|r| r.median_gap_ms).collect();
        gaps.sort_unstable();
        let gap = gaps.get(gaps.len() / 2).copied().unwrap_or(window.0);
        let bound = reports.iter().filter_map(|r| largest(r)).min();
        let bound = bound.unwrap_or(u64::MAX);
        let mut seen: BTreeMap<u64, Vec<(&Sighting, &SourcePartition)>> = BTreeMap::new();
        for report in reports {
            let compared = report.sample.iter().filter(|s| s.id <= bound);
            for (sighting, partition) in compared.zip(std::iter::repeat(&report.partition)) {
                let partition = partition.iter().map(|partition| (sighting, partition));
                seen.entry(sighting.id).or_default().extend(partition);
            }
        }
        let mut overlap = Self::default();
        for sightings in seen.into_values() {
            overlap.compared += 1;
            if let Some(example) = split(sightings, gap + gap / 2) {
                overlap.split += 1;
                overlap.example.get_or_insert(example);
            }
        }
        overlap
    }

    /// Whether a person must know.
    pub fn is_much(&self) -> bool {
        self.split > 0 && self.split * 100 >= self.compared
    }
}

/// The largest id of a sample that does not have all entities of its partition.
fn largest(report: &PartitionReport) -> Option<u64> {
    let last = report.sample.last()?;
    (report.entities > report.sample.len() as u64).then_some(last.id)
}

fn split(
    mut sightings: Vec<(&Sighting, &SourcePartition)>,
    apart: u64,
) -> Option<(String, Name, Name)> {
    sightings.sort_by_key(|(sighting, _)| sighting.newest_ms);
    let near = sightings
        .windows(2)
        .find(|pair| pair[1].0.newest_ms - pair[0].0.newest_ms <= apart)?;
    let name = |at: usize| Name::new(&near[at].1.topic, near[at].1.partition);
    Some((near[0].0.name.clone(), name(0), name(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    /// A partition that has these videos, by id, with their newest readings.
    fn report(partition: u32, videos: &[(u64, u64)]) -> PartitionReport {
        let sighting = |(id, newest_ms): &(u64, u64)| Sighting {
            id: *id,
            newest_ms: *newest_ms,
            name: format!("video {id} of tiktok/mia"),
        };
        PartitionReport {
            partition: Some((&Name::new("t", partition)).into()),
            sample: videos.iter().map(sighting).collect(),
            entities: videos.len() as u64,
            median_gap_ms: Some(HOUR),
            ..PartitionReport::default()
        }
    }

    fn of(reports: &[PartitionReport]) -> Overlap {
        Overlap::of(reports.iter(), Millis(24 * HOUR))
    }

    #[test]
    fn a_video_with_new_readings_in_two_partitions_is_split_and_named() {
        let overlap = of(&[
            report(0, &[(1, 10 * HOUR), (2, 10 * HOUR)]),
            report(3, &[(2, 11 * HOUR), (3, 11 * HOUR)]),
        ]);
        assert_eq!((overlap.compared, overlap.split), (3, 1));
        let (video, one, other) = overlap.example.clone().unwrap();
        assert_eq!(video, "video 2 of tiktok/mia");
        assert_eq!((one, other), (Name::new("t", 0), Name::new("t", 3)));
        assert!(overlap.is_much());
    }

    #[test]
    fn a_video_that_moved_to_another_partition_is_not_split() {
        let moved = [report(0, &[(1, 10 * HOUR)]), report(1, &[(1, 13 * HOUR)])];
        assert_eq!(of(&moved).split, 0);
        assert!(!of(&moved).is_much());
        assert_eq!(of(&[]), Overlap::default());
    }

    #[test]
    fn only_ids_that_every_sample_would_have_are_compared() {
        let mut small = report(0, &[(1, HOUR), (5, HOUR)]);
        small.entities = 1_000;
        let all = report(1, &[(4, HOUR), (6, HOUR), (7, HOUR)]);
        assert_eq!(of(&[small, all]).compared, 3);
    }
}
