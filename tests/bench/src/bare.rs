//! What the machine can do with the same client: loops that only consume, or also parse and count.

use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kol_common::SourcePartition;
use kol_common::job::KafkaSource;
use kol_common::secrets::Secrets;
use kol_executor::memory::Memory;
use kol_executor::source::{Batch, KafkaLogs, Logs as _, PartitionQueue, Place, Record};
use kol_harness::Topic;
use serde::Deserialize;

use super::cpu;
use super::drain::LIMIT;
use super::input::Filled;

const BATCH: usize = 1_024;

/// What a bare loop does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// Nothing: it is only consumed.
    Consume,
    /// Parses what a score needs, and adds it to what a map has of the creator.
    Parse,
}

impl Bare {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consume => "bare consume",
            Self::Parse => "bare parse + map",
        }
    }

    /// Reads all of a topic, with the client and batches of the executor, on one thread: the time by the clock and of
    /// processors.
    pub fn run(self, filled: &Filled) -> (Duration, Duration) {
        let own = std::process::id();
        let (begun, before) = (Instant::now(), cpu(own));
        let mut queues = queues(&filled.topic);
        let mut batch = Batch::with_capacity(BATCH);
        let mut counted = Counted::default();
        let mut seen = 0;
        while seen < filled.events {
            assert!(begun.elapsed() < LIMIT, "{seen} of {}", filled.events);
            let before = seen;
            for queue in &mut queues {
                queue.take(&mut batch, BATCH);
                batch.records().flatten().for_each(|record| {
                    seen += 1;
                    if self == Self::Parse {
                        counted.add(&record);
                    }
                });
            }
            if seen == before {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        std::hint::black_box(&counted);
        (begun.elapsed(), cpu(own) - before)
    }
}

fn queues(topic: &Topic) -> Vec<PartitionQueue> {
    let spec = KafkaSource {
        bootstrap: topic.kafka().bootstrap().to_owned(),
        topics: vec![topic.name.clone()],
        ..KafkaSource::default()
    };
    let source = KafkaLogs::new(Memory::new(1 << 30))
        .open(&spec.into(), &Secrets::default(), "bench")
        .unwrap();
    let open = |partition| {
        let partition = SourcePartition::new(&topic.name, partition);
        source.open(&partition, Place::at(0)).unwrap()
    };
    (0..topic.partitions).map(open).collect()
}

/// The fields that a score needs, as they are.
#[derive(Deserialize)]
struct Event<'a> {
    username: &'a str,
    event_time: Option<&'a str>,
    video_id: Option<&'a str>,
    like_count: Option<u64>,
    like_count_raw: Option<&'a str>,
    comment_count: Option<u64>,
    comment_count_raw: Option<&'a str>,
    share_count: Option<u64>,
    share_count_raw: Option<&'a str>,
}

/// What was read of each creator: events and counters.
#[derive(Default)]
struct Counted(HashMap<Box<str>, (u64, u64), RandomState>);

impl Counted {
    fn add(&mut self, record: &Record<'_>) {
        let value = record.value.unwrap_or_default();
        let Ok(event) = sonic_rs::from_slice::<Event<'_>>(value) else {
            return;
        };
        let texts = [
            event.event_time,
            event.video_id,
            event.like_count_raw,
            event.comment_count_raw,
            event.share_count_raw,
        ];
        std::hint::black_box(texts);
        let counters = [event.like_count, event.comment_count, event.share_count];
        let sum = counters.into_iter().flatten().sum::<u64>();
        if let Some((events, counted)) = self.0.get_mut(event.username) {
            *events += 1;
            *counted += sum;
        } else {
            self.0.insert(event.username.into(), (1, sum));
        }
    }
}
