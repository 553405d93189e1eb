//! Where a job's first state comes from. Each job has one generation: a rewind, a changed scoring or a
//! start from a savepoint is a new job of the same name, which waits for the one before it to end.

use std::fmt;

use kol_common::JobId;
use kol_common::job::StartingOffsets;
use serde::{Deserialize, Serialize};

/// Where a job begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Without state, at the starting offsets of its spec.
    #[default]
    Spec,
    /// Without state, at other offsets.
    Offsets(StartingOffsets),
    /// With the state of another job that is over by then.
    Job {
        /// The job that had it.
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

impl Origin {
    /// Whether the log alone gives the state, from the starting offsets on.
    pub fn is_the_log(&self) -> bool {
        matches!(self, Self::Spec | Self::Offsets(_))
    }
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
