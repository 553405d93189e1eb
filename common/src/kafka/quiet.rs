//! A Kafka client for requests: its errors are in the responses, classified, and not in log lines of the
//! client's own.

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext};

use super::classify;
use crate::KolError;

/// A consumer that writes no log lines by itself.
pub type Consumer = BaseConsumer<Quiet>;

/// Keeps librdkafka's callbacks out of the output.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the Kafka client reports");
    }
}

impl ConsumerContext for Quiet {}

/// Creates one; it connects at its first request.
///
/// # Errors
/// librdkafka refuses the settings.
pub fn consumer(mut config: ClientConfig) -> Result<Consumer, KolError> {
    quiet(&mut config)
        .create_with_context(Quiet)
        .map_err(|e| classify(&e))
}

/// No lines of librdkafka's own, neither while the client is made nor later.
pub fn quiet(config: &mut ClientConfig) -> &mut ClientConfig {
    config
        .set("log_level", "0")
        .set_log_level(RDKafkaLogLevel::Emerg)
}
