//! What a log may hold, and that all of it is read.

use kol_fold::Record;
use kol_harness::{Cluster, Job, Key, RedisServer, Topic, generated};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::{LIMIT, SCORING, real_kafka, scene};

fn write(producer: &BaseProducer, topic: &str, records: &[Record]) {
    for record in records {
        let message = BaseRecord::to(topic)
            .key(record.key.as_deref().unwrap_or_default())
            .payload(record.value.as_deref().unwrap_or_default())
            .timestamp(record.timestamp_ms.unwrap_or_default() as i64);
        producer.send(message).map_err(|(e, _)| e).unwrap();
    }
}

#[test]
fn a_log_that_ends_in_transaction_markers_is_read_to_its_end_without_what_was_aborted() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 2_000, 5);
    let scene = scene(kafka, 2, &records[..500]);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("transactional.id", &scene.topic.name)
        .create()
        .unwrap();
    producer.init_transactions(LIMIT).unwrap();
    for (part, commit) in [
        (500..1_000, true),
        (1_000..1_500, false),
        (1_500..2_000, true),
    ] {
        producer.begin_transaction().unwrap();
        write(&producer, &scene.topic.name, &records[part]);
        producer.flush(LIMIT).unwrap();
        if commit {
            producer.commit_transaction(LIMIT).unwrap();
        } else {
            producer.abort_transaction(LIMIT).unwrap();
        }
    }
    let log = scene.topic.read();
    assert_eq!(log.len(), 1_500);
    scene
        .cluster
        .assert_equals_fold_of(&scene.job, &log, &scene.redis, LIMIT);
    scene.cluster.assert_no_complaints();
}

#[test]
fn every_compression_that_producers_use_is_read() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 2_000, 6);
    let scene = scene(kafka, 2, &[]);
    for (number, compression) in ["none", "gzip", "snappy", "lz4", "zstd"].iter().enumerate() {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap())
            .set("compression.type", *compression)
            .create()
            .unwrap();
        write(
            &producer,
            &scene.topic.name,
            &records[number * 400..][..400],
        );
        producer.flush(LIMIT).unwrap();
    }
    scene
        .cluster
        .assert_equals_fold(&scene.job, &scene.topic, &scene.redis, LIMIT);
    scene.cluster.assert_no_complaints();
}

#[test]
fn added_partitions_are_read_while_the_others_continue() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 4_000, 12);
    let (before, after) = records.split_at(2_000);
    let mut scene = scene(kafka, 2, before);
    scene.cluster.wait_caught_up(&scene.job, 2_000, LIMIT);
    scene.topic.grow(4);
    scene.topic.produce(after);
    let log = scene.topic.read();
    assert!(log.iter().any(|r| r.partition > 1), "the new ones are used");
    scene
        .cluster
        .assert_equals_fold_of(&scene.job, &log, &scene.redis, LIMIT);
    let started = scene.cluster.executors[0].log();
    let started = started.matches("a partition starts").count();
    assert_eq!(started, 4, "each once");
    scene.cluster.assert_no_complaints();
}

#[test]
fn records_that_were_deleted_before_they_were_read_are_counted_and_said() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 1_000, 8);
    let topic = Topic::create(kafka, "deleted", 1);
    topic.produce(&records);
    topic.delete_before(0, 300);
    let redis = RedisServer::start();
    let mut cluster = Cluster::start(1);
    cluster.allow("DATA_LOSS", "they were");
    let job = Job {
        starting_offsets: "{ partitions = { \"0\" = 0 } }".into(),
        ..Job::replay(SCORING)
    };
    let id = cluster.submit(&job, &topic, &redis);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    let lost = cluster.try_status(&id).unwrap().totals.unwrap().lost;
    assert_eq!(lost, 300);
    cluster.assert_no_complaints();
}
