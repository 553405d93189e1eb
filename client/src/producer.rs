//! Writing events to a topic, as fast as the broker takes them.

use std::time::{Duration, Instant};

use kol_common::KolError;
use kol_common::kafka::classify;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long the last records may take to be confirmed.
const FLUSH: Duration = Duration::from_secs(60);
/// How long a full queue is waited for.
const ROOM: Duration = Duration::from_secs(30);

/// What a record's key is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyBy {
    /// The creator: readings of one video stay in one partition.
    #[default]
    Username,
    /// The video (the creator where there is none).
    VideoId,
    /// No key: records are spread at random, and gains of cumulative counters are wrong.
    None,
}

/// Writes records to one topic.
pub struct TopicWriter {
    topic: String,
    producer: ThreadedProducer<Deliveries>,
    failed: Arc<AtomicU64>,
    written: u64,
    begun: Instant,
}

/// Counts what the broker refused.
struct Deliveries(Arc<AtomicU64>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl TopicWriter {
    /// Connects lazily to `bootstrap`. Keys choose partitions as Java producers do.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn new(bootstrap: &str, topic: &str) -> Result<Self, KolError> {
        let failed = Arc::new(AtomicU64::new(0));
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "kol-client")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", "500000")
            .set("message.timeout.ms", "30000")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
            .create_with_context(Deliveries(Arc::clone(&failed)))
            .map_err(|e| classify(&e))?;
        Ok(Self {
            topic: topic.to_owned(),
            producer,
            failed,
            written: 0,
            begun: Instant::now(),
        })
    }

    /// Hands a record over; waits a bounded time when the queue is full.
    ///
    /// # Errors
    /// The broker takes nothing any more.
    pub fn write(&mut self, key: Option<&[u8]>, value: &[u8]) -> Result<(), KolError> {
        let deadline = Instant::now() + ROOM;
        loop {
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
                Err((error, _)) => return Err(classify(&error)),
            }
        }
    }

    /// Waits until the broker has everything: how many records it took, and in what time.
    ///
    /// # Errors
    /// Some were refused, or the broker is away.
    pub fn finish(self) -> Result<(u64, Duration), KolError> {
        self.producer.flush(FLUSH).map_err(|e| classify(&e))?;
        let failed = self.failed.load(Ordering::Relaxed);
        if failed > 0 {
            return Err(KolError::external(
                "RECORDS_REFUSED",
                format!("{failed} of {} records were not written", self.written),
            )
            .help(format!(
                "Check that topic {} exists and its brokers run; records may be written again.",
                self.topic
            )));
        }
        Ok((self.written, self.begun.elapsed()))
    }
}
