//! Where the state files of a job are.

use super::fleet::Place;
use super::ownership::Partitions;
use super::record::JobRecord;
use crate::checkpoint::Coordinator;

/// Where the state files of a job are: its checkpoint root, and what it resumes from.
pub(super) fn places<'a>(
    record: &'a JobRecord,
    partitions: &Partitions,
    epochs: &'a Coordinator,
) -> Vec<Place<'a>> {
    let records = partitions.iter().map(|p| &p.record);
    let states = records.filter_map(|p| p.cuts.choose(epochs.usable(p.ordinal)));
    let elsewhere = states.map(|(_, checkpoint)| Place {
        location: &checkpoint.location,
        folder: "",
    });
    let mut places = vec![Place {
        location: &record.spec.checkpoint.location,
        folder: record.id.as_str(),
    }];
    places.extend(elsewhere.filter(|place| !place.location.is_empty()));
    places.sort_unstable();
    places.dedup();
    places
}
