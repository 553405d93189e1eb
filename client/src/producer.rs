//! Writing events to a topic, as fast as the broker takes them.

use std::time::{Duration, Instant};

use kol_common::KolError;
use kol_common::kafka::{Reasons, classify};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::input::cluster::Cluster;

/// How long the last records may take to be confirmed.
const FLUSH: Duration = Duration::from_secs(60);
/// After so long a record that no broker took is refused.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for room in a full queue: until the oldest in it are refused, which says why.
const ROOM: Duration = TIMEOUT.saturating_add(Duration::from_secs(5));
/// How long records on their way may take to be answered once another was refused.
const SETTLE: Duration = Duration::from_secs(5);

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
    answers: Arc<Answers>,
    /// Why brokers cannot be used.
    reasons: Reasons,
    /// Records handed over.
    handed: u64,
    begun: Instant,
}

/// What brokers answered.
#[derive(Debug, Default)]
struct Answers {
    confirmed: AtomicU64,
    refused: AtomicU64,
    first: OnceLock<Refusal>,
}

/// Why a record was not written.
#[derive(Debug)]
struct Refusal {
    /// Its number, from 1.
    record: usize,
    bytes: usize,
    error: KafkaError,
}

impl Answers {
    fn refuse(&self, record: usize, bytes: usize, error: &KafkaError) {
        let refusal = || Refusal {
            record,
            bytes,
            error: error.clone(),
        };
        // The reason is there before the count that makes others look for it.
        self.first.get_or_init(refusal);
        self.refused.fetch_add(1, Ordering::Release);
    }
}

