//! The Kafka client of one job on this executor.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use kol_common::job::{KafkaSource, SourceSpec};
use kol_common::kafka::{Consumer, classify, client_config, consumer};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition, world};
use rdkafka::consumer::Consumer as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList, bindings as ffi};
use tokio::time::Instant;

use super::dead_letter_topic::Producer;
use super::probe::{Probe, Probed};
use super::queue::{Gate, KafkaQueue};
use crate::source::contract::{
    DeadLetterTopic, Identity, Log, LogEnd, Logs, PartitionQueue, Place, Source,
};

/// How long one seek may take, and the wait before the next one.
const SEEK_DEADLINE: Duration = Duration::from_millis(500);
const SEEK_AGAIN: Duration = Duration::from_millis(20);
/// How long seeks are repeated.
const VALIDATION_DEADLINE: Duration = Duration::from_secs(10);
/// How long one request for the range of a log may take.
const WATERMARKS_DEADLINE: Duration = Duration::from_secs(5);

/// Opens the logs of jobs in their Kafka.
#[derive(Clone, Copy, Debug)]
pub struct KafkaLogs;

impl Logs for KafkaLogs {
    fn open(
        &self,
        spec: &SourceSpec,
        secrets: &Secrets,
        client_id: &str,
        memory: u64,
    ) -> Result<Source, KolError> {
        Ok(Arc::new(Kafka::start(
            spec.kafka(),
            secrets,
            client_id,
            memory,
        )?))
    }

    fn dead_letters(
        &self,
        spec: &SourceSpec,
        secrets: &Secrets,
    ) -> Result<Option<Arc<dyn DeadLetterTopic>>, KolError> {
        let producer = Producer::start(spec.kafka(), secrets)?;
        Ok(producer.map(|producer| Arc::new(producer) as Arc<dyn DeadLetterTopic>))
    }
}

/// The Kafka log of one job.
#[derive(Debug)]
struct Kafka {
    /// What the probe found, and the client that it shares with the partitions.
    probed: Arc<Probed>,
    probe: Probe,
}

impl Kafka {
    /// See [`Logs::open`].
    fn start(
        spec: &KafkaSource,
        secrets: &Secrets,
        client_id: &str,
        memory: u64,
    ) -> Result<Self, KolError> {
        let client = consumer(config(spec, secrets, client_id, memory)?)?;
        let probed = Arc::new(Probed::new(client));
        Ok(Self {
            probe: Probe::start(Arc::clone(&probed))?,
            probed,
        })
    }
}

fn config(
    spec: &KafkaSource,
    secrets: &Secrets,
    client_id: &str,
    memory: u64,
) -> Result<ClientConfig, KolError> {
    let mut config = client_config(spec, secrets, client_id)?;
    for (key, value) in [
        ("auto.offset.reset", "error"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
    ] {
        config.set(key, value);
    }
    let queue = queue_kib(memory);
    let (queue, fetch) = (queue.to_string(), (queue.min(4_096) << 10).to_string());
    for (key, value) in [
        ("queued.max.messages.kbytes", &*queue),
        ("queued.min.messages", "50000"),
        // By default a full queue stops fetching for a whole second.
        ("fetch.queue.backoff.ms", "5"),
        ("fetch.wait.max.ms", "500"),
        ("fetch.error.backoff.ms", "100"),
        ("fetch.message.max.bytes", &*fetch),
    ] {
        if !spec.properties.contains_key(key) {
            config.set(key, value);
        }
    }
    Ok(config)
}

impl Log for Kafka {
    fn open(&self, partition: &SourcePartition, from: Place) -> Result<PartitionQueue, KolError> {
        if self.probed.is_watched(partition) {
            // Its last reader ended without closing it, by a panic.
            self.close(partition);
        }
        let client = self.probed.client();
        let mut queue = KafkaQueue::open(client, partition)?;
        let list = list_of(partition, Offset::Offset(from.offset.cast_signed()))?;
        client
            .incremental_assign(&list)
            .map_err(|e| classify(&e).partition(partition))?;
        self.probed.watch(partition);
        if let Some(epoch) = from.leader_epoch.filter(|_| from.offset > 0) {
            let (gate, client) = (queue.gate(), Arc::clone(client));
            let position = with_epoch(list, epoch);
            // Beside the loop of the partition: polled once, which starts it; the gate shows its end.
            let work = world::blocking(move || validate(&client, &position, &gate));
            let _runs_by_itself = work.now_or_never();
        }
        Ok(Box::new(queue))
    }

    fn close(&self, partition: &SourcePartition) {
        self.probed.unwatch(partition);
        if let Ok(list) = list_of(partition, Offset::Invalid)
            && let Err(error) = self.probed.client().incremental_unassign(&list)
        {
            tracing::debug!(%partition, %error, "a partition was not assigned when it was closed");
        }
    }

    fn end(&self, partition: &SourcePartition) -> Option<LogEnd> {
        self.probed.end(partition)
    }

    fn identity(&self, partition: &SourcePartition) -> Option<Identity> {
        self.probed.identity(&partition.topic)
    }

    fn watermarks(
        &self,
        partition: &SourcePartition,
    ) -> BoxFuture<'static, Result<(u64, u64), KolError>> {
        let client = Arc::clone(self.probed.client());
        let partition = partition.clone();
        let answer = world::blocking(move || {
            client
                .fetch_watermarks(
                    &partition.topic,
                    partition.partition.cast_signed(),
                    WATERMARKS_DEADLINE,
                )
                .map(|(low, high)| (low.max(0).cast_unsigned(), high.max(0).cast_unsigned()))
                .map_err(|e| classify(&e).partition(&partition))
        });
        Box::pin(async {
            let panicked = || Err(KolError::internal("WATERMARKS", "the request panicked"));
            answer.await.unwrap_or_else(panicked)
        })
    }

    fn problem(&self) -> Option<KolError> {
        self.probed.problem()
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        self.probe.stop()
    }
}

