//! Whether the brokers that a cluster names may have the secrets of a source.

use rdkafka::metadata::Metadata;

use crate::KolError;
use crate::job::{KafkaSource, Refers, SecretRef, is_reference, property_refers};
use crate::secrets::Secrets;

/// Whether brokers are shown a secret.
pub fn shows_secrets(source: &KafkaSource) -> bool {
    secrets_of(source).next().is_some()
}

fn secrets_of(source: &KafkaSource) -> impl Iterator<Item = SecretRef> {
    let properties = source.properties.iter();
    let secrets = properties
        .filter(|(key, value)| property_refers(key) == Some(Refers::Secret) && is_reference(value));
    secrets.map(|(_, value)| SecretRef(value.clone()))
}

/// Checks all brokers of an answer. The client logs in at each of them when it needs it: this comes before
/// the first request that needs another broker than those that the spec names.
///
/// # Errors
/// `SECRET_HOST`: one may not have a secret.
pub fn check_brokers(
    source: &KafkaSource,
    secrets: &Secrets,
    metadata: &Metadata,
) -> Result<(), KolError> {
    let brokers = metadata.brokers().iter();
    let places = brokers.map(|broker| format!("{}:{}", broker.host(), broker.port()));
    check_places(source, secrets, &places.collect::<Vec<_>>())
}

fn check_places(
    source: &KafkaSource,
    secrets: &Secrets,
    places: &[String],
) -> Result<(), KolError> {
    for secret in secrets_of(source) {
        let binding = secrets.binding(&secret)?;
        for place in places {
            binding.check(place).map_err(|mut error| {
                error.message = format!("the brokers name themselves otherwise: {}", error.message);
                error
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::ELSEWHERE;

    #[test]
    fn a_broker_under_another_name_needs_a_place_in_the_list_of_each_secret() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("k.hosts"), "kafka:9092").unwrap();
        let secrets = Secrets::new(Some(folder.path().to_owned()));
        let mut source = KafkaSource::default();
        let strange = ["kafka:9092".to_owned(), "b-7.internal:9092".to_owned()];
        check_places(&source, &secrets, &strange).unwrap();
        assert!(!shows_secrets(&source));
        let password = ("sasl.password".to_owned(), "file:k".to_owned());
        source.properties.extend([password]);
        assert!(shows_secrets(&source));
        check_places(&source, &secrets, &strange[..1]).unwrap();
        let error = check_places(&source, &secrets, &strange).unwrap_err();
        assert_eq!(error.code, ELSEWHERE);
        assert!(error.message.contains("b-7.internal:9092"), "{error}");
    }
}
