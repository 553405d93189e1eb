//! The thread that requests from the brokers where logs end and which topics they are, and serves the clients: both
//! block. It belongs to the log of one job and ends with it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use dashmap::DashMap;
use futures::future::BoxFuture;
use kol_common::kafka::{classify, topic_ids};
use kol_common::{KolError, SourcePartition};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::clients::{Client, Clients};
use super::consumer::Consumer;
use crate::source::contract::{Identity, LogEnd};

/// How often the clients are served, and the ends of a few logs requested.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// How often the ends of many logs are requested, at least.
const SELDOMEST: Duration = Duration::from_secs(2);
/// Ends in one request: the client searches its list for each of them, from the beginning.
const FEW: usize = 128;
/// How often the ids of the topics are requested.
const IDENTITY_EVERY: Duration = Duration::from_secs(2);
/// How long one request may take.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// How long the thread may take to end: two requests, and a second for all else.
const STOP_DEADLINE: Duration = Duration::from_secs(11);

/// The client of a job, and what its brokers said last. The thread writes, the partitions read.
pub(super) struct Probed {
    client: Arc<Client>,
    /// All that are to be served.
    clients: Arc<Clients>,
    /// The partitions that are read or paused; `None` until the first answer.
    ends: DashMap<SourcePartition, Option<LogEnd>>,
    /// By topic; `None` where brokers give no ids.
    identities: DashMap<String, Option<Identity>>,
    problem: Mutex<Option<KolError>>,
}

impl std::fmt::Debug for Probed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probed")
            .field("ends", &self.ends)
            .field("identities", &self.identities)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}

