//! Where the events of a job come from.

use serde::{Deserialize, Serialize};

use super::spec::{KafkaSource, OnDataLoss, StartingOffsets};
use crate::Millis;
use crate::event::{Explode, Field, FieldPath, Layout, UsernameCase};

/// The source of a job, by kind. In a spec the only kind needs no name: `[source]` has the keys of
/// [`KafkaSource`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "KafkaSource", into = "KafkaSource")]
pub enum SourceSpec {
    /// Topics of a Kafka cluster.
    Kafka(KafkaSource),
}

impl SourceSpec {
    /// The source, for those who can read Kafka only.
    pub fn kafka(&self) -> &KafkaSource {
        match self {
            Self::Kafka(kafka) => kafka,
        }
    }

    /// Names of the logs that are read.
    pub fn topics(&self) -> &[String] {
        &self.kafka().topics
    }

    /// Where a job without state starts.
    pub fn starting_offsets(&self) -> &StartingOffsets {
        &self.kafka().starting_offsets
    }

    /// What to do when records are gone from the log before they were read.
    pub fn on_data_loss(&self) -> OnDataLoss {
        self.kafka().on_data_loss
    }

    /// How far ahead of the present an event may lie.
    pub fn max_ahead(&self) -> Millis {
        self.kafka().max_ahead
    }

    /// Events a second and partition; 0 = as fast as possible.
    pub fn max_rate_per_partition(&self) -> u64 {
        self.kafka().max_rate_per_partition
    }

    /// Whether late events are dead letters.
    pub fn dead_letter_late(&self) -> bool {
        self.kafka().dead_letter_late
    }
}

impl Default for SourceSpec {
    fn default() -> Self {
        Self::Kafka(KafkaSource::default())
    }
}

impl From<KafkaSource> for SourceSpec {
    fn from(kafka: KafkaSource) -> Self {
        Self::Kafka(kafka)
    }
}

impl From<SourceSpec> for KafkaSource {
    fn from(source: SourceSpec) -> Self {
        match source {
            SourceSpec::Kafka(kafka) => kafka,
        }
    }
}

impl Layout for SourceSpec {
    fn paths(&self, field: Field) -> Vec<FieldPath> {
        self.kafka().paths(field)
    }

    fn explode(&self) -> Option<&Explode> {
        Layout::explode(self.kafka())
    }

    fn username_case(&self) -> UsernameCase {
        Layout::username_case(self.kafka())
    }
}

impl Layout for KafkaSource {
    fn paths(&self, field: Field) -> Vec<FieldPath> {
        Self::paths(self, field)
    }

    fn explode(&self) -> Option<&Explode> {
        self.explode.as_ref()
    }

    fn username_case(&self) -> UsernameCase {
        self.username_case
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_source_has_the_keys_of_kafka_and_no_others() {
        let stored = serde_json::to_value(SourceSpec::default()).unwrap();
        let kafka = serde_json::to_value(KafkaSource::default()).unwrap();
        assert_eq!(stored, kafka);
        let read: SourceSpec = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(read, SourceSpec::default());
        let mut unknown = stored;
        unknown["shards"] = 3.into();
        let error = serde_json::from_value::<SourceSpec>(unknown).unwrap_err();
        assert!(error.to_string().contains("shards"), "{error}");
    }
}
