use std::sync::Mutex;

use futures::future::BoxFuture;
use kol_common::SourcePartition;
use tokio::sync::Notify;

use super::*;
use crate::source::{Batch, Identity, Log, PartitionQueue, Queue};

const OLD: Uuid = Uuid::from_u128(1);
const NEW: Uuid = Uuid::from_u128(2);

/// A log that says what a test wants.
#[derive(Debug, Default)]
struct Fake {
    /// What the brokers answer now.
    topic: Mutex<Option<Uuid>>,
    range: Mutex<(u64, u64)>,
    /// Where it was opened.
    opened: Mutex<Vec<u64>>,
    /// Whether its end is known: while it is open or paused.
    watched: Mutex<bool>,
}

/// A log from which no record arrives.
#[derive(Debug, Default)]
struct Silent(Notify);

impl Queue for Silent {
    fn arrived(&self) -> &Notify {
        &self.0
    }

    fn take(&mut self, _batch: &mut Batch, _limit: usize) {}

    fn bytes(&self) -> u64 {
        0
    }

    fn is_reconnected(&self) -> bool {
        false
    }

    fn is_outgrown(&self) -> bool {
        false
    }
}

impl Log for Fake {
    fn open(&self, _partition: &SourcePartition, from: Place) -> Result<PartitionQueue, KolError> {
        self.opened.lock().unwrap().push(from.offset);
        *self.watched.lock().unwrap() = true;
        Ok(Box::new(Silent::default()))
    }

    fn pause(&self, _partition: &SourcePartition) {
        *self.watched.lock().unwrap() = true;
    }

    fn close(&self, _partition: &SourcePartition) {
        *self.watched.lock().unwrap() = false;
    }

    fn end(&self, _partition: &SourcePartition) -> Option<LogEnd> {
        let watched = *self.watched.lock().unwrap();
        watched.then(|| LogEnd {
            end: self.range.lock().unwrap().1,
            requested: Instant::now(),
        })
    }

    fn identity(&self, _partition: &SourcePartition) -> Option<Identity> {
        let topic = *self.topic.lock().unwrap();
        topic.map(|topic| Identity {
            topic,
            requested: Instant::now(),
        })
    }

    fn watermarks(
        &self,
        _partition: &SourcePartition,
    ) -> BoxFuture<'static, Result<(u64, u64), KolError>> {
        let range = *self.range.lock().unwrap();
        Box::pin(std::future::ready(Ok(range)))
    }

    fn records(
        &self,
        _partition: &SourcePartition,
        _offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<RecordMark>>, KolError>> {
        unreachable!("nothing was read of it")
    }

    fn problem(&self) -> Option<KolError> {
        None
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A reader of a log, at an offset of the topic that the master knows.
fn reader(offset: u64, topic_id: Option<Uuid>, source: &str) -> (Reader, Arc<Fake>) {
    let assignment = Assignment {
        offset,
        topic_id,
        ..Assignment::with_source(source)
    };
    let log = Arc::new(Fake::default());
    let source = Arc::clone(&log) as Source;
    let mut reader = Reader::new(Arc::new(assignment), source, Instant::now());
    reader.open().unwrap();
    (reader, log)
}

impl Fake {
    fn is(&self, topic: Uuid, range: (u64, u64)) {
        *self.topic.lock().unwrap() = Some(topic);
        *self.range.lock().unwrap() = range;
    }
}

/// Looks, and acts on what was looked up, a second later.
async fn look(reader: &mut Reader) -> Result<Recovered, KolError> {
    tokio::time::advance(Duration::from_secs(1)).await;
    reader.look(Instant::now()).unwrap();
    let now = Instant::now();
    let news = tokio::time::timeout(Duration::from_millis(1), reader.news(now, false));
    match news.await {
        Ok(News::Range(range)) => reader.recover(now, range),
        Ok(News::Records) | Err(_) => Ok(Recovered::SameLog),
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_was_recreated_before_its_id_was_first_requested_is_read_from_its_beginning() {
    let (mut reader, log) = reader(500, Some(OLD), "");
    log.is(NEW, (3, 900));
    assert_eq!(
        look(&mut reader).await,
        Ok(Recovered::SameLog),
        "one broker may be late"
    );
    assert_eq!(look(&mut reader).await, Ok(Recovered::NewLog));
    assert_eq!((reader.position(), reader.log_start()), (3, Some(3)));
    assert_eq!(*log.opened.lock().unwrap(), [500, 3]);
    assert_eq!(reader.log_id(), Some(NEW));
}

/// The client's report that the log does not have the position.
fn out_of_range(reader: &mut Reader) {
    if let Phase::Reading(reading) = &mut reader.phase {
        reading.doubt(Doubt::new(Instant::now()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_ends_before_the_position_lost_its_tail_once_its_id_is_confirmed() {
    let (mut reader, log) = reader(500, Some(OLD), "");
    log.is(OLD, (0, 420));
    out_of_range(&mut reader);
    let lost = LostTail {
        from: 420,
        to: 500,
        differs: None,
        unproven: false,
        oldest: 0,
    };
    assert_eq!(look(&mut reader).await, Ok(Recovered::LostTail(lost)));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_log_of_another_id_is_a_recreated_topic_and_no_lost_tail() {
    let (mut reader, log) = reader(500, Some(OLD), "");
    log.is(NEW, (0, 420));
    out_of_range(&mut reader);
    assert_eq!(look(&mut reader).await, Ok(Recovered::SameLog), "not yet");
    assert_eq!(look(&mut reader).await, Ok(Recovered::NewLog));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_must_not_lose_data_fails_with_the_range_of_the_lost_tail() {
    let (mut reader, log) = reader(500, Some(OLD), "on_data_loss = \"fail\"");
    log.is(OLD, (0, 420));
    out_of_range(&mut reader);
    let error = look(&mut reader).await.unwrap_err();
    assert_eq!(error.code, "DATA_LOSS");
    assert!(error.message.contains("records 420 to 499"), "{error}");
    assert!(error.help.contains("min.insync.replicas"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_before_had_read_beyond_the_end_of_the_log_is_a_lost_tail_too() {
    let (mut reader, log) = reader(400, Some(OLD), "");
    log.is(OLD, (0, 420));
    assert!(reader.doubt_below(Instant::now(), 500));
    let lost = LostTail {
        from: 420,
        to: 500,
        differs: None,
        unproven: false,
        oldest: 0,
    };
    assert_eq!(look(&mut reader).await, Ok(Recovered::LostTail(lost)));
    let (mut without_ids, _) = reader_without_ids();
    assert!(!without_ids.doubt_below(Instant::now(), 500));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_waits_for_memory_knows_how_much_is_left_to_read() {
    let (mut reader, log) = reader(400, Some(OLD), "");
    for end in [420, 450] {
        log.is(OLD, (0, end));
        reader.wait();
        assert!(reader.is_waiting());
        look(&mut reader).await.unwrap();
        assert_eq!(reader.end().map(|log| log.end), Some(end));
        assert!(!reader.is_behind());
    }
    log.is(OLD, (0, 401 + BEHIND));
    look(&mut reader).await.unwrap();
    assert!(reader.is_behind());
    reader.open().unwrap();
    assert_eq!(*log.opened.lock().unwrap(), [400, 400]);
    reader.close();
    assert!(reader.end().is_none());
}

fn reader_without_ids() -> (Reader, Arc<Fake>) {
    reader(400, None, "")
}
