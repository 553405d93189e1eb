//! Which state a job may take over, and as what.

use kol_common::job::{JobSpec, StartingOffsets};
use kol_common::proto::{Manifest, PartitionCheckpoint, Snapshot};
use kol_common::{JobId, KolError, SourcePartition};

use super::difference::differences;
use super::origin::Origin;
use super::record::{JobRecord, PartitionRecord};

/// Keys of the spec that the state depends on: another value needs another state.
const IN_THE_STATE: [&str; 6] = [
    "scoring.profile ",
    "scoring.counters ",
    "scoring.window ",
    "scoring.slide ",
    "scoring.half_life ",
    "scoring.default_platform ",
];

/// An [`Origin`] with what was looked up for it.
#[derive(Clone, Debug)]
pub enum Start {
    /// Without state, at these offsets.
    Offsets(StartingOffsets),
    /// With this state.
    State(Box<Manifest>),
    /// With the state that the manifest file of this folder describes: looked up together with Kafka.
    Folder(String),
}

/// What to look up for a job: where it begins, or, once it has begun, where partitions begin that came
/// later. `left` gives the state that another job left, in an epoch or in its last one.
///
/// # Errors
/// That state no longer exists.
pub fn next_start(
    record: &JobRecord,
    left: impl Fn(&JobId, Option<u64>) -> Option<Manifest>,
) -> Result<Start, KolError> {
    if record.generation > 0 {
        return Ok(Start::Offsets(StartingOffsets::Earliest));
    }
    let (id, epoch) = match &record.origin {
        Origin::Spec => {
            let offsets = record.spec.source.starting_offsets().clone();
            return Ok(Start::Offsets(offsets));
        }
        Origin::Offsets(offsets) => return Ok(Start::Offsets(offsets.clone())),
        Origin::Savepoint { location } => return Ok(Start::Folder(location.clone())),
        Origin::Job { id, epoch } => (id, *epoch),
    };
    let state = left(id, epoch).map(|state| Start::State(Box::new(state)));
    state.ok_or_else(|| {
        let what = format!("{} no longer exists", record.origin);
        KolError::user("EPOCH_NOT_FOUND", what)
            .help("Submit with --from-savepoint and a savepoint, or with --discard-state.")
    })
}

/// The state that a job of `spec` left: its epoch, or, when it has none, where it had begun to read.
pub fn state_left(
    spec: &JobSpec,
    partitions: &[PartitionRecord],
    epoch: Option<&Manifest>,
) -> Manifest {
    let mut manifest = epoch.cloned().unwrap_or_else(|| Manifest {
        partitions: partitions.iter().map(unread).collect(),
        ..Manifest::default()
    });
    for partition in &mut manifest.partitions {
        if partition.location.is_empty() {
            spec.checkpoint.location.clone_into(&mut partition.location);
        }
    }
    manifest
}

fn unread(partition: &PartitionRecord) -> PartitionCheckpoint {
    PartitionCheckpoint {
        partition: Some((&partition.partition).into()),
        offset: partition.start_offset,
        topic_id: partition
            .topic_id
            .map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
        start_offset: partition.from_log.then_some(partition.start_offset),
        ..PartitionCheckpoint::default()
    }
}

/// The partitions of a state as those of a new job. Redis has nothing of the new generation yet: everything
/// is sent again.
pub fn inherited(state: &Manifest, partitions: &[PartitionRecord]) -> Vec<PartitionCheckpoint> {
    let of = |record: &PartitionRecord| {
        let mut states = state.partitions.iter();
        let found = states.find(|p| name_of(p).as_ref() == Some(&record.partition));
        found.map(|p| PartitionCheckpoint {
            ordinal: record.ordinal,
            assignment_epoch: 0,
            lineage: 0,
            sequence: 0,
            confirmed_as_of: None,
            written_bytes: 0,
            pause_us: 0,
            durable_ms: 0,
            confirmed_ms: 0,
            copied_ms: None,
            ..p.clone()
        })
    };
    partitions.iter().filter_map(of).collect()
}

/// The partition that a part of an epoch is of.
pub fn name_of(checkpoint: &PartitionCheckpoint) -> Option<SourcePartition> {
    checkpoint.partition.clone().map(SourcePartition::from)
}

/// The spec in a manifest file of a folder.
///
/// # Errors
/// Another version wrote it.
pub fn spec_of(folder: &str, snapshot: &Snapshot) -> Result<JobSpec, KolError> {
    serde_json::from_str(&snapshot.spec_json).map_err(|e| {
        let what = format!("cannot read the spec in `{folder}`: {e}");
        KolError::user("STATE_DOES_NOT_FIT", what).help(format!(
            "kol {} wrote it: start that version.",
            snapshot.version
        ))
    })
}

