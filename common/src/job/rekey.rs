//! The stage of a job that re-keys its input: see `docs/protocol/rekeying.md`.

use serde::{Deserialize, Serialize};

use crate::Millis;

const DAY: u64 = 24 * 3_600_000;

/// Where the first stage of a job writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RekeySpec {
    /// Partitions of the internal topic.
    pub partitions: u32,
    /// Its name; `None` = [`RekeySpec::topic_of`] says it.
    pub topic: Option<String>,
    /// How long brokers keep its records.
    pub retention: Millis,
}

impl Default for RekeySpec {
    fn default() -> Self {
        Self {
            partitions: 32,
            topic: None,
            retention: Millis(7 * DAY),
        }
    }
}

impl RekeySpec {
    /// Name of the internal topic of a job.
    pub fn topic_of(&self, job: &str) -> String {
        let own = self.topic.clone();
        own.unwrap_or_else(|| format!("kol-rekey.{job}"))
    }
}
