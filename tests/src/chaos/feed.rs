//! A steady stream of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kol_client::generate::{Generator, Options};
use kol_common::Millis;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use kol_harness::Topic;

/// Creators.
pub const KOLS: u64 = 500;
/// Event time between two events: a window end passes every few seconds.
const STEP: Duration = Duration::from_millis(500);
/// Longest time in which the broker must have taken everything.
const FLUSH: Duration = Duration::from_secs(60);

/// Writes until it is stopped.
pub struct Feed {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Feed {
    /// Starts to write.
    pub fn start(topic: &Topic, rate: u64, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let (bootstrap, name) = (topic.kafka().bootstrap().to_owned(), topic.name.clone());
        let thread = std::thread::spawn(move || write(&bootstrap, &name, rate, seed, &told));
        Self { stop, thread }
    }

    /// Stops; how many events were written.
    pub fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the producer")
    }
}

fn write(bootstrap: &str, topic: &str, rate: u64, seed: u64, stop: &AtomicBool) -> u64 {
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
    let mut generator = Generator::new(Options {
        kols: KOLS,
        videos_per_kol: 8,
        seed,
        start: Millis(Millis::now().0 - 60 * 86_400_000),
        step_us: STEP.as_micros() as u64,
        delta: false,
        viral: None,
    });
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
