//! The Kafka client for asking: what goes wrong is in the answers to what was asked, once and in words,
//! not in lines of the client's own.

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext};

use super::classify;
use crate::KolError;

/// A consumer that does not talk by itself.
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

/// Makes one; it connects when it is first asked for something.
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