struct Deliveries {
    answers: Arc<Answers>,
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
    /// The number of the record.
    type DeliveryOpaque = usize;
    fn delivery(&self, result: &DeliveryResult<'_>, record: usize) {
        match result {
            Ok(_) => drop(self.answers.confirmed.fetch_add(1, Ordering::Relaxed)),
            Err((error, message)) => {
                let bytes = message.payload_len() + message.key_len();
                self.answers.refuse(record, bytes, error);
            }
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
        let answers = Arc::new(Answers::default());
        let mut config = cluster.config("kol-client")?;
        let reasons = Reasons::of(&config);
        let deliveries = Deliveries {
            answers: Arc::clone(&answers),
            reasons: reasons.clone(),
        };
        let producer = config
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "20")
            // Records without a key go to a partition at random each, not all of a while to one.
            .set("sticky.partitioning.linger.ms", "0")
            .set("compression.type", "lz4")
            // What is too large, the topic decides.
            .set("message.max.bytes", "100000000")
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
            answers,
            reasons,
            handed: 0,
            begun: Instant::now(),
        })
    }

    /// Hands a record over; waits a bounded time when the queue is full.
    ///
    /// # Errors
    /// This record or one before it was refused, or the broker accepts no more records.
    pub fn write(&mut self, key: Option<&[u8]>, value: &[u8]) -> Result<(), KolError> {
        let deadline = Instant::now() + ROOM;
        self.handed += 1;
        let number = usize::try_from(self.handed).unwrap_or(usize::MAX);
        loop {
            self.check()?;
            let mut record =
                BaseRecord::<[u8], [u8], usize>::with_opaque_to(&self.topic, number).payload(value);
            record.key = key;
            let Err((error, _)) = self.producer.send(record) else {
                return Ok(());
            };
            let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if is_full && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            } else {
                let bytes = value.len() + key.map_or(0, <[u8]>::len);
                self.answers.refuse(number, bytes, &error);
            }
        }
    }

    /// Whether all records that the brokers have answered to were written. Who writes without an end learns
    /// here, and with each record, that it is in vain.
    ///
    /// # Errors
    /// Some were refused.
    pub fn check(&self) -> Result<(), KolError> {
        if self.answers.refused.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        // The count is of what arrived: those on their way are waited for. Whether in vain, it says.
        let _unanswered_are_counted = self.producer.flush(SETTLE);
        Err(self.refusal())
    }

    /// Waits until the broker has everything: how many records it confirmed, and in what time.
    ///
    /// # Errors
    /// Some were refused, or the broker is away.
    pub fn finish(self) -> Result<(u64, Duration), KolError> {
        let flushed = self.producer.flush(FLUSH);
        self.check()?;
        flushed.map_err(|e| self.reasons.classify(&e))?;
        let confirmed = self.answers.confirmed.load(Ordering::Relaxed);
        Ok((confirmed, self.begun.elapsed()))
    }

    /// Why records were not written, and how many were.
    fn refusal(&self) -> KolError {
        let Self {
            topic,
            bootstrap,
            answers,
            handed,
            ..
        } = self;
        let refused = answers.refused.load(Ordering::Acquire);
        let confirmed = answers.confirmed.load(Ordering::Relaxed);
        let unanswered = handed.saturating_sub(refused + confirmed);
        let mut what =
            format!("{refused} of {handed} records were not written to {topic}, {confirmed} were");
        if unanswered > 0 {
            what.push_str(&format!(", and {unanswered} have no answer yet"));
        }
        // The one that was answered first: several requests are under way, and end in any order.
        let code = answers.first.get().and_then(|first| {
            let (record, bytes) = (first.record, first.bytes);
            let code = first.error.rdkafka_error_code()?;
            what.push_str(&format!("; record {record} of {bytes} bytes: {code}"));
            Some(code)
        });
        use RDKafkaErrorCode as E;
        if matches!(code, Some(E::UnknownTopic | E::UnknownTopicOrPartition)) {
            let what = format!("there is no topic {topic} on {bootstrap}: {what}");
            return KolError::user("TOPIC_NOT_FOUND", what)
                .help("Create it, or give another with --topic.");
        }
        if matches!(code, Some(E::MessageTimedOut | E::QueueFull)) {
            let unreachable = KolError::external("SOURCE_UNREACHABLE", what.clone());
            if let Some(mut why) = self.reasons.why(&unreachable) {
                why.message = format!("{}: {what}", why.message);
                return why;
            }
        }
        let help = match code {
            Some(E::MessageSizeTooLarge | E::InvalidMessageSize) => {
                "Leave that record out, or raise max.message.bytes of the topic."
            }
            Some(E::TopicAuthorizationFailed | E::ClusterAuthorizationFailed) => {
                "Allow the user of --spec to write to the topic, or give another spec."
            }
            _ => {
                "Check that the topic takes them and its brokers run; records may be written again."
            }
        };
        KolError::external("RECORDS_REFUSED", what).help(help)
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    /// Writes until it ends; each answer of the broker is in `answers`.
    fn refused(answers: &[RDKafkaRespErr]) -> (TopicWriter, KolError) {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic("denied", 1, 1).unwrap();
        kafka.request_errors(RDKafkaApiKey::Produce, answers);
        let mut writer = TopicWriter::new(&kafka.bootstrap_servers(), "denied").unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let refusal = loop {
            match writer.write(None, b"{}") {
                Err(error) => break error,
                Ok(()) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(()) => panic!("{} records were written in vain", writer.handed),
            }
        };
        (writer, refusal)
    }

    #[test]
    fn whoever_writes_without_an_end_is_stopped_by_a_refused_record() {
        let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        let (writer, refusal) = refused(&[denied; 100]);
        assert_eq!(refusal.code, "RECORDS_REFUSED");
        assert!(refusal.message.contains("to denied, 0 were"), "{refusal}");
        assert!(
            refusal
                .message
                .contains(" of 2 bytes: TopicAuthorizationFailed"),
            "{refusal}"
        );
        assert_eq!(writer.check().unwrap_err().code, refusal.code);
        assert_eq!(writer.finish().unwrap_err().code, refusal.code);
    }

    #[test]
    fn a_refusal_says_how_many_records_arrived() {
        let good = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
        let large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        let (writer, refusal) = refused(&[good, large]);
        let confirmed = writer.answers.confirmed.load(Ordering::Relaxed);
        let refused = writer.answers.refused.load(Ordering::Relaxed);
        assert!(confirmed > 0 && refused > 0, "{refusal}");
        let all = format!(
            "{refused} of {} records were not written to denied, {confirmed} were",
            writer.handed
        );
        assert!(refusal.message.contains(&all), "{refusal}");
        assert!(refusal.message.contains("MessageSizeTooLarge"), "{refusal}");
        assert!(refusal.help.contains("max.message.bytes"), "{refusal}");
    }

    #[test]
    fn a_record_that_the_client_itself_refuses_ends_the_write_alike() {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic("t", 1, 1).unwrap();
        let mut writer = TopicWriter::new(&kafka.bootstrap_servers(), "t").unwrap();
        writer.write(None, b"{}").unwrap();
        let refusal = writer.write(None, &vec![b' '; 100_000_001]).unwrap_err();
        let what = "1 of 2 records were not written to t, 1 were; record 2 of 100000001 bytes";
        assert!(refusal.message.contains(what), "{refusal}");
    }
}
