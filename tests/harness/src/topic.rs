//! Topics: made, filled, and read back as they lie in the log.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{Kafka, wait_for};
use kol_fold::Record;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A topic of its own for one scenario.
pub struct Topic {
    /// Name of the topic, which no other scenario uses.
    pub name: String,
    /// Number of partitions.
    pub partitions: u32,
    kafka: &'static Kafka,
    producer: ThreadedProducer<DefaultProducerContext>,
}

/// A record with its headers.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The record without its headers.
    pub record: Record,
    /// Headers, as text.
    pub headers: BTreeMap<String, String>,
}

impl Topic {
    /// Makes a topic whose name begins with `name`.
    pub fn create(kafka: &'static Kafka, name: &str, partitions: u32) -> Self {
        let topic = Self::planned(kafka, name, partitions);
        topic.make();
        topic
    }

    /// A topic that is not there until it is made.
    pub fn planned(kafka: &'static Kafka, name: &str, partitions: u32) -> Self {
        let unique = format!("{name}-{}", uuid::Uuid::new_v4().simple());
        Self::existing(kafka, &unique, partitions)
    }

    /// A topic of exactly this name that somebody else made.
    pub fn existing(kafka: &'static Kafka, name: &str, partitions: u32) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
            kafka,
            producer: producer(kafka),
        }
    }

    /// Makes a planned topic.
    pub fn make(&self) {
        if !self.kafka.create_embedded(&self.name, self.partitions) {
            create_real(self.kafka, &self.name, self.partitions, None);
        }
    }

    /// Makes a planned topic of a real Kafka that takes no larger records than this.
    pub fn make_with_limit(&self, bytes: u32) {
        let limit = bytes.to_string();
        create_real(self.kafka, &self.name, self.partitions, Some(&limit));
    }

    /// Produces records in order and waits until all are written. Records with a key go where the
    /// key says; the others in turn to one partition after the other.
    pub fn produce(&self, records: &[Record]) {
        for (number, record) in records.iter().enumerate() {
            let mut message = BaseRecord::<[u8], [u8]>::to(&self.name);
            message.key = record.key.as_deref();
            message.payload = record.value.as_deref();
            message.timestamp = record.timestamp_ms.map(|ms| ms as i64);
            if record.key.is_none() {
                message.partition = Some((number % self.partitions as usize) as i32);
            }
            while let Err((error, back)) = self.producer.send(message) {
                let full =
                    error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull);
                assert!(full, "cannot produce to {}: {error}", self.name);
                std::thread::sleep(Duration::from_millis(10));
                message = back;
            }
        }
        self.producer.flush(TIMEOUT).expect("all records written");
    }

    /// All records of the log, each partition's in offset order.
    pub fn read(&self) -> Vec<Record> {
        let mut records = Vec::new();
        self.each_record(|record| records.push(record));
        records
    }

    /// Visits all records of the log, each partition's in offset order.
    pub fn each_record(&self, mut visit: impl FnMut(Record)) {
        self.each(|message| visit(record(message)));
    }

    /// The same with the records' headers.
    pub fn read_letters(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        self.each(|message| {
            let headers = message.headers().into_iter().flat_map(|h| h.iter());
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            letters.push(Letter {
                record: record(message),
                headers: headers
                    .map(|h| (h.key.to_owned(), h.value.map(text).unwrap_or_default()))
                    .collect(),
            });
        });
        letters
    }

    fn each(&self, mut visit: impl FnMut(&BorrowedMessage<'_>)) {
        let consumer = self.consumer();
        let mut all = TopicPartitionList::new();
        for partition in 0..self.partitions as i32 {
            all.add_partition_offset(&self.name, partition, Offset::Beginning)
                .expect("a partition");
        }
        consumer.assign(&all).expect("an assignment");
        let mut left = self.partitions;
        while left > 0 {
            match consumer.poll(TIMEOUT).expect("a record within 30 s") {
                // The end may be a marker of a transaction, so offsets do not tell.
                Err(KafkaError::PartitionEOF(_)) => left -= 1,
                Err(error) => panic!("{} cannot be read: {error}", self.name),
                Ok(message) => visit(&message),
            }
        }
    }

    /// Deletes the records of a partition before an offset, as retention does.
    pub fn delete_before(&self, partition: u32, offset: u64) {
        let mut before = TopicPartitionList::new();
        before
            .add_partition_offset(&self.name, partition as i32, Offset::Offset(offset as i64))
            .expect("a partition");
        let admin = admin(self.kafka);
        let deleted = block_on(admin.delete_records(&before, &AdminOptions::new()));
        deleted.expect("records deleted");
    }

    /// Deletes the topic and creates it again, empty.
    pub fn recreate(&self) {
        let admin = admin(self.kafka);
        let deleted = block_on(admin.delete_topics(&[&self.name], &AdminOptions::new()));
        deleted.expect("the topic deleted");
        create_real(self.kafka, &self.name, self.partitions, None);
    }

    /// Deletes the topic, where its broker can.
    pub fn delete(&self) {
        let admin = admin(self.kafka);
        let _the_embedded_one_cannot =
            block_on(admin.delete_topics(&[&self.name], &AdminOptions::new()));
    }

    /// Adds partitions to a topic of the real broker, up to this number.
    pub fn grow(&mut self, partitions: u32) {
        let wanted = NewPartitions::new(&self.name, partitions as usize);
        let admin = admin(self.kafka);
        let grown = block_on(admin.create_partitions(&[wanted], &AdminOptions::new()));
        grown.expect("more partitions");
        self.partitions = partitions;
        // The old one would keep the old number.
        self.producer = producer(self.kafka);
    }

    /// The broker it lives on.
    pub fn kafka(&self) -> &'static Kafka {
        self.kafka
    }

    fn consumer(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", self.kafka.bootstrap())
            .set("group.id", "kol-tests")
            .set("enable.auto.commit", "false")
            .set("fetch.message.max.bytes", "20000000")
            .set("check.crcs", "true")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a consumer")
    }
}

fn producer(kafka: &Kafka) -> ThreadedProducer<DefaultProducerContext> {
    ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", "20000000")
        .set("queue.buffering.max.messages", "1000000")
        .set("linger.ms", "5")
        .create()
        .expect("a producer")
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    Record {
        partition: message.partition() as u32,
        offset: message.offset() as u64,
        timestamp_ms: message.timestamp().to_millis().map(|ms| ms as u64),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
    }
}

fn create_real(kafka: &Kafka, name: &str, partitions: u32, max_bytes: Option<&str>) {
    let admin = admin(kafka);
    let mut topic = NewTopic::new(name, partitions as i32, TopicReplication::Fixed(1));
    if let Some(bytes) = max_bytes {
        topic = topic.set("max.message.bytes", bytes);
    }
    wait_for("the topic to be made", TIMEOUT, || {
        let made = block_on(admin.create_topics([&topic], &AdminOptions::new()));
        match made.map_err(|e| e.to_string())?.remove(0) {
            Ok(_) | Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err((_, code)) => Err(code.to_string()),
        }
    });
}

fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .create()
        .expect("an admin client")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}
