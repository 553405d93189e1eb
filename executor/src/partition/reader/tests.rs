use std::sync::Mutex;

use futures::future::BoxFuture;
use kol_common::job::parse;
use kol_common::scoring::Scoring;
use kol_common::{JobId, SourcePartition};
use tokio::sync::Notify;

use super::*;
use crate::source::{Identity, Log, PartitionQueue, Queue};

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
}

/// Nothing arrives.
#[derive(Debug, Default)]
struct Silent(Notify);

impl Queue for Silent {
    fn arrived(&self) -> &Notify {
        &self.0
    }

    fn take(&mut self, _batch: &mut Batch, _limit: usize) {}
}

impl Log for Fake {
    fn open(&self, _partition: &SourcePartition, offset: u64) -> Result<PartitionQueue, KolError> {
        self.opened.lock().unwrap().push(offset);
        Ok(Box::new(Silent::default()))
    }

    fn close(&self, _partition: &SourcePartition) {}

    fn end(&self, _partition: &SourcePartition) -> Option<LogEnd> {
        None
    }

    fn identity(&self, _partition: &SourcePartition) -> Option<Identity> {
        let topic = *self.topic.lock().unwrap();
        topic.map(|topic| Identity {
            topic,
            asked: Instant::now(),
        })
    }

    fn watermarks(
        &self,
        _partition: &SourcePartition,
    ) -> BoxFuture<'static, Result<(u64, u64), KolError>> {
        let range = *self.range.lock().unwrap();
        Box::pin(std::future::ready(Ok(range)))
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
    let text = format!("name = \"x\"\n[source]\n{source}");
    let spec = parse(&text, "x").unwrap().spec;
    let assignment = Assignment {
        job: JobId::generate(),
        scoring: Arc::new(Scoring::new(&spec.scoring)),
        spec: Arc::new(spec),
        generation: 1,
        partition: SourcePartition::new("t", 0),
        ordinal: 0,
        assignment_epoch: 1,
        offset,
        topic_id,
        restore: None,
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
    reader.look();
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
