//! Records that cannot be used go to a topic of their own, as they came, with their origin in the
//! headers: `kol-reason`, `kol-topic`, `kol-partition`, `kol-offset`.

use std::time::Duration;

use kol_common::job::SourceSpec;
use kol_common::kafka::{classify, client_config};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

/// How long a full producer queue may hold a partition up.
const ROOM_DEADLINE: Duration = Duration::from_secs(10);

/// Producer for a job's dead-letter topic.
#[derive(Clone)]
pub struct DeadLetters {
    topic: String,
    producer: ThreadedProducer<DefaultProducerContext>,
}

/// A record that cannot be used.
#[derive(Clone, Copy, Debug)]
pub struct Rejected<'a> {
    /// Where it stands.
    pub offset: u64,
    /// Its key as it came.
    pub key: Option<&'a [u8]>,
    /// Its value as it came.
    pub value: Option<&'a [u8]>,
    /// Why.
    pub reason: &'static str,
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl DeadLetters {
    /// For a spec that names a dead-letter topic; `None` for one that does not.
    ///
    /// # Errors
    /// Properties that librdkafka refuses, secrets that are missing.
    pub fn start(spec: &SourceSpec, secrets: &Secrets) -> Result<Option<Self>, KolError> {
        let Some(topic) = spec.dead_letter.clone() else {
            return Ok(None);
        };
        let mut config = client_config(spec, secrets, "kol-dead-letters")?;
        config
            .set("message.max.bytes", "16777216")
            .set("queue.buffering.max.kbytes", "65536");
        let producer = config.create().map_err(|e| classify(&e))?;
        Ok(Some(Self { topic, producer }))
    }

    /// Hands a record to the producer; waits a bounded time when its queue is full.
    ///
    /// # Errors
    /// The record is not accepted, for example because the broker is away for long.
    pub async fn send(
        &self,
        origin: &SourcePartition,
        rejected: &Rejected<'_>,
    ) -> Result<(), KolError> {
        let deadline = tokio::time::Instant::now() + ROOM_DEADLINE;
        loop {
            match self.try_send(origin, rejected) {
                Ok(()) => return Ok(()),
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
                    if tokio::time::Instant::now() < deadline =>
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(e) => {
                    return Err(classify(&e).partition(origin).offset(rejected.offset));
                }
            }
        }
    }

    fn try_send(
        &self,
        origin: &SourcePartition,
        rejected: &Rejected<'_>,
    ) -> Result<(), KafkaError> {
        let partition = origin.partition.to_string();
        let offset = rejected.offset.to_string();
        let headers = [
            ("kol-reason", rejected.reason),
            ("kol-topic", &origin.topic),
            ("kol-partition", &partition),
            ("kol-offset", &offset),
        ]
        .into_iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        });
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).headers(headers);
        record.key = rejected.key;
        record.payload = rejected.value;
        self.producer.send(record).map_err(|(e, _)| e)
    }

    /// Waits until the broker has what was handed over.
    pub async fn flush(&self, deadline: Duration) {
        let producer = self.producer.clone();
        let flushed = tokio::task::spawn_blocking(move || producer.flush(deadline)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!(topic = %self.topic, "some dead letters may not have been written");
        }
    }
}
