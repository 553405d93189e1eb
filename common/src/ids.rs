//! Names of things, as newtypes: a job id cannot be passed where an executor id is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::world;

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new one; ids made later sort later.
            pub fn generate() -> Self {
                Self(format!(concat!($prefix, "{}"), world::ordered_id().simple()))
            }

            /// An id that came over the wire or from the store.
            pub fn from_wire(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// Whether a text has the form of one.
            pub fn is_one(text: &str) -> bool {
                let plain = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
                text.strip_prefix($prefix).is_some_and(plain)
            }

            /// With its prefix, as people see it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

prefixed_id!(
    /// One submitted job: `job_…`. A job that is submitted again under the same name gets a new id.
    JobId,
    "job_"
);
prefixed_id!(
    /// One master's state store and all that belongs to it: `clu_…`. Never changes.
    ClusterId,
    "clu_"
);
prefixed_id!(
    /// A job's state that a person chose to keep: `sav_…`.
    SavepointId,
    "sav_"
);
prefixed_id!(
    /// What the master calls an executor: `exe_…`. New for each incarnation.
    ExecutorId,
    "exe_"
);
prefixed_id!(
    /// One life of an executor process, chosen by the process itself.
    Incarnation,
    "inc_"
);

/// One Kafka topic-partition: the unit of assignment, checkpoint, failure and move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourcePartition {
    /// Topic name as Kafka has it.
    pub topic: String,
    /// Partition number within the topic.
    pub partition: u32,
}

impl SourcePartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<String>, partition: u32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

impl From<crate::proto::SourcePartition> for SourcePartition {
    fn from(p: crate::proto::SourcePartition) -> Self {
        Self::new(p.topic, p.partition)
    }
}

impl From<&SourcePartition> for crate::proto::SourcePartition {
    fn from(p: &SourcePartition) -> Self {
        Self {
            topic: p.topic.clone(),
            partition: p.partition,
        }
    }
}
