//! The Kafka client of one job on this executor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::job::SourceSpec;
use kol_common::kafka::{Consumer, classify, client_config, consumer, topic_ids};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition, world};
use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::dead_letter_topic::Producer;
use super::queue::KafkaQueue;
use crate::source::contract::{
    DeadLetterTopic, Identity, Log, LogEnd, Logs, PartitionQueue, Source,
};

/// How often the ends of the logs are asked for.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// How often it is asked whether they are the same logs.
const IDENTITY_EVERY: Duration = Duration::from_secs(2);
/// How long one such question may take.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

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
        Ok(Arc::new(Kafka::start(spec, secrets, client_id, memory)?))
    }

    fn dead_letters(
        &self,
        spec: &SourceSpec,
        secrets: &Secrets,
    ) -> Result<Option<Arc<dyn DeadLetterTopic>>, KolError> {
        let producer = Producer::start(spec, secrets)?;
        Ok(producer.map(|producer| Arc::new(producer) as Arc<dyn DeadLetterTopic>))
    }
}

/// Kafka client, shared by the partitions of one job.
#[derive(Clone)]
pub struct Kafka {
    client: Arc<Consumer>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

/// What the probe thread and the partitions share.
#[derive(Debug, Default)]
struct Shared {
    ends: Mutex<BTreeMap<SourcePartition, Option<LogEnd>>>,
    /// By topic; `None` where brokers give no ids.
    identities: Mutex<BTreeMap<String, Option<Identity>>>,
    problem: Mutex<Option<KolError>>,
    stop: CancellationToken,
}

impl Kafka {
    /// See [`Logs::open`].
    fn start(
        spec: &SourceSpec,
        secrets: &Secrets,
        client_id: &str,
        memory: u64,
    ) -> Result<Self, KolError> {
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
        let client = consumer(config)?;
        let source = Self {
            client: Arc::new(client),
            shared: Arc::new(Shared::default()),
        };
        source.spawn_probe()?;
        Ok(source)
    }

    /// A thread of its own, because these questions block: asks for the ends of all logs, and serves
    /// the client's callbacks.
    #[expect(
        clippy::disallowed_methods,
        reason = "librdkafka blocks: the thread is its own"
    )]
    fn spawn_probe(&self) -> Result<(), KolError> {
        let source = self.clone();
        std::thread::Builder::new()
            .name("kafka-probe".into())
            .spawn(move || {
                let mut identity_at = Instant::now();
                while !source.shared.stop.is_cancelled() {
                    let begun = Instant::now();
                    // Partitions have queues of their own: this serves callbacks only.
                    let _callbacks_served = source.client.poll(Duration::ZERO);
                    source.probe();
                    if source.identify(begun >= identity_at) {
                        identity_at = begun + IDENTITY_EVERY;
                    }
                    std::thread::sleep(PROBE_EVERY.saturating_sub(begun.elapsed()));
                }
            })
            .map(drop)
            .map_err(|e| KolError::internal("SOURCE_THREAD", e.to_string()))
    }

    fn probe(&self) {
        let partitions: Vec<_> = lock(&self.shared.ends).keys().cloned().collect();
        if partitions.is_empty() {
            return;
        }
        let asked = Instant::now();
        let problem = match self.ask_ends(&partitions) {
            Ok((found, problem)) => {
                let mut ends = lock(&self.shared.ends);
                for (partition, end) in found {
                    if let Some(known) = ends.get_mut(&partition) {
                        *known = Some(LogEnd { end, asked });
                    }
                }
                problem
            }
            Err(error) => Some(error),
        };
        *lock(&self.shared.problem) = problem;
    }

    /// Asks which topics these are, if that is `due` or of one of them not known yet.
    fn identify(&self, due: bool) -> bool {
        let mut topics: Vec<_> = lock(&self.shared.ends)
            .keys()
            .map(|p| p.topic.clone())
            .collect();
        topics.dedup();
        let asked_for = |topic| lock(&self.shared.identities).contains_key(topic);
        if topics.is_empty() || (!due && topics.iter().all(asked_for)) {
            return false;
        }
        let asked = Instant::now();
        match topic_ids(&self.client, &topics, PROBE_DEADLINE) {
            Ok(found) => {
                let identity = |id: &Uuid| Identity { topic: *id, asked };
                let all = topics.into_iter();
                let all = all.map(|name| (found.get(&name).map(identity), name));
                lock(&self.shared.identities).extend(all.map(|(id, name)| (name, id)));
            }
            // A broker that cannot be reached shows by the ends.
            Err(error) => tracing::debug!(%error, "the ids of topics are not known"),
        }
        true
    }

    /// The ends that are known, and why others are not.
    fn ask_ends(&self, partitions: &[SourcePartition]) -> Result<Ends, KolError> {
        let mut question = TopicPartitionList::new();
        for p in partitions {
            // In this request, the "timestamp" -1 asks for the end of the log.
            question
                .add_partition_offset(&p.topic, p.partition.cast_signed(), Offset::End)
                .map_err(|e| classify(&e))?;
        }
        let answer = self
            .client
            .offsets_for_times(question, PROBE_DEADLINE)
            .map_err(|e| classify(&e))?;
        let mut found = Vec::with_capacity(partitions.len());
        let mut problem = None;
        for element in answer.elements() {
            let partition =
                SourcePartition::new(element.topic(), element.partition().cast_unsigned());
            if let Err(error) = element.error() {
                problem = Some(classify(&error).partition(&partition));
                continue;
            }
            if let Offset::Offset(end) = element.offset() {
                found.push((partition, end.max(0).cast_unsigned()));
            }
        }
        Ok((found, problem))
    }
}

