//! Why a partition went to where it is, as it is kept with the job and shown to people.

use kol_common::{ExecutorId, Millis};
use serde::{Deserialize, Serialize};

use super::load::FULL;

/// Why a partition went to where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// It had no owner.
    New,
    /// Its owner was lost, left, or did not come back to a master that was started again.
    Lost {
        /// Who owned it before.
        executor: ExecutorId,
    },
    /// It failed there.
    Failed {
        /// Who owned it when it failed.
        executor: ExecutorId,
        /// The code of the error.
        code: String,
    },
    /// Its owner may have no partitions: it leaves, or does not see the places of state files.
    Unfit {
        /// Who owned it before.
        executor: ExecutorId,
        /// Whether it leaves.
        leaves: bool,
    },
    /// A person moves the partitions of its owner away.
    Drained {
        /// Who owned it before.
        executor: ExecutorId,
    },
    /// To share the load.
    Balance {
        /// Who had it.
        executor: ExecutorId,
        /// How full that one was, in millionths.
        before: u64,
        /// How full this one was then with it.
        with: u64,
    },
}

/// When a partition was assigned to its owner, and why to that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// By the wall clock.
    pub at: Millis,
    /// Why it was assigned to this owner.
    #[serde(flatten)]
    pub cause: Cause,
}

/// The words of all causes, and that of one that is not on record.
pub const CAUSES: [&str; 8] = [
    "new", "lost", "failed", "leaving", "unfit", "drained", "balance", UNKNOWN,
];
/// Of a partition of which it is not on record why it is where it is.
pub const UNKNOWN: &str = "unknown";

impl Cause {
    /// A stable word: one of [`CAUSES`].
    pub fn word(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Lost { .. } => "lost",
            Self::Failed { .. } => "failed",
            Self::Unfit { leaves: true, .. } => "leaving",
            Self::Unfit { .. } => "unfit",
            Self::Drained { .. } => "drained",
            Self::Balance { .. } => "balance",
        }
    }

    /// For a person.
    pub fn sentence(&self) -> String {
        let least = "this one was the least full with it";
        match self {
            Self::New => format!("it had no owner, and {least}"),
            Self::Lost { executor } => format!("{executor} was lost, and {least}"),
            Self::Failed { executor, code } => {
                format!("it failed on {executor} ({code}), and of the others {least}")
            }
            Self::Unfit {
                executor,
                leaves: true,
            } => format!("{executor} leaves, and {least}"),
            Self::Unfit { executor, .. } => {
                format!("{executor} does not see the checkpoint root, and {least}")
            }
            Self::Drained { executor } => format!("{executor} is drained, and {least}"),
            Self::Balance {
                executor,
                before,
                with,
            } => format!(
                "{executor} was {} full, and this one {} with it",
                percent(*before),
                percent(*with)
            ),
        }
    }
}

/// A load as people read it.
pub fn percent(ppm: u64) -> String {
    format!("{:.1} %", ppm as f64 * 100.0 / FULL as f64)
}
