//! A steady stream of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kol_client::generate::{Generator, Options};
use kol_common::Millis;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use kol_harness::{Job, Topic};

/// How many creators there are.
pub const KOLS: u64 = 500;
/// Event time between two events: a window end passes every few seconds.
const STEP: Duration = Duration::from_millis(500);
/// Longest time in which the broker must have taken everything.
const FLUSH: Duration = Duration::from_secs(60);

/// A job that reads it: a window of a day that moves each hour.
pub fn job() -> Job {
    Job::replay("window = \"24h\"\nslide = \"1h\"")
}

/// Writes until it is stopped.
pub struct Feed {
    topic: (String, String),
    rate: u64,
    /// The events that come next, while nothing writes.
    next: Option<Generator>,
    writer: Option<Writer>,
    written: u64,
}

/// A thread that writes.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Generator, u64)>,
}

impl Feed {
    /// Starts to write.
    pub fn start(topic: &Topic, rate: u64, seed: u64) -> Self {
        let generator = Generator::new(Options {
            kols: KOLS,
            videos_per_kol: 8,
            seed,
            start: Millis(Millis::now().0 - 60 * 86_400_000),
            step_us: STEP.as_micros() as u64,
            delta: false,
            viral: None,
        });
        let mut feed = Self {
            topic: (topic.kafka().bootstrap().to_owned(), topic.name.clone()),
            rate,
            next: Some(generator),
            writer: None,
            written: 0,
        };
        feed.resume();
        feed
    }

    /// Writes nothing more for now; all that was written is in the log.
    pub fn pause(&mut self) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        writer.stop.store(true, Ordering::Relaxed);
        let (generator, written) = writer.thread.join().expect("the producer");
        self.next = Some(generator);
        self.written += written;
    }

    /// Writes again, by a producer that knows nothing of what was in the log.
    pub fn resume(&mut self) {
        let Some(mut generator) = self.next.take() else {
            return;
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, topic, rate) = (Arc::clone(&stop), self.topic.clone(), self.rate);
        let thread = std::thread::spawn(move || {
            let written = write(&topic.0, &topic.1, rate, &mut generator, &stopped);
            (generator, written)
        });
        self.writer = Some(Writer { stop, thread });
    }

    /// Stops; how many events were written.
    pub fn stop(&mut self) -> u64 {
        self.pause();
        self.written
    }
}

fn write(
    bootstrap: &str,
    topic: &str,
    rate: u64,
    generator: &mut Generator,
    stop: &AtomicBool,
) -> u64 {
    // Retried until it is there, in order and once, also while the broker is away.
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("partitioner", "murmur2_random")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        // What comes while the broker is away.
        .set("queue.buffering.max.messages", "5000000")
        .set("queue.buffering.max.kbytes", "2000000")
        .create()
        .expect("a producer");
    let (begun, mut written, mut value) = (Instant::now(), 0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
        while written < due {
            let meta = generator.next_into(&mut value);
            let key = Generator::username(meta.kol);
            let record = BaseRecord::to(topic).key(&key).payload(&value);
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("there is room in the producer");
            written += 1;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    producer.flush(FLUSH).expect("all events are in the log");
    written
}