impl Log for Kafka {
    fn open(&self, partition: &SourcePartition, offset: u64) -> Result<PartitionQueue, KolError> {
        if lock(&self.shared.ends).contains_key(partition) {
            // Whoever read it before ended without closing it, by a panic.
            self.close(partition);
        }
        let queue = KafkaQueue::open(&self.client, partition)?;
        let list = list_of(partition, Offset::Offset(offset.cast_signed()))?;
        self.client
            .incremental_assign(&list)
            .map_err(|e| classify(&e).partition(partition))?;
        lock(&self.shared.ends).insert(partition.clone(), None);
        Ok(Box::new(queue))
    }

    fn close(&self, partition: &SourcePartition) {
        lock(&self.shared.ends).remove(partition);
        if let Ok(list) = list_of(partition, Offset::Invalid)
            && let Err(error) = self.client.incremental_unassign(&list)
        {
            tracing::debug!(%partition, %error, "a partition was not assigned any more");
        }
    }

    fn end(&self, partition: &SourcePartition) -> Option<LogEnd> {
        lock(&self.shared.ends).get(partition).copied().flatten()
    }

    fn identity(&self, partition: &SourcePartition) -> Option<Identity> {
        let identities = lock(&self.shared.identities);
        identities.get(&partition.topic).copied().flatten()
    }

    fn watermarks(
        &self,
        partition: &SourcePartition,
    ) -> BoxFuture<'static, Result<(u64, u64), KolError>> {
        let client = Arc::clone(&self.client);
        let partition = partition.clone();
        let asked = world::blocking(move || {
            client
                .fetch_watermarks(
                    &partition.topic,
                    partition.partition.cast_signed(),
                    PROBE_DEADLINE,
                )
                .map(|(low, high)| (low.max(0).cast_unsigned(), high.max(0).cast_unsigned()))
                .map_err(|e| classify(&e).partition(&partition))
        });
        Box::pin(async {
            let dropped = || {
                Err(KolError::internal(
                    "WATERMARKS",
                    "the question hit a defect",
                ))
            };
            asked.await.unwrap_or_else(dropped)
        })
    }

    fn problem(&self) -> Option<KolError> {
        lock(&self.shared.problem).clone()
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        self.shared.stop.cancel();
        Box::pin(std::future::ready(()))
    }
}

type Ends = (Vec<(SourcePartition, u64)>, Option<KolError>);

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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
