//! Records that cannot be used go to a topic of their own, as they came, with their origin in the
//! headers: `kol-reason`, `kol-detail`, `kol-topic`, `kol-partition`, `kol-offset`. One that is larger than the
//! topic allows has the beginning of its value, and `kol-size` says how many bytes there were.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::event::Reject;
use kol_common::job::KafkaSource;
use kol_common::kafka::{Ends, Owned, Reasons, classify, client_config};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext};

use crate::source::contract::{DeadLetterTopic, Fate, Letter, Offered, Receipt};

/// Producer for a job's dead-letter topic.
pub(super) struct Producer {
    topic: String,
    deliveries: Deliveries,
    producer: Owned<ThreadedProducer<Deliveries>>,
}

/// Tells the partitions whether their letters were written.
#[derive(Clone, Debug)]
struct Deliveries {
    /// Bytes that the producer holds.
    waiting: Arc<AtomicU64>,
    reasons: Reasons,
}

/// How long the client tries to send a letter before it comes back. Five minutes by default, in which nobody would
/// know why letters do not arrive.
const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// What the producer keeps of a record besides its bytes.
const OVERHEAD: u64 = 700;
/// Largest record that is produced, bytes.
const LARGEST: u64 = 16 << 20;
/// The smallest and the largest queue. Each has room for the largest record.
const QUEUE: (u64, u64) = (LARGEST + (1 << 20), 64 << 20);

/// Goes with a letter through the client. The client has a copy of key and value.
#[derive(Debug)]
pub(super) struct Ticket {
    receipt: Receipt,
    origin: Option<SourcePartition>,
    offset: u64,
    size: Option<usize>,
    reason: Reject,
}

impl Ticket {
    fn of(letter: &Letter, receipt: Receipt) -> Self {
        Self {
            receipt,
            origin: letter.origin.clone(),
            offset: letter.offset,
            size: letter.size,
            reason: letter.reason,
        }
    }

    /// The client failed with `error`, for the reason `why`.
    fn failed(self, error: &KafkaError, why: KolError, key: Option<&[u8]>, value: Option<&[u8]>) {
        let mut letter = Letter {
            origin: self.origin,
            offset: self.offset,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            size: self.size,
            reason: self.reason,
        };
        let fate = if !is_too_large(error) {
            Fate::Returned(letter, why)
        } else if letter.shorten() {
            Fate::Shortened(letter)
        } else {
            Fate::Refused(why.offset(self.offset))
        };
        self.receipt.settle(fate);
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
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
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let (Ok(message) | Err((_, message))) = result;
        let (key, value) = (message.key(), message.payload());
        self.waiting.fetch_sub(size(key, value), Ordering::Relaxed);
        match result {
            Ok(_) => {
                self.reasons.clear();
                ticket.receipt.settle(Fate::Arrived);
            }
            Err((error, _)) => ticket.failed(error, self.reasons.classify(error), key, value),
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
        ends: &Ends,
        memory: u64,
    ) -> Result<Option<Self>, KolError> {
        let Some(topic) = spec.dead_letter.clone() else {
            return Ok(None);
        };
        Self::create(topic, &Self::config(spec, secrets, memory)?, ends).map(Some)
    }

    /// Says more than the spec may: that a letter arrived must be true, and what became of it known in time.
    fn config(
        spec: &KafkaSource,
        secrets: &Secrets,
        memory: u64,
    ) -> Result<ClientConfig, KolError> {
        let mut config = client_config(spec, secrets, "kol-dead-letters")?;
        // Other names of what is set below: of two the client takes either.
        for alias in ["delivery.timeout.ms", "request.required.acks"] {
            config.remove(alias);
        }
        let queue = (memory / 32).clamp(QUEUE.0, QUEUE.1);
        config
            .set("message.timeout.ms", SEND_DEADLINE.as_millis().to_string())
            .set("acks", "all")
            .set("delivery.report.only.error", "false")
            // Half a minute by default, in which a missing topic would not be reported.
            .set("topic.metadata.propagation.max.ms", "5000")
            .set("message.max.bytes", LARGEST.to_string())
            // A topic refuses batches, not records: small letters must not be shortened with a large one.
            .set("batch.num.messages", "1")
            .set("queue.buffering.max.messages", "10000")
            .set("queue.buffering.max.kbytes", (queue >> 10).to_string());
        Ok(config)
    }

    fn create(topic: String, config: &ClientConfig, ends: &Ends) -> Result<Self, KolError> {
        let deliveries = Deliveries {
            waiting: Arc::default(),
            reasons: Reasons::of(config),
        };
        let producer = config.create_with_context(deliveries.clone());
        Ok(Self {
            topic,
            deliveries,
            producer: ends.own(producer.map_err(|e| classify(&e))?),
        })
    }

    fn try_send(
        &self,
        origin: &SourcePartition,
        letter: &Letter,
        ticket: Ticket,
    ) -> Result<(), (KafkaError, Box<Ticket>)> {
        let partition = origin.partition.to_string();
        let offset = letter.offset.to_string();
        let detail = letter.reason.to_string();
        let size = letter.size.map(|size| size.to_string());
        let headers = [
            ("kol-reason", Some(letter.reason.as_str())),
            ("kol-detail", Some(&*detail)),
            ("kol-topic", Some(&*origin.topic)),
            ("kol-partition", Some(&*partition)),
            ("kol-offset", Some(&*offset)),
            ("kol-size", size.as_deref()),
        ]
        .into_iter()
        .filter(|(_, value)| value.is_some())
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value })
        });
        let ticket = Box::new(ticket);
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&self.topic, ticket);
        record = record.headers(headers);
        record.key = letter.key.as_deref();
        record.payload = letter.value.as_deref();
        let sent = self.producer.send(record);
        sent.map_err(|(error, record)| (error, record.delivery_opaque))
    }
}

