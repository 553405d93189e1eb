//! Alerts as records of a topic: the key is the idempotency key, the value is JSON, and the headers `kol-job`, `kol-rule` and
//! `kol-test` say what one is without reading it.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use super::destination::{Destination, Failure, Means};
use super::message::Alert;
use crate::KolError;
use crate::job::KafkaSource;
use crate::kafka::{Ends, Owned, Reasons, classify, client_config};
use crate::secrets::Secrets;

/// How long the client tries to write an alert.
const DEADLINE: Duration = Duration::from_secs(20);

/// See the module.
pub struct Topic {
    name: String,
    reasons: Reasons,
    producer: Owned<FutureProducer<Reasons>>,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Topic {
    /// A topic of the cluster of a job.
    ///
    /// # Errors
    /// Properties that librdkafka refuses, secrets that are missing.
    pub fn open(
        name: &str,
        source: &KafkaSource,
        secrets: &Secrets,
        ends: &Ends,
    ) -> Result<Self, KolError> {
        let config = config(source, secrets)?;
        let reasons = Reasons::of(&config);
        let producer = config.create_with_context(reasons.clone());
        let producer = producer.map_err(|error: KafkaError| classify(&error))?;
        Ok(Self {
            name: name.to_owned(),
            reasons,
            producer: ends.own(producer),
        })
    }

    async fn send(&self, alert: Alert) -> Result<(), Failure> {
        let value = alert.json();
        let is_test = if alert.test { "true" } else { "false" };
        let headers = [
            ("kol-job", alert.job.as_str()),
            ("kol-rule", alert.rule.as_str()),
            ("kol-test", is_test),
        ];
        let headers = headers
            .into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                let value = Some(value);
                headers.insert(Header { key, value })
            });
        let record = FutureRecord::to(&self.name)
            .key(&alert.key)
            .payload(&value)
            .headers(headers);
        let sent = self.producer.send(record, Timeout::After(DEADLINE)).await;
        match sent {
            Ok(_) => {
                self.reasons.clear();
                Ok(())
            }
            Err((error, _)) => Err(Failure {
                means: match is_too_large(&error) {
                    true => Means::Never,
                    false => Means::Down,
                },
                error: of_alerts(&self.name, self.reasons.classify(&error)),
            }),
        }
    }
}

/// What a job reads it needs to run; its alerts wait.
fn of_alerts(topic: &str, error: KolError) -> KolError {
    if error.code != "TOPIC_NOT_FOUND" {
        return error;
    }
    let what = format!("there is no topic `{topic}` for alerts");
    KolError::external("TOPIC_NOT_FOUND", what)
        .help("Create the topic or correct alerts.topic; alerts wait until then, and the job runs.")
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

/// Says more than the spec may: that an alert arrived must be true, and what became of it known in time.
fn config(source: &KafkaSource, secrets: &Secrets) -> Result<ClientConfig, KolError> {
    let mut config = client_config(source, secrets, "kol-alerts")?;
    // Other names of what is set below: of two the client takes either.
    for alias in ["delivery.timeout.ms", "request.required.acks"] {
        config.remove(alias);
    }
    config
        .set("message.timeout.ms", DEADLINE.as_millis().to_string())
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("delivery.report.only.error", "false")
        // Half a minute by default, in which a missing topic would not be reported.
        .set("topic.metadata.propagation.max.ms", "5000");
    Ok(config)
}

impl Destination for Topic {
    fn deliver(&self, alert: Alert) -> BoxFuture<'_, Result<(), Failure>> {
        self.send(alert).boxed()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::Message as _;
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::message::Headers as _;
    use rdkafka::mocking::MockCluster;
    use rdkafka::{Offset, TopicPartitionList};

    use super::super::message::Raised;
    use super::*;

    fn source(bootstrap: &str) -> KafkaSource {
        KafkaSource {
            bootstrap: bootstrap.to_owned(),
            properties: [("acks".to_owned(), "0".to_owned())].into(),
            ..KafkaSource::default()
        }
    }

    fn alert() -> Alert {
        let raised = Raised {
            rule: "viral".into(),
            platform: "tiktok".into(),
            kol: "ann".into(),
            window_end: "2026-11-27T05:00:00.000Z".into(),
            raised_at: String::new(),
            trending_label: "Viral".into(),
            trending_score: "83.2".into(),
            velocity: "1".into(),
            personal_growth: "1".into(),
            event_count: "1".into(),
            total_engagement: "1".into(),
            rank: None,
            rank_before: None,
        };
        raised.of_job("kol")
    }

    #[test]
    fn an_alert_is_confirmed_by_all_replicas_whatever_the_spec_says() {
        let config = config(&source("127.0.0.1:1"), &Secrets::default()).unwrap();
        assert_eq!(config.get("acks"), Some("all"));
        assert_eq!(config.get("enable.idempotence"), Some("true"));
    }

    #[test]
    fn a_topic_of_alerts_that_is_missing_is_named_with_its_own_key() {
        let missing = KafkaError::MessageProduction(RDKafkaErrorCode::UnknownTopic);
        let error = of_alerts("kol-alerts", classify(&missing));
        assert_eq!(error.code, "TOPIC_NOT_FOUND");
        let text = error.to_string();
        assert!(text.contains("`kol-alerts`"), "{text}");
        assert!(
            text.contains("correct alerts.topic") && !text.contains("source.topics"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_alert_is_a_record_with_its_idempotency_key() {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic("alerts", 1, 1).unwrap();
        let bootstrap = kafka.bootstrap_servers();
        let topic = Topic::open(
            "alerts",
            &source(&bootstrap),
            &Secrets::default(),
            &Ends::default(),
        );
        let alert = alert();
        topic.unwrap().deliver(alert.clone()).await.unwrap();
        let reader: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "g")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        all.add_partition_offset("alerts", 0, Offset::Beginning)
            .unwrap();
        reader.assign(&all).unwrap();
        let record = crate::world::blocking(move || {
            // What comes first may be news of the client.
            let polls = (0..30).map(|_| reader.poll(Duration::from_secs(1)));
            let record = polls.flatten().next().expect("a record");
            record.unwrap().detach()
        });
        let record = record.await.unwrap();
        assert_eq!(record.key(), Some(alert.key.as_bytes()));
        let read: Alert = serde_json::from_slice(record.payload().unwrap()).unwrap();
        assert_eq!(read, alert);
        let headers = record.headers().unwrap();
        let names: Vec<_> = headers.iter().map(|header| header.key.to_owned()).collect();
        assert_eq!(names, ["kol-job", "kol-rule", "kol-test"]);
    }
}
