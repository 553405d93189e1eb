//! Transactions of one job: a producer for each partition that is re-keyed, and one consumer that knows the positions.
//!
//! librdkafka's calls block, so they run beside the actors, a bounded number of them at a time: where Kafka does not
//! answer, those of a job wait for each other and not those of all jobs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::kafka::{self, Ends, Owned, Reasons, classify, client_config, failure, topic_ids};
use kol_common::{KolError, world};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::consumer::list_of;
use super::readers::Recipe;
use crate::source::contract::{Committed, Keyed, Refusal, Route, Transactions};

/// How long one request may take.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// After which Kafka aborts a transaction by itself; a commit is not waited for any longer.
const TRANSACTION_DEADLINE: Duration = Duration::from_secs(60);
/// How long the end of a transaction that nobody wants may take.
const ABORT_DEADLINE: Duration = Duration::from_secs(5);
/// Calls of one job that block at a time.
const CALLS: usize = 32;
/// Largest record that is produced, bytes.
const LARGEST: u64 = 16 << 20;
/// What the producer keeps of a record besides its bytes.
const OVERHEAD: u64 = 700;

/// What the partitions of one job share.
pub(super) struct Rekeying {
    recipe: Recipe,
    ends: Ends,
    calls: Arc<Semaphore>,
    /// Of the group that was requested last: a job has one.
    positions: Mutex<Option<(String, Arc<Positions>)>>,
}

impl std::fmt::Debug for Rekeying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rekeying").finish_non_exhaustive()
    }
}

/// A consumer of the group that keeps the positions. It never subscribes.
type Positions = Owned<kafka::Consumer>;

impl Rekeying {
    pub(super) fn new(recipe: Recipe, ends: Ends) -> Self {
        Self {
            recipe,
            ends,
            calls: Arc::new(Semaphore::new(CALLS)),
            positions: Mutex::default(),
        }
    }

    /// See [`crate::source::Log::transactions`].
    pub(super) fn open(&self, route: Route) -> Result<Arc<dyn Transactions>, KolError> {
        let config = self.producer_config(&route.writer)?;
        let deliveries = Deliveries {
            waiting: Arc::default(),
            failed: Arc::default(),
            reasons: Reasons::of(&config),
        };
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(deliveries.clone())
            .map_err(|e| classify(&e).partition(&route.origin))?;
        Ok(Arc::new(Kafka {
            calls: Arc::clone(&self.calls),
            writer: Arc::new(Writer {
                positions: self.positions(&route.group)?,
                partition: route.origin.partition.to_string(),
                producer: self.ends.own(producer),
                deliveries,
                route,
            }),
        }))
    }

    fn producer_config(&self, writer: &str) -> Result<ClientConfig, KolError> {
        let Recipe {
            source, secrets, ..
        } = &self.recipe;
        let mut config = client_config(source, secrets, "kol-rekey")?;
        let deadline = TRANSACTION_DEADLINE.as_millis().to_string();
        config
            .set("transactional.id", writer)
            .set("transaction.timeout.ms", &deadline)
            .set("message.timeout.ms", &deadline)
            // Half a minute by default, in which a missing topic would not be reported.
            .set("topic.metadata.propagation.max.ms", "5000")
            .set("message.max.bytes", LARGEST.to_string())
            .set("compression.type", "lz4");
        Ok(config)
    }

    fn positions(&self, group: &str) -> Result<Arc<Positions>, KolError> {
        let mut shared = self
            .positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((of, positions)) = &*shared
            && of == group
        {
            return Ok(Arc::clone(positions));
        }
        let Recipe {
            source, secrets, ..
        } = &self.recipe;
        let mut config = client_config(source, secrets, "kol-rekey")?;
        config
            .set("group.id", group)
            // The position behind a transaction that is about to end is waited for.
            .set("isolation.level", "read_committed");
        let positions = Arc::new(self.ends.own(kafka::consumer(config)?));
        *shared = Some((group.to_owned(), Arc::clone(&positions)));
        Ok(positions)
    }
}

/// Counts what is on its way, and keeps why something did not arrive.
#[derive(Clone, Debug)]
struct Deliveries {
    waiting: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<KolError>>>,
    reasons: Reasons,
}

impl ClientContext for Deliveries {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
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
        self.waiting
            .fetch_sub(size(message.key(), message.payload()), Ordering::Relaxed);
        if let Err((error, _)) = result
            // What follows from an abort says nothing of its cause.
            && !matches!(
                error.rdkafka_error_code(),
                Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
            )
        {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| self.reasons.classify(error));
        }
    }
}