/// Whether a job of the spec `new` can take over the state of one of the spec `old`.
///
/// # Errors
/// What cannot be changed without a new state, in words.
pub fn fits(old: &JobSpec, new: &JobSpec) -> Result<(), KolError> {
    let concerns = |difference: &String| IN_THE_STATE.iter().any(|k| difference.starts_with(k));
    let mut found: Vec<String> = differences(old, new).into_iter().filter(concerns).collect();
    let internal = |spec: &JobSpec| spec.rekey().map(|(_, topic)| topic);
    match (internal(old), internal(new)) {
        (None, None) => {
            let gone = old.source.topics().iter();
            let gone = gone.filter(|t| !new.source.topics().contains(t));
            found.extend(
                gone.map(|topic| format!("source.topics had `{topic}` and no longer has it")),
            );
        }
        (before, after) if before != after => {
            let which = |topic: Option<String>| match topic {
                Some(topic) => format!("the internal topic `{topic}`"),
                None => "source.topics".to_owned(),
            };
            found.push(format!(
                "source.rekey: it is of {}, and {} would be scored",
                which(before),
                which(after)
            ));
        }
        // What is scored is the same, whatever it is made of.
        _ => {}
    }
    if found.is_empty() {
        return Ok(());
    }
    let what = format!("the state does not fit the new spec: {}", found.join("; "));
    Err(KolError::user("STATE_DOES_NOT_FIT", what).job(&new.name).help(
        "Keep these keys, or give --discard-state with --replace: then the job starts without state at \
         its starting offsets.",
    ))
}

#[cfg(test)]
mod tests {
    use kol_common::Millis;
    use kol_common::job::SourceSpec;
    use kol_common::proto::{AsOf, StateFile};

    use super::super::cuts::Cuts;
    use super::*;
    use crate::testing::spec;

    fn record(ordinal: u32, number: u32) -> PartitionRecord {
        PartitionRecord {
            partition: SourcePartition::new("t", number),
            ordinal,
            start_offset: 5,
            from_log: true,
            topic_id: None,
            cuts: Cuts::default(),
            assignment_epoch: 9,
            owner: None,
            placed: None,
            last: None,
            has_position: false,
        }
    }

    #[test]
    fn weights_may_change_and_windows_may_not() {
        let (old, mut new) = (spec("a"), spec("a"));
        new.scoring.weights.market = 0.4;
        new.scoring.retire_after = Millis(1);
        new.sink.flush_interval = Millis(7);
        let SourceSpec::Kafka(source) = &mut new.source;
        source.topics.push("more".into());
        assert_eq!(fits(&old, &new), Ok(()));
        new.scoring.window = Millis(1);
        let SourceSpec::Kafka(source) = &mut new.source;
        source.topics.remove(0);
        let error = fits(&old, &new).unwrap_err();
        assert!(error.message.contains("scoring.window was 1day"), "{error}");
        assert!(error.message.contains("`kol.videos.raw`"), "{error}");
        assert!(!error.message.contains("weights"), "{error}");
    }

    #[test]
    fn a_state_is_matched_by_partition_and_nothing_in_it_counts_as_confirmed_by_redis() {
        let part = |number: u32| PartitionCheckpoint {
            partition: Some((&SourcePartition::new("t", number)).into()),
            ordinal: number,
            offset: 70,
            sequence: 3,
            confirmed_as_of: Some(AsOf::default()),
            files: vec![StateFile::default()],
            ..PartitionCheckpoint::default()
        };
        let state = Manifest {
            partitions: vec![part(0), part(1)],
            ..Manifest::default()
        };
        let mut other = spec("a");
        other.checkpoint.location = "file:///there".into();
        let state = state_left(&other, &[], Some(&state));
        let parts = inherited(&state, &[record(0, 1), record(1, 0), record(2, 2)]);
        let names: Vec<_> = parts
            .iter()
            .map(|p| (p.ordinal, name_of(p).unwrap().partition))
            .collect();
        assert_eq!(names, [(0, 1), (1, 0)], "the third partition is new");
        for part in &parts {
            assert_eq!(
                (part.sequence, part.confirmed_as_of, part.offset),
                (0, None, 70)
            );
            assert_eq!(part.location, "file:///there");
        }
    }

    #[test]
    fn a_job_without_an_epoch_leaves_the_offsets_at_which_it_began() {
        let state = state_left(&spec("a"), &[record(0, 0)], None);
        assert_eq!(
            (state.partitions[0].offset, state.partitions[0].files.len()),
            (5, 0)
        );
    }
}
