//! Kafka clients for requests: their errors are in the responses, classified, with the client's own
//! reason, and not in log lines of the client's own.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use tokio::time::Instant;

use super::classify;
use super::reasons::{Reasons, is_unexplained};
use crate::KolError;

/// Longest time that a failed request waits for the client's reason: a name service may be slow.
const REASON: Duration = Duration::from_secs(5);
/// How long one look at what the client reports takes.
const LOOK: Duration = Duration::from_millis(5);
/// Most errors taken in one look.
const MOST_ERRORS: usize = 100;

/// A consumer that keeps what its client says of brokers that it cannot use.
pub type Consumer = BaseConsumer<Reasons>;

/// Creates one; it connects at its first request.
///
/// # Errors
/// librdkafka refuses the settings.
pub fn consumer(mut config: ClientConfig) -> Result<Consumer, KolError> {
    let reasons = Reasons::of(&config);
    log_to_context(&mut config)
        .create_with_context(reasons)
        .map_err(|e| classify(&e))
}

/// The client's log goes to its context: enough of it to know why a connection failed.
pub fn log_to_context(config: &mut ClientConfig) -> &mut ClientConfig {
    config
        .set("log_level", "6")
        .set_log_level(RDKafkaLogLevel::Info)
}

/// Serves what the client reports to its [`Reasons`]. For clients without an assignment, or one whose
/// partitions have queues of their own: records in the common queue would be dropped.
pub fn serve(consumer: &Consumer) {
    for _ in 0..MOST_ERRORS {
        if consumer.poll(LOOK).is_none() {
            return;
        }
    }
}

/// What an error of a request means, with the reason that the client gave or gives within seconds. See
/// [`serve`].
pub fn failure(consumer: &Consumer, error: &KafkaError) -> KolError {
    let reasons = consumer.context();
    let deadline = Instant::now() + REASON;
    loop {
        serve(consumer);
        let error = classify(error);
        if let Some(reason) = reasons.why(&error) {
            return reason;
        }
        if !is_unexplained(&error) || Instant::now() >= deadline {
            return reasons.unexplained(error);
        }
    }
}