/// What a record takes while it waits.
fn size(key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len) as u64;
    length(key) + length(value) + OVERHEAD
}

/// The transactions of one partition.
#[derive(Debug)]
struct Kafka {
    calls: Arc<Semaphore>,
    writer: Arc<Writer>,
}

/// What calls beside the actors use.
struct Writer {
    route: Route,
    /// Number of the partition that is read, as headers have it.
    partition: String,
    positions: Arc<Positions>,
    deliveries: Deliveries,
    producer: Owned<BaseProducer<Deliveries>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

impl Kafka {
    /// Runs a call that blocks when it is its turn.
    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Writer) -> Result<T, Refusal> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Refusal>> {
        let (calls, writer) = (Arc::clone(&self.calls), Arc::clone(&self.writer));
        Box::pin(async move {
            // Never closed; without a turn the call is made all the same.
            let turn = calls.acquire_owned().await;
            let answer = world::blocking(move || {
                let _turn = turn;
                call(&writer)
            });
            let panicked =
                || KolError::internal("REKEY_CALL", "a call of the Kafka client panicked");
            answer
                .await
                .unwrap_or_else(|| Err(Refusal::Aborted(panicked())))
        })
    }
}

impl Transactions for Kafka {
    fn fence(&self) -> BoxFuture<'static, Result<(), Refusal>> {
        self.call(|writer| {
            let begun = writer.producer.init_transactions(REQUEST_DEADLINE);
            writer.checked(begun)?;
            writer.checked(writer.producer.begin_transaction())
        })
    }

    fn committed(&self) -> BoxFuture<'static, Result<Option<Committed>, Refusal>> {
        self.call(Writer::committed)
    }

    fn write(&self, keyed: &Keyed<'_>) -> Result<(), Refusal> {
        self.writer.write(keyed)
    }

    fn commit(&self, position: Committed) -> BoxFuture<'static, Result<(), Refusal>> {
        self.call(move |writer| {
            writer.commit(position)?;
            writer.checked(writer.producer.begin_transaction())
        })
    }

    fn abort(&self) -> BoxFuture<'static, ()> {
        let aborted = self.call(|writer| {
            let ended = writer.producer.abort_transaction(ABORT_DEADLINE);
            writer.checked(ended)
        });
        Box::pin(async move {
            if let Err(refusal) = aborted.await {
                // The next owner ends it.
                tracing::debug!(?refusal, "a transaction was not aborted");
            }
        })
    }

    fn bytes(&self) -> u64 {
        // Takes what has arrived out of the client's queue of reports.
        self.writer.producer.poll(Duration::ZERO);
        self.writer.deliveries.waiting.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// The position, once it is sure that the topic which is written to is the job's own.
    fn committed(&self) -> Result<Option<Committed>, Refusal> {
        let Route {
            topic,
            topic_id,
            origin,
            ..
        } = &self.route;
        let again = |error: KolError| Refusal::Again(error.partition(origin));
        let ids = topic_ids(
            self.positions.client(),
            std::slice::from_ref(topic),
            REQUEST_DEADLINE,
        );
        match ids.map_err(again)?.get(topic) {
            Some(found) if found == topic_id => {}
            found => return Err(again(foreign(topic, *topic_id, found.copied()))),
        }
        let list = list_of(origin, Offset::Invalid).map_err(again)?;
        let found = self
            .positions
            .committed_offsets(list, REQUEST_DEADLINE)
            .map_err(|e| again(failure(&self.positions, &e)))?;
        let elements = found.elements();
        let element = elements.first();
        if let Some(Err(error)) = element.map(|element| element.error()) {
            return Err(again(classify(&error)));
        }
        Ok(element.and_then(|element| match element.offset() {
            Offset::Offset(offset) => Some(Committed {
                offset: offset.max(0).cast_unsigned(),
                topic: Uuid::try_parse(element.metadata()).ok(),
            }),
            _ => None,
        }))
    }

    fn write(&self, keyed: &Keyed<'_>) -> Result<(), Refusal> {
        let Keyed {
            record,
            key,
            partition,
        } = *keyed;
        let mut digits = [0; 20];
        let headers = OwnedHeaders::new_with_capacity(3)
            .insert(Header {
                key: "kol-topic",
                value: Some(&self.route.origin.topic),
            })
            .insert(Header {
                key: "kol-partition",
                value: Some(&self.partition),
            })
            .insert(Header {
                key: "kol-offset",
                value: Some(decimal(record.offset, &mut digits)),
            });
        let mut written = BaseRecord::<[u8], [u8]>::to(&self.route.topic)
            .key(key)
            .partition(partition.cast_signed())
            .headers(headers);
        written.payload = record.value;
        written.timestamp = record.timestamp.map(|time| time.0.cast_signed());
        let bytes = size(Some(key), record.value);
        // Before it is sent: its delivery may come at once.
        self.deliveries.waiting.fetch_add(bytes, Ordering::Relaxed);
        let Err((error, _)) = self.producer.send(written) else {
            return Ok(());
        };
        self.deliveries.waiting.fetch_sub(bytes, Ordering::Relaxed);
        match self.checked(Err(error)) {
            Err(Refusal::Aborted(why) | Refusal::Again(why)) => {
                Err(Refusal::Aborted(why.offset(record.offset)))
            }
            fenced => fenced,
        }
    }

    /// Whatever may be tried again is, until Kafka itself would have given the transaction up.
    fn commit(&self, position: Committed) -> Result<(), Refusal> {
        let deadline = Instant::now() + TRANSACTION_DEADLINE;
        let offsets = self.offsets(position)?;
        let group = self.positions.group_metadata().ok_or_else(|| {
            let what = "a consumer of a group knows no group";
            Refusal::Aborted(KolError::internal("REKEY_GROUP", what))
        })?;
        self.until(deadline, || {
            let producer = &self.producer;
            producer.send_offsets_to_transaction(&offsets, &group, REQUEST_DEADLINE)
        })?;
        self.until(deadline, || {
            self.producer.commit_transaction(REQUEST_DEADLINE)
        })
    }

    fn offsets(&self, position: Committed) -> Result<TopicPartitionList, Refusal> {
        let aborted = |error: KolError| Refusal::Aborted(error.partition(&self.route.origin));
        let offset = Offset::Offset(position.offset.cast_signed());
        let list = list_of(&self.route.origin, offset).map_err(aborted)?;
        if let Some(topic) = position.topic {
            for mut element in list.elements() {
                element.set_metadata(topic.to_string());
            }
        }
        Ok(list)
    }

    fn until(
        &self,
        deadline: Instant,
        call: impl Fn() -> Result<(), KafkaError>,
    ) -> Result<(), Refusal> {
        loop {
            match self.checked(call()) {
                Err(Refusal::Again(error)) if Instant::now() >= deadline => {
                    return Err(Refusal::Aborted(error));
                }
                Err(Refusal::Again(_)) => {}
                done => return done,
            }
        }
    }

    /// What a failure means. Of several reasons the first one that a record did not arrive for tells most.
    fn checked(&self, outcome: Result<(), KafkaError>) -> Result<(), Refusal> {
        let Err(error) = outcome else {
            return Ok(());
        };
        let failed = &self.deliveries.failed;
        let delivery = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let why = delivery.unwrap_or_else(|| self.deliveries.reasons.classify(&error));
        let fatal = self.producer.client().fatal_error();
        let code = fatal.map(|(code, _)| code).or(error.rdkafka_error_code());
        Err(refusal(&error, code, why.partition(&self.route.origin)))
    }
}

