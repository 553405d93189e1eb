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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::ELSEWHERE;

    #[test]
    fn a_password_is_read_for_listed_brokers_only_and_a_user_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("k"), "hunter2").unwrap();
        std::fs::write(folder.path().join("k.hosts"), "kafka-1 kafka-2:9093").unwrap();
        let secrets = Secrets::new(Some(folder.path().to_owned()));
        let config = |bootstrap: &str, key: &str| {
            let source = KafkaSource {
                bootstrap: bootstrap.to_owned(),
                properties: [(key.to_owned(), "file:k".to_owned())].into(),
                ..KafkaSource::default()
            };
            client_config(&source, &secrets, "test")
        };
        let good = config("kafka-1:9092,SASL_SSL://kafka-2:9093", "sasl.password").unwrap();
        assert_eq!(good.get("sasl.password"), Some("hunter2"));
        for elsewhere in [
            "kafka-1:9092,evil:9092",
            "kafka-2:9092",
            "PLAINTEXT://evil://kafka-1:1",
        ] {
            let error = config(elsewhere, "sasl.password").unwrap_err();
            assert_eq!(error.code, ELSEWHERE, "{elsewhere}");
        }
        for key in ["sasl.username", "client.rack", "ssl.ca.pem"] {
            let error = config("kafka-1:9092", key).unwrap_err();
            assert_eq!(error.code, "SECRET_REFERENCE", "{key}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
