//! The Kafka client of one job on this executor.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use kol_common::job::SourceSpec;
use kol_common::kafka::{Ends, classify};
use kol_common::proto::RecordMark;
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition, world};
use rdkafka::{Offset, TopicPartitionList, bindings as ffi};
use tokio::time::Instant;

use super::clients::Clients;
use super::consumer::{Consumer, list_of};
use super::dead_letter_topic::Producer;
use super::lookup::Lookup;
use super::probe::{Probe, Probed};
use super::queue::{Gate, KafkaQueue};
use super::readers::{Readers, Recipe};
use super::rekeying::Rekeying;
use crate::memory::Memory;
use crate::source::contract::{
    DeadLetterTopic, Identity, Log, LogEnd, Logs, PartitionQueue, Place, Route, Source,
    Transactions,
};

/// How long one seek may take, and the wait before the next one.
const SEEK_DEADLINE: Duration = Duration::from_millis(500);
const SEEK_AGAIN: Duration = Duration::from_millis(20);
/// How long seeks are repeated.
const VALIDATION_DEADLINE: Duration = Duration::from_secs(10);
/// How long one request for the range of a log may take.
const WATERMARKS_DEADLINE: Duration = Duration::from_secs(5);

/// Opens the logs of jobs in their Kafka.
#[derive(Clone, Debug)]
pub struct KafkaLogs {
    /// How much may be fetched ahead, and may wait to be written.
    memory: Memory,
    ends: Ends,
}

impl KafkaLogs {
    /// Within the memory of the process.
    pub fn new(memory: Memory) -> Self {
        Self {
            memory,
            ends: Ends::default(),
        }
    }

    /// Waits until all clients have ended, or the deadline has passed: they use libraries that the end of the process
    /// takes away.
    pub async fn ended(&self, deadline: Duration) {
        if !self.ends.wait(deadline).await {
            tracing::debug!("some Kafka clients did not end in time");
        }
    }
}

impl Logs for KafkaLogs {
    fn open(&self, spec: &SourceSpec, secrets: &Secrets, job: &str) -> Result<Source, KolError> {
        let recipe = Recipe {
            source: spec.kafka().clone(),
            secrets: secrets.clone(),
            job: job.to_owned(),
        };
        let clients = Clients::new(self.ends.clone());
        let ends = self.ends.clone();
        Ok(Arc::new(Kafka::start(recipe, clients, ends, &self.memory)?))
    }

    fn dead_letters(
        &self,
        spec: &SourceSpec,
        secrets: &Secrets,
    ) -> Result<Option<Arc<dyn DeadLetterTopic>>, KolError> {
        let producer = Producer::start(spec.kafka(), secrets, &self.ends, self.memory.limit())?;
        Ok(producer.map(|producer| Arc::new(producer) as Arc<dyn DeadLetterTopic>))
    }
}

/// The Kafka log of one job.
#[derive(Debug)]
struct Kafka {
    /// What the probe found. Its client is the first of the readers', and stays.
    probed: Arc<Probed>,
    probe: Probe,
    readers: Arc<Readers>,
    lookup: Lookup,
    rekeying: Rekeying,
}

impl Kafka {
    /// See [`Logs::open`].
    fn start(
        recipe: Recipe,
        clients: Clients,
        ends: Ends,
        memory: &Memory,
    ) -> Result<Self, KolError> {
        let rekeying = Rekeying::new(recipe.clone(), ends);
        let clients = Arc::new(clients);
        let readers = Readers::start(recipe, Arc::clone(&clients), Arc::clone(memory.queues()))?;
        let readers = Arc::new(readers);
        let probed = Arc::new(Probed::new(readers.newest(), clients));
        let lookup = Lookup::new(Arc::clone(&readers));
        Ok(Self {
            probe: Probe::start(Arc::clone(&probed))?,
            probed,
            readers,
            lookup,
            rekeying,
        })
    }

    fn unassign(&self, partition: &SourcePartition) {
        if let Ok(list) = list_of(partition, Offset::Invalid)
            && let Some(client) = self.readers.close(partition)
            && let Err(error) = client.unassign(&list)
        {
            tracing::debug!(%partition, %error, "a partition was not assigned when it was closed");
        }
    }
}