/// Has the client compare the leader epoch of a position with the log. The client does so after a seek, and
/// not after an assignment; and a seek works only once the assignment is in effect, so it is repeated until
/// then.
fn validate(client: &Consumer, position: &TopicPartitionList, gate: &Gate) {
    let begun = Instant::now();
    while begun.elapsed() < VALIDATION_DEADLINE && !gate.is_alone() {
        let sought = client.seek_partitions(position.clone(), SEEK_DEADLINE);
        if sought.is_ok_and(|list| list.elements().iter().all(|e| e.error().is_ok())) {
            return;
        }
        std::thread::park_timeout(SEEK_AGAIN);
    }
    tracing::debug!(?position, "the position was not compared with the log");
}

/// The list with a leader epoch for each of its positions.
fn with_epoch(list: TopicPartitionList, leader_epoch: i32) -> TopicPartitionList {
    // SAFETY: the list is alive and has `cnt` elements; the epoch is a number in an element's private part.
    unsafe {
        let inner = &*list.ptr();
        for at in 0..usize::try_from(inner.cnt).unwrap_or(0) {
            ffi::rd_kafka_topic_partition_set_leader_epoch(inner.elems.add(at), leader_epoch);
        }
    }
    list
}

/// Room for the fetched records of one partition, KiB. Queues are not state: dozens of them must fit
/// beside it.
fn queue_kib(memory: u64) -> u64 {
    (memory / 256 / 1_024).clamp(512, 16_384)
}

fn list_of(partition: &SourcePartition, offset: Offset) -> Result<TopicPartitionList, KolError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&partition.topic, partition.partition.cast_signed(), offset)
        .map_err(|e| classify(&e).partition(partition))?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log whose broker does not exist; nothing is read from it.
    fn unreachable_log() -> Kafka {
        let spec = KafkaSource {
            bootstrap: "127.0.0.1:1".into(),
            ..KafkaSource::default()
        };
        Kafka::start(&spec, &Secrets::default(), "test", 1 << 30).unwrap()
    }

    #[tokio::test]
    async fn a_log_that_is_stopped_has_no_thread_any_more() {
        let log = unreachable_log();
        assert_eq!(Arc::strong_count(&log.probed), 2, "the thread works");
        log.stop().await;
        assert_eq!(Arc::strong_count(&log.probed), 1);
        // A second stop has nothing to wait for.
        log.stop().await;
    }

    #[tokio::test]
    async fn a_log_that_is_dropped_ends_its_thread() {
        let log = unreachable_log();
        let probed = Arc::downgrade(&log.probed);
        drop(log);
        let ended = async {
            while probed.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended)
            .await
            .expect("the thread ends");
    }
}
