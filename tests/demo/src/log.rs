//! What the demo writes to the embedded broker, and the fold of it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use kol_common::Millis;
use kol_common::job::ScoringSpec;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use kol_fold::{Fold, Record};
use kol_harness::Kafka;

/// The topic, named as in production.
pub(super) const TOPIC: &str = "kol.videos.raw";
/// The embedded broker keeps 5 MiB of each partition: many partitions keep the whole demo.
pub(super) const PARTITIONS: u32 = 64;
const TIMEOUT: Duration = Duration::from_secs(10);
/// The embedded broker answers a fetch with one batch of a partition, and looks for it from the first one on. So history is
/// written in few large batches: many small ones take minutes to read on a busy machine.
pub(super) const LARGE_BATCHES: Linger = Linger("1000");
pub(super) const AT_ONCE: Linger = Linger("20");

/// How long records wait for others that fill a batch, in milliseconds.
pub(super) struct Linger(&'static str);

/// A topic whose every record the fold has seen.
pub(super) struct Log {
    producer: ThreadedProducer<DefaultProducerContext>,
    bootstrap: String,
    fold: Fold,
    written: u64,
}

impl Log {
    /// Makes the topic.
    pub(super) fn create(kafka: &Kafka, scoring: &ScoringSpec) -> anyhow::Result<Self> {
        kafka.create_embedded(TOPIC, PARTITIONS);
        Ok(Self {
            producer: producer(kafka.bootstrap(), &AT_ONCE)?,
            bootstrap: kafka.bootstrap().to_owned(),
            fold: Fold::new(scoring),
            written: 0,
        })
    }

    /// Writes one record, keyed by its creator; `timestamp` is when the crawler sent it.
    pub(super) fn write(
        &mut self,
        kol: &str,
        value: &[u8],
        timestamp: Millis,
    ) -> anyhow::Result<()> {
        let record = Record {
            partition: partition_of(kol),
            offset: self.written,
            timestamp_ms: Some(timestamp.0),
            key: Some(kol.as_bytes().to_vec()),
            value: Some(value.to_vec()),
        };
        self.fold.apply(&record);
        self.written += 1;
        let mut message = BaseRecord::to(TOPIC)
            .partition(record.partition as i32)
            .timestamp(timestamp.0 as i64)
            .key(kol)
            .payload(value);
        while let Err((error, back)) = self.producer.send(message) {
            let code = error.rdkafka_error_code();
            if code != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                return Err(error).context("cannot write to the embedded broker");
            }
            std::thread::sleep(Duration::from_millis(5));
            message = back;
        }
        Ok(())
    }

    /// Has the following records wait so long. The broker must have everything before.
    pub(super) fn set_linger(&mut self, linger: &Linger) -> anyhow::Result<()> {
        self.producer = producer(&self.bootstrap, linger)?;
        Ok(())
    }

    /// Waits until the broker has everything.
    pub(super) fn flush(&self) -> anyhow::Result<()> {
        self.producer
            .flush(TIMEOUT)
            .context("the embedded broker does not take the events")
    }

    /// Records written so far, whether confirmed or not.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The fold of everything written.
    pub(super) fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Fails when the broker has already dropped records that nobody has read yet.
    pub(super) fn assert_whole(&self) -> anyhow::Result<()> {
        if let Some(partition) = self.first_cut()? {
            bail!(
                "the embedded broker has dropped the oldest records of {TOPIC}-{partition}: \
                 more history than its memory keeps"
            );
        }
        Ok(())
    }

    /// A partition whose oldest records the broker has dropped to make room.
    pub(super) fn first_cut(&self) -> anyhow::Result<Option<u32>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .create()?;
        for partition in 0..PARTITIONS {
            let (low, _) = consumer.fetch_watermarks(TOPIC, partition as i32, TIMEOUT)?;
            if low > 0 {
                return Ok(Some(partition));
            }
        }
        Ok(None)
    }
}

fn producer(
    bootstrap: &str,
    linger: &Linger,
) -> anyhow::Result<ThreadedProducer<DefaultProducerContext>> {
    let producer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("compression.type", "lz4")
        .set("queue.buffering.max.messages", "1000000")
        .set("linger.ms", linger.0)
        .create()?;
    Ok(producer)
}

/// All readings of one creator go through one partition.
fn partition_of(kol: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    kol.hash(&mut hasher);
    (hasher.finish() % u64::from(PARTITIONS)) as u32
}