impl Log for Kafka {
    fn open(&self, partition: &SourcePartition, from: Place) -> Result<PartitionQueue, KolError> {
        if self.readers.has(partition) {
            // Its last reader ended without closing it, by a panic.
            self.close(partition);
        }
        let reader = self.readers.open(partition)?;
        let mut queue = KafkaQueue::open(&reader, Arc::clone(self.readers.room()), partition)?;
        let list = list_of(partition, Offset::Offset(from.offset.cast_signed()))?;
        let client = &reader.client;
        client
            .assign(&list)
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

    /// The client's own pause keeps what was fetched, whose memory is what others wait for.
    fn pause(&self, partition: &SourcePartition) {
        self.probed.watch(partition);
        self.unassign(partition);
    }

    fn close(&self, partition: &SourcePartition) {
        self.probed.unwatch(partition);
        self.unassign(partition);
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
                .client()
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

    fn records(
        &self,
        partition: &SourcePartition,
        offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<RecordMark>>, KolError>> {
        self.lookup.records(partition.clone(), offsets)
    }

    fn transactions(&self, route: Route) -> Result<Arc<dyn Transactions>, KolError> {
        self.rekeying.open(route)
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
        let sought = client.seek(position, SEEK_DEADLINE);
        if sought.is_ok() && position.elements().iter().all(|e| e.error().is_ok()) {
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

#[cfg(test)]
mod tests {
    use kol_common::job::KafkaSource;

    use super::*;

    /// A log whose broker does not exist; nothing is read from it.
    fn unreachable_log() -> Kafka {
        let recipe = Recipe {
            source: KafkaSource {
                bootstrap: "127.0.0.1:1".into(),
                ..KafkaSource::default()
            },
            secrets: Secrets::default(),
            job: "test".into(),
        };
        Kafka::start(
            recipe,
            Clients::default(),
            Ends::default(),
            &Memory::new(512 << 20),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn partitions_that_become_more_share_the_room_and_move_to_a_client_with_less() {
        let log = unreachable_log();
        let room = Arc::clone(log.readers.room());
        let partition = |number| SourcePartition::new("t", number);
        let first = log.open(&partition(0), Place::at(0)).unwrap();
        assert!(!first.is_outgrown());
        let old = Arc::downgrade(&log.readers.newest());
        room.divide_by(200);
        assert!(first.is_outgrown());
        let moved = log.seek(&partition(0), Place::at(0)).unwrap();
        assert!(!moved.is_outgrown());
        let second = log.readers.open(&partition(1)).unwrap();
        let newest = log.readers.newest();
        assert!(Arc::ptr_eq(&second.client, &newest), "both have one client");
        assert_eq!(second.each, 64 << 10);
        drop((first, newest));
        room.divide_by(2_000);
        let moved_again = log.seek(&partition(0), Place::at(0)).unwrap();
        // The first client stays with the probe.
        assert!(old.upgrade().is_some());
        let replaced = Arc::downgrade(&second.client);
        drop((second, moved, moved_again));
        log.close(&partition(1));
        until(|| replaced.strong_count() == 0).await;
    }

    async fn until(is: impl Fn() -> bool) {
        let ended = async {
            while !is() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), ended);
        ended.await.expect("it comes true in time");
    }

    #[tokio::test]
    async fn a_client_that_replaced_another_is_served_too() {
        let log = unreachable_log();
        log.readers.room().divide_by(200);
        let _queue = log
            .open(&SourcePartition::new("t", 0), Place::at(0))
            .unwrap();
        let newest = log.readers.newest();
        assert!(!Arc::ptr_eq(&newest, log.probed.client()));
        let unreachable = KolError::external("SOURCE_UNREACHABLE", "");
        // What it reports is known.
        until(|| newest.context().why(&unreachable).is_some()).await;
    }

    #[tokio::test]
    async fn a_partition_that_is_paused_is_not_read_and_its_end_is_requested() {
        let log = unreachable_log();
        let partition = SourcePartition::new("t", 0);
        let is = || {
            (
                log.probed.is_watched(&partition),
                log.readers.has(&partition),
            )
        };
        log.pause(&partition);
        assert_eq!(is(), (true, false), "it was never open");
        log.open(&partition, Place::at(0)).unwrap();
        assert_eq!(is(), (true, true));
        log.pause(&partition);
        assert_eq!(is(), (true, false));
        log.close(&partition);
        assert_eq!(is(), (false, false));
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
    async fn a_log_that_cannot_be_reached_says_where_and_why() {
        let log = unreachable_log();
        let queue = log
            .open(&SourcePartition::new("t", 0), Place::at(0))
            .unwrap();
        let said = async {
            loop {
                if let Some(problem) = log.problem() {
                    return problem;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let problem = tokio::time::timeout(Duration::from_secs(20), said).await;
        let problem = problem.expect("a problem").to_string();
        assert!(problem.contains("127.0.0.1:1"), "{problem}");
        assert!(problem.contains("Connection refused"), "{problem}");
        drop(queue);
        log.stop().await;
    }

    #[tokio::test]
    async fn a_log_that_is_dropped_ends_its_thread() {
        let log = unreachable_log();
        let probed = Arc::downgrade(&log.probed);
        drop(log);
        until(|| probed.strong_count() == 0).await;
    }
}
