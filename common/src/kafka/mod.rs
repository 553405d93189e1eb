//! The Kafka client's configuration.
