//! Events whose way to Redis is timed, under load.
//!
//! Each is due at a fixed time, and its age is counted from then, whatever delays the sender: nothing is left out because
//! the system was slow. A reader sees it in the hash of its creator, by the number of events there. Of each partition the
//! reader looks for the oldest that is not there yet; one that overtook it counts as seen with it, so ages are never too
//! small.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use kol_common::Millis;
use kol_harness::Topic;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use redis::Pipeline;

/// Events a second.
pub const A_SECOND: u32 = 100;
/// Creators that they are of, one after the other.
const KOLS: u64 = 1_000;
/// Between two looks of the reader.
const EVERY: Duration = Duration::from_millis(1);
/// What is not there so long after the last was sent never comes.
const LIMIT: Duration = Duration::from_secs(120);

/// One that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    partition: usize,
    /// Key of its creator's hash.
    key: String,
    /// Events of its creator up to it.
    number: u64,
    due: Instant,
}

/// Sends probes among the events of a topic.
pub struct Probes {
    topic: String,
    partitions: u32,
    producer: BaseProducer,
    begun: Instant,
    /// Event time at the beginning.
    start: Millis,
    lasts: Duration,
    sent: SyncSender<Sent>,
}

impl Probes {
    /// For so long from `begun` on; the receiver gets each.
    pub fn new(
        topic: &Topic,
        begun: Instant,
        start: Millis,
        lasts: Duration,
    ) -> (Self, Receiver<Sent>) {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", topic.kafka().bootstrap())
            .set("linger.ms", "0")
            .create()
            .unwrap();
        let (sent, receiver) = sync_channel(100_000);
        let probes = Self {
            topic: topic.name.clone(),
            partitions: topic.partitions,
            producer,
            begun,
            start,
            lasts,
            sent,
        };
        (probes, receiver)
    }

    /// Sends each when it is due; how many.
    pub fn send(self) -> u64 {
        let each = Duration::from_secs(1) / A_SECOND;
        let mut number = 0;
        loop {
            let due = each * number;
            if due >= self.lasts {
                break;
            }
            // It may become due between two looks at the clock.
            while let Some(left) = due.checked_sub(self.begun.elapsed()) {
                self.producer.poll(left.min(EVERY));
            }
            self.one(u64::from(number), due);
            number += 1;
        }
        self.producer.flush(LIMIT).unwrap();
        u64::from(number)
    }

    fn one(&self, number: u64, due: Duration) {
        let kol = number % KOLS;
        let name = format!("probe_{kol:04}");
        let time = Millis(self.start.0 + Millis::from(due).0).iso();
        let event = format!(
            r#"{{"event_time":"{time}","username":"{name}","video_id":"{kol}","like_count":{number}}}"#
        );
        let partition = kol % u64::from(self.partitions);
        let record = BaseRecord::to(&self.topic)
            .partition(partition as i32)
            .key(&name)
            .payload(&event);
        self.producer.send(record).map_err(|(e, _)| e).unwrap();
        let sent = Sent {
            partition: partition as usize,
            key: format!("trending:tiktok:{name}"),
            number: number / KOLS + 1,
            due: self.begun + due,
        };
        self.sent.send(sent).unwrap();
    }
}

/// Looks for them.
pub struct Reader {
    redis: redis::Connection,
    /// Those that are not there yet, of each partition, in their order.
    awaited: Vec<VecDeque<Sent>>,
}

impl Reader {
    /// By this connection.
    pub fn new(redis: redis::Connection, partitions: u32) -> Self {
        Self {
            redis,
            awaited: (0..partitions).map(|_| VecDeque::new()).collect(),
        }
    }

    /// Looks until all were seen: the ages of those that were due after a time, sorted, each with how long after that it was
    /// due.
    pub fn read(mut self, sent: &Receiver<Sent>, after: Instant) -> Vec<(Duration, Duration)> {
        let mut ages = Vec::new();
        let mut last = None;
        loop {
            loop {
                match sent.try_recv() {
                    Ok(sent) => self.awaited[sent.partition].push_back(sent),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        last.get_or_insert_with(Instant::now);
                        break;
                    }
                }
            }
            while self.look(after, &mut ages) {}
            let waits = self.awaited.iter().any(|awaited| !awaited.is_empty());
            if let Some(last) = last {
                if !waits {
                    break;
                }
                assert!(last.elapsed() < LIMIT, "never seen: {:?}", self.awaited);
            }
            std::thread::sleep(EVERY);
        }
        ages.sort();
        ages
    }

    /// Looks for the oldest of each partition; whether one is there.
    fn look(&mut self, after: Instant, ages: &mut Vec<(Duration, Duration)>) -> bool {
        let mut pipe = Pipeline::new();
        let waiting = self
            .awaited
            .iter_mut()
            .filter(|awaited| !awaited.is_empty());
        let mut waiting: Vec<_> = waiting.collect();
        for awaited in &waiting {
            pipe.hget(&awaited[0].key, "event_count");
        }
        if waiting.is_empty() {
            return false;
        }
        let counts: Vec<Option<u64>> = pipe.query(&mut self.redis).unwrap();
        let now = Instant::now();
        let mut any = false;
        for (awaited, count) in waiting.iter_mut().zip(counts) {
            if count.unwrap_or_default() < awaited[0].number {
                continue;
            }
            any = true;
            if let Some(seen) = awaited.pop_front()
                && seen.due >= after
            {
                ages.push((now - seen.due, seen.due - after));
            }
        }
        any
    }
}