/// What an error is: `code` is why the client can do nothing any more, if so.
fn refusal(error: &KafkaError, code: Option<RDKafkaErrorCode>, why: KolError) -> Refusal {
    use RDKafkaErrorCode as E;
    let fenced = matches!(
        code,
        Some(E::Fenced | E::ProducerFenced | E::InvalidProducerEpoch)
    );
    match error {
        _ if fenced => Refusal::Fenced(why),
        KafkaError::Transaction(native) if native.is_fatal() || native.txn_requires_abort() => {
            Refusal::Aborted(why)
        }
        KafkaError::Transaction(native) if native.is_retriable() => Refusal::Again(why),
        // Records are still on their way.
        KafkaError::Flush(E::OperationTimedOut) => Refusal::Again(why),
        _ => Refusal::Aborted(why),
    }
}

fn foreign(topic: &str, wanted: Uuid, found: Option<Uuid>) -> KolError {
    let what = match found {
        Some(found) => {
            format!("the topic {topic} has the id {found}, and the job's own had {wanted}")
        }
        None => format!("the topic {topic} with the id {wanted} does not exist"),
    };
    KolError::external("REKEY_TOPIC_FOREIGN", what).help(
        "The internal topic of a job must not be deleted while the job runs. Submit the job again: it \
         creates another one.",
    )
}

/// A number as text.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_written_as_they_are_read() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            let mut digits = [0; 20];
            assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
        }
    }
}
