//! From a job spec to the configuration of librdkafka.

use rdkafka::ClientConfig;

use super::log_to_context;
use crate::KolError;
use crate::job::{KafkaSource, SecretRef};
use crate::secrets::Secrets;

/// Configuration for any client of a job's Kafka. `client_id` is what brokers log.
///
/// # Errors
/// A secret that a property refers to is missing.
pub fn client_config(
    source: &KafkaSource,
    secrets: &Secrets,
    client_id: &str,
) -> Result<ClientConfig, KolError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &source.bootstrap)
        .set("client.id", client_id)
        .set("group.id", &source.group_id)
        .set("allow.auto.create.topics", "false")
        .set("enable.auto.commit", "false")
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        .set("topic.metadata.refresh.interval.ms", "30000");
    log_to_context(&mut config);
    for (key, value) in &source.properties {
        let is_reference = value.starts_with("env:") || value.starts_with("file:");
        if is_reference {
            let secret = secrets.resolve(&SecretRef(value.clone()))?;
            config.set(key, secret);
        } else {
            config.set(key, value);
        }
    }
    Ok(config)
}