impl Probed {
    pub(super) fn new(client: Arc<Client>, clients: Arc<Clients>) -> Self {
        Self {
            client,
            clients,
            ends: DashMap::new(),
            identities: DashMap::new(),
            problem: Mutex::default(),
        }
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Requests the end of this partition from now on; one that is known stays known.
    pub(super) fn watch(&self, partition: &SourcePartition) {
        self.ends.entry(partition.clone()).or_default();
    }

    pub(super) fn unwatch(&self, partition: &SourcePartition) {
        self.ends.remove(partition);
    }

    #[cfg(test)]
    pub(super) fn is_watched(&self, partition: &SourcePartition) -> bool {
        self.ends.contains_key(partition)
    }

    pub(super) fn end(&self, partition: &SourcePartition) -> Option<LogEnd> {
        self.ends.get(partition).and_then(|end| *end)
    }

    pub(super) fn identity(&self, topic: &str) -> Option<Identity> {
        self.identities.get(topic).and_then(|identity| *identity)
    }

    pub(super) fn problem(&self) -> Option<KolError> {
        self.lock_problem().clone()
    }

    fn lock_problem(&self) -> MutexGuard<'_, Option<KolError>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the ends are to be requested, so long after they were.
    fn are_due(&self, passed: Duration) -> bool {
        let is_unknown = || self.ends.iter().any(|end| end.is_none());
        !self.ends.is_empty() && (passed >= pause(self.ends.len()) || is_unknown())
    }

    /// Requests the ends of the partitions, and serves the clients.
    fn request_ends(&self) {
        let partitions: BTreeSet<_> = self.ends.iter().map(|end| end.key().clone()).collect();
        let requested = Instant::now();
        let problem = match ends(&self.client, &partitions) {
            Ok((found, problem)) => {
                if problem.is_none() {
                    self.client.context().clear();
                }
                for (partition, end) in found {
                    if let Some(mut known) = self.ends.get_mut(&partition) {
                        *known = Some(LogEnd { end, requested });
                    }
                }
                problem
            }
            Err(error) => Some(error),
        };
        // Why a broker cannot be used is known to the client alone.
        self.clients.serve();
        let why = |error| self.client.context().why(&error).unwrap_or(error);
        *self.lock_problem() = problem.map(why);
    }

    /// Requests the ids of the topics if that is `due`, or if one of them was never requested. Returns
    /// whether it did.
    fn request_identities(&self, due: bool) -> bool {
        let topics: BTreeSet<_> = self
            .ends
            .iter()
            .map(|end| end.key().topic.clone())
            .collect();
        let topics: Vec<_> = topics.into_iter().collect();
        let all_known = topics.iter().all(|t| self.identities.contains_key(t));
        if topics.is_empty() || (!due && all_known) {
            return false;
        }
        let requested = Instant::now();
        match topic_ids(self.client.client(), &topics, REQUEST_DEADLINE) {
            Ok(found) => {
                let identity = |id: &Uuid| Identity {
                    topic: *id,
                    requested,
                };
                for name in topics {
                    let id = found.get(&name).map(identity);
                    self.identities.insert(name, id);
                }
            }
            // A broker that cannot be reached shows by the ends.
            Err(error) => tracing::debug!(%error, "the ids of topics are not known"),
        }
        true
    }
}

/// How often the ends of so many logs are requested: brokers and client work on each, also where nothing happens.
fn pause(logs: usize) -> Duration {
    let pause = Duration::from_millis(2).saturating_mul(u32::try_from(logs).unwrap_or(u32::MAX));
    pause.clamp(PROBE_EVERY, SELDOMEST)
}

type Ends = (Vec<(SourcePartition, u64)>, Option<KolError>);

/// The ends that are known, and why others are not. Requested a few at a time.
fn ends(client: &Consumer, partitions: &BTreeSet<SourcePartition>) -> Result<Ends, KolError> {
    let partitions: Vec<_> = partitions.iter().collect();
    let mut found = Vec::with_capacity(partitions.len());
    let mut problem = None;
    for few in partitions.chunks(FEW) {
        let (of_few, why) = ends_of(client, few)?;
        found.extend(of_few);
        problem = why.or(problem);
    }
    Ok((found, problem))
}

fn ends_of(client: &Consumer, partitions: &[&SourcePartition]) -> Result<Ends, KolError> {
    let mut request = TopicPartitionList::new();
    for p in partitions {
        // In this request, the "timestamp" -1 stands for the end of the log.
        request
            .add_partition_offset(&p.topic, p.partition.cast_signed(), Offset::End)
            .map_err(|e| classify(&e))?;
    }
    client
        .offsets_for_times(&request, REQUEST_DEADLINE)
        .map_err(|e| classify(&e))?;
    let mut found = Vec::with_capacity(partitions.len());
    let mut problem = None;
    for element in request.elements() {
        let partition = SourcePartition::new(element.topic(), element.partition().cast_unsigned());
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

/// Owner of the thread. Dropped, it lets the thread end by itself, and does not wait.
#[derive(Debug)]
pub(super) struct Probe(Mutex<Option<Thread>>);

#[derive(Debug)]
struct Thread {
    /// Nothing is sent: the thread ends when this is dropped.
    keep: SyncSender<Infallible>,
    ended: oneshot::Receiver<Infallible>,
    handle: JoinHandle<()>,
}

impl Probe {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn start(probed: Arc<Probed>) -> Result<Self, KolError> {
        let (keep, kept) = sync_channel::<Infallible>(0);
        let (ends, ended) = oneshot::channel();
        let handle = std::thread::Builder::new()
            .name("kafka-probe".into())
            .spawn(move || {
                let _dropped_at_the_end = ends;
                let mut identity_at = Instant::now();
                let mut requested: Option<Instant> = None;
                loop {
                    let begun = Instant::now();
                    let passed = requested.map_or(Duration::MAX, |at| begun.duration_since(at));
                    if probed.are_due(passed) {
                        requested = Some(begun);
                        probed.request_ends();
                    } else {
                        probed.clients.serve();
                    }
                    if probed.request_identities(begun >= identity_at) {
                        identity_at = begun + IDENTITY_EVERY;
                    }
                    let rest = PROBE_EVERY.saturating_sub(begun.elapsed());
                    if kept.recv_timeout(rest) == Err(RecvTimeoutError::Disconnected) {
                        return;
                    }
                }
            })
            .map_err(|e| KolError::internal("SOURCE_THREAD", e.to_string()))?;
        Ok(Self(Mutex::new(Some(Thread {
            keep,
            ended,
            handle,
        }))))
    }

    /// Ends the thread and waits for that.
    pub(super) fn stop(&self) -> BoxFuture<'static, ()> {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ending = thread.map(|thread| {
            drop(thread.keep);
            (thread.ended, thread.handle)
        });
        Box::pin(async move {
            let Some((ended, handle)) = ending else {
                return;
            };
            if timeout(STOP_DEADLINE, ended).await.is_err() {
                tracing::warn!(code = "KAFKA_PROBE_STALLED", waited = ?STOP_DEADLINE, "the Kafka probe thread did not end in time");
            } else if handle.join().is_err() {
                tracing::error!(code = "TASK_PANICKED", "the Kafka probe thread panicked");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_more_logs_are_requested_less_often_and_each_two_seconds_at_least() {
        for (logs, ms) in [
            (1, 500),
            (250, 500),
            (500, 1_000),
            (1_000, 2_000),
            (50_000, 2_000),
        ] {
            assert_eq!(pause(logs), Duration::from_millis(ms), "{logs} logs");
        }
    }
}
