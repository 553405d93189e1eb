//! What stands at some offsets of a log, read by a client of its own beside those that partitions are read with. It
//! is needed when a log turned out to be another one at some place, so the client exists only while it is used.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::kafka::classify;
use kol_common::proto::RecordMark;
use kol_common::{KolError, SourcePartition, world};
use rdkafka::Offset;
use tokio::time::Instant;

use super::clients::Client;
use super::consumer::list_of;
use super::queue::KafkaQueue;
use super::readers::{Reader, Readers};
use crate::source::contract::{Batch, Mark, Queue as _, ReadError};

/// How long one record may take to arrive, and the wait between two looks for it.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long all records together may take.
const ALL: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Lookup(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    readers: Arc<Readers>,
    /// The client of lookups that are under way.
    client: Mutex<Weak<Client>>,
}

impl Lookup {
    /// With clients like those of the readers.
    pub(super) fn new(readers: Arc<Readers>) -> Self {
        Self(Arc::new(Inner {
            readers,
            client: Mutex::default(),
        }))
    }

    /// See [`crate::source::Log::records`].
    pub(super) fn records(
        &self,
        partition: SourcePartition,
        offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<RecordMark>>, KolError>> {
        let inner = Arc::clone(&self.0);
        let answer = world::blocking(move || {
            let client = inner.client()?;
            let begun = Instant::now();
            let each = |offset| {
                if begun.elapsed() >= ALL {
                    let what = "Kafka gives no records in time";
                    return Err(
                        KolError::external("SOURCE_UNREACHABLE", what).partition(&partition)
                    );
                }
                inner.record(&client, &partition, offset)
            };
            offsets.into_iter().map(each).collect()
        });
        Box::pin(async {
            let panicked = || Err(KolError::internal("RECORDS", "the request panicked"));
            answer.await.unwrap_or_else(panicked)
        })
    }
}

impl Inner {
    fn client(&self) -> Result<Arc<Client>, KolError> {
        let mut shared = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = shared.upgrade() {
            return Ok(client);
        }
        let client = self.readers.apart()?;
        *shared = Arc::downgrade(&client);
        Ok(client)
    }

    fn record(
        &self,
        client: &Arc<Client>,
        partition: &SourcePartition,
        offset: u64,
    ) -> Result<Option<RecordMark>, KolError> {
        let room = self.readers.room();
        let reader = Reader {
            client: Arc::clone(client),
            each: room.each(),
        };
        let mut queue = KafkaQueue::open(&reader, Arc::clone(room), partition)?;
        let list = list_of(partition, Offset::Offset(offset.cast_signed()))?;
        let place = |error| classify(&error).partition(partition);
        client.assign(&list).map_err(place)?;
        let found = first(&mut queue, offset);
        // The queue must be gone before the partition is.
        drop(queue);
        client.unassign(&list).map_err(place)?;
        found.map_err(|error| error.partition(partition).offset(offset))
    }
}

/// The record at the offset that the queue begins with; `None` when it begins with another one, or with none.
fn first(queue: &mut KafkaQueue, offset: u64) -> Result<Option<RecordMark>, KolError> {
    let begun = Instant::now();
    let mut batch = Batch::with_capacity(1);
    let mut problem = None;
    while begun.elapsed() < DEADLINE {
        queue.take(&mut batch, 1);
        let entry = batch.records().next();
        match entry {
            Some(Ok(record)) => {
                return Ok((record.offset == offset).then(|| record.mark()));
            }
            Some(Err(Mark::Failed(ReadError::Client(error)))) => problem = Some(*error),
            Some(Err(Mark::EndOfPartition { .. } | Mark::Failed(_))) => return Ok(None),
            None => std::thread::park_timeout(LOOK_AGAIN),
        }
    }
    let late = || KolError::external("SOURCE_UNREACHABLE", "Kafka gives no record in time");
    Err(problem.unwrap_or_else(late))
}
