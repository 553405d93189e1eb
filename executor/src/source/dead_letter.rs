//! Records that cannot be used go to a topic of their own, as they came, with their origin in the
//! headers: `kol-reason`, `kol-detail`, `kol-topic`, `kol-partition`, `kol-offset`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kol_common::event::Reject;
use kol_common::job::SourceSpec;
use kol_common::kafka::{Quiet, classify, client_config};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};

/// Producer for a job's dead-letter topic.
#[derive(Clone)]
pub struct DeadLetters {
    topic: String,
    deliveries: Deliveries,
    producer: ThreadedProducer<Deliveries>,
}

/// What became of the letters that were handed to the producer.
#[derive(Clone, Debug, Default)]
struct Deliveries(Arc<Mutex<Undelivered>>);

#[derive(Debug, Default)]
struct Undelivered {
    count: u64,
    last: Option<KolError>,
}

impl Deliveries {
    fn failed(&self, error: KolError) {
        let mut undelivered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        undelivered.count += 1;
        undelivered.last = Some(error);
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        Quiet.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                let mut undelivered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                undelivered.last = None;
            }
            Err((error, _)) => self.failed(classify(error)),
        }
    }
}

/// Letters that wait for room in the producer's queue. Whoever has some reads no further.
#[derive(Debug, Default)]
pub struct Parked(VecDeque<OwnedRejected>);

#[derive(Debug)]
struct OwnedRejected {
    offset: u64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    reason: Reject,
}

impl Parked {
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
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
    pub reason: Reject,
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
            // Half a minute by default, in which nobody would hear of a topic that is not there.
            .set("topic.metadata.propagation.max.ms", "5000")
            .set("message.max.bytes", "16777216")
            .set("queue.buffering.max.kbytes", "65536");
        let deliveries = Deliveries::default();
        let producer = config
            .create_with_context(deliveries.clone())
            .map_err(|e| classify(&e))?;
        Ok(Some(Self {
            topic,
            deliveries,
            producer,
        }))
    }

    /// Hands a record to the producer, or parks it while the producer's queue is full. Order is kept.
    pub fn send(&self, origin: &SourcePartition, rejected: &Rejected<'_>, parked: &mut Parked) {
        if !parked.is_empty() || !self.handed_over(origin, rejected) {
            parked.0.push_back(OwnedRejected {
                offset: rejected.offset,
                key: rejected.key.map(<[u8]>::to_vec),
                value: rejected.value.map(<[u8]>::to_vec),
                reason: rejected.reason,
            });
        }
    }

    /// Hands over what was parked, as far as there is room.
    pub fn send_parked(&self, origin: &SourcePartition, parked: &mut Parked) {
        while let Some(letter) = parked.0.front() {
            let rejected = Rejected {
                offset: letter.offset,
                key: letter.key.as_deref(),
                value: letter.value.as_deref(),
                reason: letter.reason,
            };
            if !self.handed_over(origin, &rejected) {
                return;
            }
            parked.0.pop_front();
        }
    }

    /// Why the newest letters did not reach their topic, if so.
    pub fn problem(&self) -> Option<KolError> {
        let undelivered = self
            .deliveries
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last = undelivered.last.as_ref()?;
        let (count, topic) = (undelivered.count, &self.topic);
        let what = format!("{count} dead letters could not be written to {topic}: {last}");
        Some(KolError::external("DEAD_LETTER", what).help(
            "Create the topic, allow writing to it, and let it take records as large as the \
                 input's (max.message.bytes). The records themselves are counted in any case.",
        ))
    }

    /// False while there is no room. A record that the producer will never take counts as failed.
    fn handed_over(&self, origin: &SourcePartition, rejected: &Rejected<'_>) -> bool {
        match self.try_send(origin, rejected) {
            Ok(()) => true,
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => false,
            Err(error) => {
                let error = classify(&error).partition(origin).offset(rejected.offset);
                self.deliveries.failed(error);
                true
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
        let detail = rejected.reason.to_string();
        let headers = [
            ("kol-reason", rejected.reason.as_str()),
            ("kol-detail", &detail),
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
        let flushed = kol_common::world::blocking(move || producer.flush(deadline)).await;
        if !matches!(flushed, Some(Ok(()))) {
            tracing::warn!(topic = %self.topic, "some dead letters may not have been written");
        }
    }
}
