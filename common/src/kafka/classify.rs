//! What an error of the Kafka client means, and what to do about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaConfRes;

use crate::KolError;

/// Classifies an error of the Kafka client: where the operator must act, and whether trying again helps.
pub fn classify(error: &KafkaError) -> KolError {
    use RDKafkaErrorCode as E;
    let Some(code) = error.rdkafka_error_code() else {
        // The value of a property may be a secret.
        let what = match error {
            KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
                format!("the Kafka client has no property `{name}`")
            }
            KafkaError::ClientConfig(_, _, name, _) => {
                format!("the Kafka client does not take the value of property `{name}`")
            }
            _ => format!("Kafka client: {error}"),
        };
        return KolError::user("SOURCE_CONFIG", what).help("Check [source] and its properties.");
    };
    let detail = |what: &str| format!("{what} ({code})");
    match code {
        E::BrokerTransportFailure
        | E::AllBrokersDown
        | E::Resolve
        | E::OperationTimedOut
        | E::RequestTimedOut
        | E::MessageTimedOut
        | E::NetworkException
        | E::BrokerNotAvailable
        | E::LeaderNotAvailable
        | E::NotLeaderForPartition => {
            KolError::external("SOURCE_UNREACHABLE", detail("Kafka cannot be reached")).help(
                "Start the brokers or correct source.bootstrap; reading then resumes by itself.",
            )
        }
        E::UnknownTopic | E::UnknownTopicOrPartition | E::UnknownPartition => {
            KolError::external("TOPIC_NOT_FOUND", detail("no such topic or partition"))
                .help("Create the topic or correct source.topics; the job then starts by itself.")
        }
        E::Authentication | E::SaslAuthenticationFailed | E::SecurityDisabled => {
            KolError::external("SOURCE_AUTH", detail("Kafka refuses the login"))
                .help("Check source.properties (security.protocol, sasl.*) and the secrets.")
        }
        E::TopicAuthorizationFailed
        | E::GroupAuthorizationFailed
        | E::ClusterAuthorizationFailed => {
            KolError::external("SOURCE_DENIED", detail("Kafka denies access"))
                .help("Give the user the right to read and describe the topics of the job.")
        }
        E::OffsetOutOfRange | E::AutoOffsetReset => KolError::external(
            "SOURCE_OFFSET_GONE",
            detail("the log no longer has the offset"),
        ),
        E::MessageSizeTooLarge | E::InvalidMessageSize => {
            KolError::external("SOURCE_MESSAGE_SIZE", detail("a record is too large"))
                .help("Raise max.message.bytes of the topic.")
        }
        E::QueueFull => KolError::external("SOURCE_BUSY", detail("the producer queue is full")),
        _ => KolError::external("SOURCE_ERROR", detail("Kafka answers with an error"))
            .help("See the log of the brokers."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_down_and_a_missing_topic_have_different_codes() {
        let down = classify(&KafkaError::MetadataFetch(
            RDKafkaErrorCode::BrokerTransportFailure,
        ));
        assert_eq!((down.code, down.retryable), ("SOURCE_UNREACHABLE", true));
        let topic = classify(&KafkaError::MetadataFetch(
            RDKafkaErrorCode::UnknownTopicOrPartition,
        ));
        assert_eq!(topic.code, "TOPIC_NOT_FOUND");
        let config = classify(&KafkaError::Nul(
            std::ffi::CString::new(b"a\0b".to_vec()).unwrap_err(),
        ));
        assert!(!config.retryable);
    }

    #[test]
    fn a_property_that_is_refused_is_named_without_its_value() {
        for (name, value) in [
            ("security.protocol", "s3cret"),
            ("no.such.property", "s3cret"),
        ] {
            let mut config = rdkafka::ClientConfig::new();
            let refused = config.set(name, value).create_native_config();
            let error = classify(&refused.err().expect("it is refused"));
            assert_eq!(error.code, "SOURCE_CONFIG");
            assert!(error.message.contains(name), "{error}");
            assert!(!error.to_string().contains(value), "{error}");
        }
    }
}
