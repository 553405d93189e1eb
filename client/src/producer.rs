//! Writing events to a topic, as fast as the broker takes them.

use std::time::{Duration, Instant};

use kol_common::KolError;
use kol_common::kafka::{Reasons, classify};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::input::cluster::Cluster;

/// How long the last records may take to be confirmed.
const FLUSH: Duration = Duration::from_secs(60);
/// After so long a record that no broker took is refused.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for room in a full queue: until the oldest in it are refused, which says why.
const ROOM: Duration = TIMEOUT.saturating_add(Duration::from_secs(5));

/// What a record's key is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyBy {
    /// The creator: readings of one video stay in one partition.
    #[default]
    Username,
    /// The video; the creator for events without one.
    VideoId,
    /// No key: records are spread at random, and gains of cumulative counters are wrong.
    None,
}

/// Writes records to one topic.
pub struct TopicWriter {
    topic: String,
    bootstrap: String,
    producer: ThreadedProducer<Deliveries>,
    refused: Arc<Refused>,
    /// Why brokers cannot be used.
    reasons: Reasons,
    written: u64,
    begun: Instant,
}

/// What was not written: the broker refused it, or none was there to take it.
#[derive(Debug, Default)]
struct Refused {
    count: AtomicU64,
    no_such_topic: AtomicBool,
}

struct Deliveries {
    refused: Arc<Refused>,
    reasons: Reasons,
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
        let Err((error, _)) = result else {
            return;
        };
        self.refused.count.fetch_add(1, Ordering::Relaxed);
        if matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition)
        ) {
            self.refused.no_such_topic.store(true, Ordering::Relaxed);
        }
    }
}

impl TopicWriter {
    /// To a cluster without a login.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn new(bootstrap: &str, topic: &str) -> Result<Self, KolError> {
        Self::to(&Cluster::at(bootstrap), topic)
    }

    /// Connects lazily. Keys choose partitions as Java producers do.
    ///
    /// # Errors
    /// librdkafka refuses the settings, or a secret is missing.
    pub fn to(cluster: &Cluster, topic: &str) -> Result<Self, KolError> {
        let refused = Arc::new(Refused::default());
        let mut config = cluster.config("kol-client")?;
        let reasons = Reasons::of(&config);
        let deliveries = Deliveries {
            refused: Arc::clone(&refused),
            reasons: reasons.clone(),
        };
        let producer = config
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", "500000")
            .set("message.timeout.ms", TIMEOUT.as_millis().to_string())
            // Long enough for a broker that makes topics by itself.
            .set("topic.metadata.propagation.max.ms", "5000")
            .create_with_context(deliveries)
            .map_err(|e| classify(&e))?;
        Ok(Self {
            topic: topic.to_owned(),
            bootstrap: cluster.source.bootstrap.clone(),
            producer,
            refused,
            reasons,
            written: 0,
            begun: Instant::now(),
        })
    }

    /// Hands a record over; waits a bounded time when the queue is full.
    ///
    /// # Errors
    /// A record before this one was refused, or the broker accepts no more records.
    pub fn write(&mut self, key: Option<&[u8]>, value: &[u8]) -> Result<(), KolError> {
        let deadline = Instant::now() + ROOM;
        loop {
            self.check()?;
            let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).payload(value);
            record.key = key;
            match self.producer.send(record) {
                Ok(()) => {
                    self.written += 1;
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _))
                    if Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err((error, _)) => return Err(self.reasons.classify(&error)),
            }
        }
    }

    /// Whether all records that the brokers have answered to were written. Who writes without an end learns
    /// here, and with each record, that it is in vain.
    ///
    /// # Errors
    /// Some were refused.
    pub fn check(&self) -> Result<(), KolError> {
        match self.refused.count.load(Ordering::Relaxed) {
            0 => Ok(()),
            count => Err(self.refusal(count)),
        }
    }

    /// Waits until the broker has everything: how many records it took, and in what time.
    ///
    /// # Errors
    /// Some were refused, or the broker is away.
    pub fn finish(self) -> Result<(u64, Duration), KolError> {
        let flushed = self.producer.flush(FLUSH);
        self.check()?;
        flushed.map_err(|e| self.reasons.classify(&e))?;
        Ok((self.written, self.begun.elapsed()))
    }

    /// Why records were not written.
    fn refusal(&self, count: u64) -> KolError {
        let Self {
            topic, bootstrap, ..
        } = self;
        let mut what = format!("{count} of {} records were not written", self.written);
        let unanswered = self.producer.in_flight_count();
        if unanswered > 0 {
            what.push_str(&format!(", and {unanswered} have no answer yet"));
        }
        if self.refused.no_such_topic.load(Ordering::Relaxed) {
            let what = format!("there is no topic {topic} on {bootstrap}: {what}");
            return KolError::user("TOPIC_NOT_FOUND", what)
                .help("Create it, or give another with --topic.");
        }
        let unreachable = KolError::external("SOURCE_UNREACHABLE", what.clone());
        self.reasons.why(&unreachable).unwrap_or_else(|| {
            KolError::external("RECORDS_REFUSED", what).help(format!(
                "Check that topic {topic} takes them and its brokers run; records may be written \
                 again."
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    #[test]
    fn whoever_writes_without_an_end_is_stopped_by_a_refused_record() {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic("denied", 1, 1).unwrap();
        let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        kafka.request_errors(RDKafkaApiKey::Produce, &[denied; 100]);
        let mut writer = TopicWriter::new(&kafka.bootstrap_servers(), "denied").unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let refusal = loop {
            match writer.write(None, b"{}") {
                Err(error) => break error,
                Ok(()) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(()) => panic!("{} records were written in vain", writer.written),
            }
        };
        assert_eq!(refusal.code, "RECORDS_REFUSED");
        assert!(refusal.message.contains("were not written"), "{refusal}");
        assert_eq!(writer.check().unwrap_err().code, refusal.code);
        assert_eq!(writer.finish().unwrap_err().code, refusal.code);
    }
}
