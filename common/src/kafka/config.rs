//! From a job spec to the configuration of librdkafka.

use rdkafka::ClientConfig;

use super::log_to_context;
use crate::KolError;
use crate::job::{KafkaSource, Refers, SecretRef, brokers_of, is_reference, property_refers};
use crate::secrets::Secrets;

/// Configuration for any client of a job's Kafka. `client_id` is what brokers log.
///
/// # Errors
/// A secret that a property refers to is missing, or may not be sent to the brokers.
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
        if !is_reference(value) {
            config.set(key, value);
            continue;
        }
        let reference = SecretRef(value.clone());
        let secret = match property_refers(key) {
            Some(Refers::Secret) => secrets.resolve(&reference, &brokers_of(source))?,
            Some(Refers::Certificate) => secrets.certificate(&reference)?,
            None => {
                let what = format!("the property `{key}` is not a secret and cannot refer to one");
                return Err(KolError::user("SECRET_REFERENCE", what).help("Write its value."));
            }
        };
        config.set(key, secret);
    }
    Ok(config)
}