impl DeadLetterTopic for Producer {
    fn name(&self) -> &str {
        &self.topic
    }

    fn offer(&self, origin: &SourcePartition, letter: &Letter, receipt: Receipt) -> Offered {
        let (key, value) = (letter.key.as_deref(), letter.value.as_deref());
        let (bytes, waiting) = (size(key, value), &self.deliveries.waiting);
        // Before it is sent: its delivery may come at once.
        waiting.fetch_add(bytes, Ordering::Relaxed);
        let Err((error, ticket)) = self.try_send(origin, letter, Ticket::of(letter, receipt))
        else {
            return Offered::Taken;
        };
        waiting.fetch_sub(bytes, Ordering::Relaxed);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
            return Offered::NoRoom;
        }
        ticket.failed(&error, classify(&error), key, value);
        Offered::Taken
    }

    fn bytes(&self) -> u64 {
        self.deliveries.waiting.load(Ordering::Relaxed)
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, bool> {
        let producer = ThreadedProducer::clone(&self.producer);
        Box::pin(async move {
            let flushed = kol_common::world::blocking(move || producer.flush(deadline)).await;
            matches!(flushed, Some(Ok(())))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::contract::{Receipts, Rejected};

    fn letter(value: &[u8]) -> Letter {
        Letter::of(&Rejected {
            origin: None,
            offset: 7,
            key: Some(b"k"),
            value: Some(value),
            reason: Reject::NotJson,
        })
    }

    #[test]
    fn a_letter_that_is_too_large_is_shortened_until_nothing_is_left_of_it() {
        let receipts = Receipts::default();
        let too_large = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
        let mut sent = letter(b"abc");
        let mut lengths = Vec::new();
        loop {
            let ticket = Ticket::of(&sent, receipts.of(0));
            let (key, value) = (sent.key.as_deref(), sent.value.as_deref());
            ticket.failed(&too_large, classify(&too_large), key, value);
            match receipts.take().pop() {
                Some((0, Fate::Shortened(shorter))) => sent = shorter,
                Some((0, Fate::Refused(error))) => {
                    assert_eq!(error.place.offset, Some(7));
                    break;
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(sent.size, Some(3));
            lengths.push(sent.bytes());
        }
        assert_eq!(lengths, [2, 1, 0]);
    }

    /// The configuration of a job with these properties; its broker does not exist.
    fn config(properties: &[(&str, &str)]) -> ClientConfig {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let spec = KafkaSource {
            bootstrap: "127.0.0.1:1".into(),
            properties: properties.iter().map(owned).collect(),
            ..KafkaSource::default()
        };
        Producer::config(&spec, &Secrets::default(), 512 << 20).unwrap()
    }

    #[test]
    fn what_becomes_of_a_letter_is_known_in_time_whatever_the_spec_says() {
        let config = config(&[
            ("message.timeout.ms", "0"),
            ("delivery.timeout.ms", "0"),
            ("acks", "0"),
            ("request.required.acks", "0"),
            ("delivery.report.only.error", "true"),
        ]);
        for (key, value) in [
            ("message.timeout.ms", Some("30000")),
            ("delivery.timeout.ms", None),
            ("acks", Some("all")),
            ("request.required.acks", None),
            ("delivery.report.only.error", Some("false")),
        ] {
            assert_eq!(config.get(key), value, "{key}");
        }
        Producer::create("dead".into(), &config, &Ends::default()).unwrap();
    }

    #[tokio::test]
    async fn a_letter_that_was_not_sent_in_time_comes_back_as_it_was() {
        let mut config = config(&[]);
        config.set("message.timeout.ms", "500");
        let topic = Producer::create("dead".into(), &config, &Ends::default()).unwrap();
        let (receipts, sent) = (Receipts::default(), letter(b"abc"));
        let offered = topic.offer(&SourcePartition::new("t", 0), &sent, receipts.of(3));
        assert!(matches!(offered, Offered::Taken));
        assert!(topic.bytes() > 0);
        let news = tokio::time::timeout(Duration::from_secs(20), receipts.news());
        news.await.expect("in time");
        let fates = receipts.take();
        let [(3, Fate::Returned(back, error))] = &fates[..] else {
            panic!("{fates:?}");
        };
        assert_eq!((back, error.code), (&sent, "SOURCE_UNREACHABLE"));
        assert_eq!(topic.bytes(), 0);
    }
}
