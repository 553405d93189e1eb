//! What topics are filled with.

use kol_bench_parts::crawl::{self, Crawl};
use kol_client::generate::Generator;
use kol_client::producer::TopicWriter;
use kol_common::Millis;
use kol_harness::{Kafka, Topic};

use super::history;

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// As real crawls send them.
    Crawls,
    /// As `kol-client generate` makes them: smaller, some late or broken.
    Generated,
}

impl Input {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crawls => "crawls",
            Self::Generated => "generated",
        }
    }
}

/// A topic with events.
pub struct Filled {
    /// The topic that was filled.
    pub topic: Topic,
    /// How many events it has.
    pub events: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl Filled {
    /// A new topic with events of eight days that ended a minute ago.
    pub fn with(input: Input, partitions: u32, events: u64, kols: u64) -> Self {
        let topic = Topic::create(Kafka::shared(), "bench", partitions);
        let mut writer = TopicWriter::new(topic.kafka().bootstrap(), &topic.name).unwrap();
        let mut bytes = 0;
        let mut write = |key: &str, value: &[u8]| {
            bytes += (key.len() + value.len()) as u64;
            writer.write(Some(key.as_bytes()), value).unwrap();
        };
        let mut value = Vec::new();
        match input {
            Input::Crawls => {
                let mut crawl = Crawl::new(crawl::Options {
                    kols,
                    events,
                    end: Millis(Millis::now().0 - 60_000),
                    span: crawl::SPAN,
                    seed: 42,
                });
                for _ in 0..events {
                    let kol = crawl.next_into(&mut value);
                    write(&Crawl::username(kol), &value);
                }
            }
            Input::Generated => {
                let mut generator = Generator::new(history(kols, events));
                for _ in 0..events {
                    let meta = generator.next_into(&mut value);
                    write(&Generator::username(meta.kol), &value);
                }
            }
        }
        writer.finish().unwrap();
        Self {
            topic,
            events,
            bytes,
        }
    }

    /// Bytes of an event with its key.
    pub fn each(&self) -> u64 {
        self.bytes / self.events.max(1)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.topic.delete();
    }
}
