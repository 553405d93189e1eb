//! Records that cannot be used go to a topic of their own, as they came, with their origin in the
//! headers: `kol-reason`, `kol-detail`, `kol-topic`, `kol-partition`, `kol-offset`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::job::KafkaSource;
use kol_common::kafka::{Reasons, classify, client_config};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};

use crate::source::contract::{DeadLetterTopic, Offered, Rejected};

/// Producer for a job's dead-letter topic.
pub(super) struct Producer {
    topic: String,
    deliveries: Deliveries,
    producer: ThreadedProducer<Deliveries>,
}

/// Whether the records that the producer took were written.
#[derive(Clone, Debug)]
struct Deliveries {
    undelivered: Arc<Mutex<Undelivered>>,
    reasons: Reasons,
}

#[derive(Debug, Default)]
struct Undelivered {
    count: u64,
    last: Option<KolError>,
    /// Bytes that the producer holds.
    waiting: u64,
}

/// What the producer keeps of a record besides its bytes.
const OVERHEAD: u64 = 700;
/// Largest record.
const LARGEST: u64 = 16 << 20;
/// The smallest and the largest queue. Each has room for the largest record.
const QUEUE: (u64, u64) = (LARGEST + (1 << 20), 64 << 20);

impl Deliveries {
    fn lock(&self) -> MutexGuard<'_, Undelivered> {
        let undelivered = self.undelivered.lock();
        undelivered.unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: KolError) {
        let mut undelivered = self.lock();
        undelivered.count += 1;
        undelivered.last = Some(error);
    }
}

impl Deliveries {
    /// Changes the number of bytes that wait.
    fn waiting(&self, change: impl FnOnce(u64) -> u64) {
        let mut undelivered = self.lock();
        undelivered.waiting = change(undelivered.waiting);
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.reasons.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reasons.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (Ok(message) | Err((_, message))) = result;
        let bytes = size(message.key(), message.payload());
        {
            let mut undelivered = self.lock();
            undelivered.waiting = undelivered.waiting.saturating_sub(bytes);
            if result.is_ok() {
                undelivered.last = None;
            }
        }
        match result {
            Ok(_) => self.reasons.clear(),
            Err((error, _)) => self.failed(self.reasons.classify(error)),
        }
    }
}

/// What a record takes while it waits.
fn size(key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len) as u64;
    length(key) + length(value) + OVERHEAD
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// For a spec that names a dead-letter topic; `None` for one that does not. `memory` is what the whole process
    /// may use: what waits takes a small part of it.
    ///
    /// # Errors
    /// Properties that librdkafka refuses, secrets that are missing.
    pub(super) fn start(
        spec: &KafkaSource,
        secrets: &Secrets,
        memory: u64,
    ) -> Result<Option<Self>, KolError> {
        let Some(topic) = spec.dead_letter.clone() else {
            return Ok(None);
        };
        let mut config = client_config(spec, secrets, "kol-dead-letters")?;
        let queue = (memory / 32).clamp(QUEUE.0, QUEUE.1);
        config
            // Half a minute by default, in which a missing topic would not be reported.
            .set("topic.metadata.propagation.max.ms", "5000")
            .set("message.max.bytes", LARGEST.to_string())
            .set("queue.buffering.max.messages", "10000")
            .set("queue.buffering.max.kbytes", (queue >> 10).to_string());
        let deliveries = Deliveries {
            undelivered: Arc::default(),
            reasons: Reasons::of(&config),
        };
        let producer = config
            .create_with_context(deliveries.clone())
            .map_err(|e| classify(&e))?;
        Ok(Some(Self {
            topic,
            deliveries,
            producer,
        }))
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
}

impl DeadLetterTopic for Producer {
    /// A record that the producer will never take counts as not written.
    fn offer(&self, origin: &SourcePartition, rejected: &Rejected<'_>) -> Offered {
        let bytes = size(rejected.key, rejected.value);
        // Before it is sent: its delivery may come at once.
        self.deliveries.waiting(|waiting| waiting + bytes);
        let sent = self.try_send(origin, rejected);
        if sent.is_err() {
            self.deliveries
                .waiting(|waiting| waiting.saturating_sub(bytes));
        }
        match sent {
            Ok(()) => Offered::Taken,
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => Offered::NoRoom,
            Err(error) => {
                let error = classify(&error).partition(origin).offset(rejected.offset);
                self.deliveries.failed(error);
                Offered::Taken
            }
        }
    }

    fn problem(&self) -> Option<KolError> {
        let undelivered = self.deliveries.lock();
        let last = undelivered.last.as_ref()?;
        let (count, topic) = (undelivered.count, &self.topic);
        let what = format!("{count} dead letters could not be written to {topic}: {last}");
        Some(KolError::external("DEAD_LETTER", what).help(
            "Create the topic, allow writing to it, and let it take records as large as the \
                 input's (max.message.bytes). The records themselves are counted in any case.",
        ))
    }

    fn bytes(&self) -> u64 {
        let mut now = 0;
        self.deliveries.waiting(|waiting| {
            now = waiting;
            waiting
        });
        now
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        let (producer, topic) = (self.producer.clone(), self.topic.clone());
        Box::pin(async move {
            let flushed = kol_common::world::blocking(move || producer.flush(deadline)).await;
            if !matches!(flushed, Some(Ok(()))) {
                tracing::warn!(code = "DEAD_LETTERS_LOST", %topic, "some dead letters may not have been written");
            }
        })
    }
}
