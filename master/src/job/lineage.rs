//! Where a job's first state comes from. Each job has one generation: a rewind, a changed scoring or a
//! start from a savepoint is a new job of the same name, which waits for the one before it to end.

use std::fmt;

use kol_common::job::{JobSpec, StartingOffsets};
use kol_common::proto::{Manifest, PartitionCheckpoint, Snapshot};
use kol_common::{JobId, KolError, SourcePartition};
use serde::{Deserialize, Serialize};

use super::difference::differences;
use super::record::PartitionRecord;

/// Keys of the spec that the state depends on: another value needs another state.
const IN_THE_STATE: [&str; 6] = [
    "scoring.profile ",
    "scoring.counters ",
    "scoring.window ",
    "scoring.slide ",
    "scoring.half_life ",
    "scoring.default_platform ",
];

/// Where a job begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Without state, at the starting offsets of its spec.
    #[default]
    Spec,
    /// Without state, elsewhere.
    Offsets(StartingOffsets),
    /// With the state of another job that is over by then.
    Job {
        /// Which.
        id: JobId,
        /// In this epoch; in the last one, if none is named.
        epoch: Option<u64>,
    },
    /// With the state that a manifest file describes.
    Savepoint {
        /// Folder of the file.
        location: String,
    },
}

impl fmt::Display for Origin {
    /// For people; nothing for a job that began as its spec says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec => Ok(()),
            Self::Offsets(StartingOffsets::Timestamp(time)) => {
                write!(f, "no state, and the records from {} on", time.iso())
            }
            Self::Offsets(StartingOffsets::Earliest) => write!(f, "no state, and the whole log"),
            Self::Offsets(_) => write!(f, "no state, and given offsets"),
            Self::Job { id, epoch: None } => write!(f, "the last epoch of {id}"),
            Self::Job {
                id,
                epoch: Some(epoch),
            } => write!(f, "epoch {epoch} of {id}"),
            Self::Savepoint { location } => write!(f, "the savepoint in {location}"),
        }
    }
}

/// An [`Origin`] with what was looked up for it.
#[derive(Clone, Debug)]
pub enum Start {
    /// Without state.
    Offsets(StartingOffsets),
    /// With this state.
    State(Box<Manifest>),
    /// With the state that the manifest file of this folder describes.
    Folder(String),
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
        ..PartitionCheckpoint::default()
    }
}

/// The partitions of a state as those of a new job. Redis knows nothing of the new generation: all is
/// sent again.
pub fn inherited(state: &Manifest, partitions: &[PartitionRecord]) -> Vec<PartitionCheckpoint> {
    let of = |record: &PartitionRecord| {
        let mut states = state.partitions.iter();
        let found = states.find(|p| name_of(p).as_ref() == Some(&record.partition));
        found.map(|p| PartitionCheckpoint {
            slot: record.slot,
            assignment_epoch: 0,
            sequence: 0,
            told: None,
            written_bytes: 0,
            pause_us: 0,
            durable_ms: 0,
            confirmed_ms: 0,
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

/// Whether the state of a job of the spec `old` can go on under the spec `new`.
///
/// # Errors
/// What cannot be changed without a new state, in words.
pub fn fits(old: &JobSpec, new: &JobSpec) -> Result<(), KolError> {
    let concerns = |difference: &String| IN_THE_STATE.iter().any(|k| difference.starts_with(k));
    let mut found: Vec<String> = differences(old, new).into_iter().filter(concerns).collect();
    let gone = old
        .source
        .topics()
        .iter()
        .filter(|t| !new.source.topics().contains(t));
    found.extend(gone.map(|topic| format!("source.topics had `{topic}` and has it no more")));
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
    use kol_common::proto::{StateFile, Told};

    use super::*;
    use crate::testing::spec;

    fn record(slot: u32, number: u32) -> PartitionRecord {
        PartitionRecord {
            partition: SourcePartition::new("t", number),
            slot,
            start_offset: 5,
            epoch: 9,
            owner: None,
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
    fn a_state_is_matched_by_partition_and_nothing_is_believed_of_redis() {
        let part = |number: u32| PartitionCheckpoint {
            partition: Some((&SourcePartition::new("t", number)).into()),
            slot: number,
            offset: 70,
            sequence: 3,
            told: Some(Told::default()),
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
            .map(|p| (p.slot, name_of(p).unwrap().partition))
            .collect();
        assert_eq!(names, [(0, 1), (1, 0)], "the third partition is new");
        for part in &parts {
            assert_eq!((part.sequence, part.told, part.offset), (0, None, 70));
            assert_eq!(part.location, "file:///there");
        }
    }

    #[test]
    fn a_job_without_an_epoch_is_gone_on_from_where_it_began() {
        let state = state_left(&spec("a"), &[record(0, 0)], None);
        assert_eq!(
            (state.partitions[0].offset, state.partitions[0].files.len()),
            (5, 0)
        );
    }
}
