//! Names of things, as newtypes: a job id cannot be passed where an executor id is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::world;

/// Low bits of an id that keep it apart from others: what is above them orders ids by time.
const RANDOM_BITS: u32 = 80;
const LOW: u128 = (1 << RANDOM_BITS) - 1;

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

            /// A new one that sorts after `last` as well, whatever became of the wall clock since that was made.
            pub fn generate_after(last: Option<&Self>) -> Self {
                let new = Self::generate();
                match last {
                    Some(last) if new <= *last => {
                        let after = last.number().saturating_add(1 << RANDOM_BITS);
                        let id = uuid::Uuid::from_u128(after & !LOW | new.number() & LOW);
                        Self(format!(concat!($prefix, "{}"), id.simple()))
                    }
                    _ => new,
                }
            }

            fn number(&self) -> u128 {
                let number = self.0.trim_start_matches($prefix);
                u128::from_str_radix(number, 16).unwrap_or(0)
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
    /// One state store of a master: `sto_…`. A master with a new store continues as the cluster that its
    /// checkpoint root is marked with, and knows none of the jobs there were.
    StoreId,
    "sto_"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_the_last_one_also_when_the_clock_went_back() {
        let earlier = JobId::generate();
        let later = JobId::from_wire("job_fffffffff00070008000000000000000");
        assert!(earlier < later);
        let next = JobId::generate_after(Some(&later));
        assert!(next > later, "{next}");
        let another = JobId::generate_after(Some(&later));
        assert_ne!(next, another);
        assert!(JobId::generate_after(Some(&next)) > next);
        assert!(JobId::generate_after(Some(&earlier)) > earlier);
    }
}
