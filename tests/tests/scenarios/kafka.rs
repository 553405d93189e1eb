//! What Kafka does to a log while a job reads it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support"
)]

use std::time::Duration;

use kol_common::proto::{JobState, JobStatus};
use kol_fold::Record;
use kol_harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, generated};
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

const LIMIT: Duration = Duration::from_secs(40);
const SCORING: &str = "window = \"24h\"\nslide = \"1h\"";

/// These need what the embedded broker cannot do.
fn real_kafka() -> Option<&'static Kafka> {
    let kafka = Kafka::shared();
    if !kafka.is_real() {
        eprintln!("NOT TESTED: this scenario needs real Kafka");
    }
    kafka.is_real().then_some(kafka)
}

struct Scene {
    topic: Topic,
    redis: RedisServer,
    cluster: Cluster,
    job: String,
}

impl Scene {
    /// Waits until Redis equals the fold of a log at the window end that the job is at.
    fn becomes(&self, log: &[Record]) {
        kol_harness::wait_for("Redis to equal the fold", LIMIT, || {
            let status = self.cluster.try_status(&self.job);
            let status = status.map_err(|e| e.to_string())?;
            let spec = kol_harness::scoring(&status);
            let fold = kol_fold::Fold::of(&spec, log);
            let end = status.window_end_ms.ok_or("no window end")?;
            let view = fold.view_at(end);
            let differences = kol_harness::compare(&mut self.redis.connect(), &view);
            match differences.first() {
                None if status.caught_up => Ok(()),
                None => Err(format!("not caught up: {status:#?}")),
                Some(first) => Err(format!("{} differences: {first}", differences.len())),
            }
        });
    }
}

fn scene(kafka: &'static Kafka, partitions: u32, records: &[Record]) -> Scene {
    scene_of(&Job::replay(SCORING), kafka, partitions, records)
}

fn scene_of(job: &Job, kafka: &'static Kafka, partitions: u32, records: &[Record]) -> Scene {
    let topic = Topic::create(kafka, "kafka", partitions);
    topic.produce(records);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = cluster.submit(job, &topic, &redis);
    Scene {
        topic,
        redis,
        cluster,
        job,
    }
}

/// Waits for a checkpoint that has the id of the topic in all partitions.
fn knows_its_topic(cluster: &Cluster, job: &str) {
    kol_harness::wait_for("a checkpoint that knows its topic", LIMIT, || {
        let asked = ["checkpoints", job, "-o", "json"];
        let newest = cluster.client(&asked).json()["checkpoints"][0].clone();
        let parts = newest["partitions"].as_array().cloned();
        let parts = parts.filter(|parts| parts.iter().all(|p| p["topic_id"].is_string()));
        parts.map(drop).ok_or_else(|| newest.to_string())
    });
}

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
fn a_topic_that_is_made_anew_is_read_from_its_beginning_with_a_state_of_its_own() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 2_000, 7);
    let (old, new) = records.split_at(1_500);
    // Far fewer creators, so that anything left of the old log shows.
    let few = |r: &&Record| r.key.as_ref().is_some_and(|key| key.ends_with(b"1"));
    let new: Vec<Record> = new.iter().filter(few).cloned().collect();
    let mut scene = scene(kafka, 2, old);
    scene.cluster.allow("LOG_RECREATED", "it was");
    scene.cluster.wait_caught_up(&scene.job, 1_500, LIMIT);
    scene.topic.make_anew();
    scene.topic.produce(&new);
    // The position falls to that of the new log.
    let what = "the new log is read";
    scene
        .cluster
        .wait_status(&scene.job, what, LIMIT, |status| {
            let reports = status.partitions.iter().filter_map(|p| p.report.as_ref());
            reports.map(|r| r.position).sum::<u64>() == new.len() as u64
        });
    // Creators of the old log that the new one does not have are swept out a little later.
    let log = scene.topic.read();
    assert_eq!(log.len(), new.len());
    scene.becomes(&log);
    // Checkpoints from here on are of the new log only.
    let before = scene.cluster.try_status(&scene.job).unwrap();
    let before = before.checkpoint.unwrap().committed_count;
    let what = "three more checkpoints";
    scene
        .cluster
        .wait_status(&scene.job, what, LIMIT, |status| {
            status.checkpoint.unwrap().committed_count >= before + 3
        });
    scene.cluster.allow("EXECUTOR_SUSPECT", "it was killed");
    scene.cluster.allow("EXECUTOR_LOST", "it was killed");
    scene
        .cluster
        .allow("EPOCH_ABORTED", "the log was recreated");
    scene.cluster.executors[0].kill();
    scene.cluster.add_executor();
    scene
        .cluster
        .wait_status(&scene.job, "it is gone", LIMIT, |status| !status.caught_up);
    scene.becomes(&log);
    let status = scene.cluster.try_status(&scene.job).unwrap();
    let counted = status.totals.unwrap().events;
    assert_eq!(counted, 1_500 + log.len() as u64, "of both logs");
    let creators: std::collections::BTreeSet<_> = log.iter().map(|r| r.key.clone()).collect();
    assert_eq!(status.kols, creators.len() as u64, "of the new log only");
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_topic_that_was_recreated_between_discovery_and_the_first_record_is_read_from_its_beginning() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 1_000, 16);
    let topic = Topic::create(kafka, "early", 1);
    topic.produce(&records[..200]);
    let redis = RedisServer::start();
    let mut cluster = Cluster::start(0);
    cluster.allow("LOG_RECREATED", "it was");
    let job = Job {
        starting_offsets: "\"latest\"".into(),
        ..Job::replay(SCORING)
    };
    let id = cluster.submit(&job, &topic, &redis);
    cluster.wait_status(&id, "its partition is found", LIMIT, |status| {
        status.partitions.iter().any(|p| p.start_offset == 200)
    });
    topic.make_anew();
    topic.produce(&records[200..]);
    cluster.add_executor();
    let scene = Scene {
        topic,
        redis,
        cluster,
        job: id,
    };
    scene.becomes(&scene.topic.read());
    scene.cluster.assert_no_complaints();
}

#[test]
fn creators_of_a_recreated_topic_leave_the_ranking_of_whichever_platform() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 1_000, 15);
    let (old, new) = records.split_at(700);
    let of_youtube = |record: &Record| {
        let text = String::from_utf8(record.value.clone().unwrap()).unwrap();
        let text = text.replacen('{', "{\"platform\":\"youtube\",", 1);
        Record {
            value: Some(text.into_bytes()),
            ..record.clone()
        }
    };
    let old: Vec<Record> = old.iter().map(of_youtube).collect();
    let mut scene = scene(kafka, 1, &old);
    scene.cluster.allow("LOG_RECREATED", "it was");
    scene
        .cluster
        .allow("EPOCH_ABORTED", "the log was recreated");
    scene.cluster.wait_caught_up(&scene.job, 700, LIMIT);
    let ranked = || scene.redis.cli("ZCARD ranking:youtube:trending");
    assert_ne!(ranked().trim(), "0");
    scene.topic.make_anew();
    scene.topic.produce(new);
    kol_harness::wait_for("creators of youtube to leave", LIMIT, || match ranked() {
        left if left.trim() == "0" => Ok(()),
        left => Err(format!("{left} are left")),
    });
    scene.becomes(&scene.topic.read());
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_topic_that_is_made_anew_has_another_id() {
    let Some(kafka) = real_kafka() else { return };
    let topic = Topic::create(kafka, "ids", 1);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    let consumer = kol_common::kafka::consumer(config).unwrap();
    let names = [topic.name.clone(), "there-is-no-such-topic".to_owned()];
    let id = || {
        let ids = kol_common::kafka::topic_ids(consumer.client(), &names, LIMIT).unwrap();
        assert_eq!(ids.len(), 1, "only of what is there: {ids:?}");
        ids[&topic.name]
    };
    let first = id();
    assert_eq!(id(), first);
    topic.make_anew();
    assert_ne!(id(), first);
}

#[test]
fn a_topic_that_is_made_anew_and_has_outgrown_the_position_is_known_by_its_id() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 9_000, 10);
    let (old, rest) = records.split_at(200);
    let (second, third) = rest.split_at(4_400);
    // Each log has creators that the next one does not have, and more records.
    let of = |records: &[Record], ends: &[u8]| -> Vec<Record> {
        let last = |r: &&Record| r.key.as_ref().and_then(|key| key.last().copied());
        let chosen = |r: &&Record| last(r).is_some_and(|last| ends.contains(&last));
        records.iter().filter(chosen).cloned().collect()
    };
    let (second, third) = (of(second, b"12"), of(third, b"234"));
    assert!(old.len() * 2 < second.len() && second.len() * 5 < third.len() * 4);
    let mut scene = scene(kafka, 2, old);
    scene.cluster.allow("LOG_RECREATED", "it was");
    scene.cluster.allow("EXECUTOR_SUSPECT", "it was killed");
    scene.cluster.allow("EXECUTOR_LOST", "it was killed");
    scene
        .cluster
        .allow("EPOCH_ABORTED", "the log was recreated");
    scene
        .cluster
        .wait_caught_up(&scene.job, old.len() as u64, LIMIT);
    knows_its_topic(&scene.cluster, &scene.job);
    // First while nobody looks, then under the eyes of a reader.
    scene.cluster.executors[0].kill();
    scene.topic.make_anew();
    scene.topic.produce(&second);
    scene.cluster.add_executor();
    scene.becomes(&scene.topic.read());
    scene.topic.make_anew();
    scene.topic.produce(&third);
    let log = scene.topic.read();
    assert_eq!(log.len(), third.len());
    scene.becomes(&log);
    let status = scene.cluster.try_status(&scene.job).unwrap();
    let creators: std::collections::BTreeSet<_> = log.iter().map(|r| r.key.clone()).collect();
    assert_eq!(status.kols, creators.len() as u64, "of the last log only");
    let told = |w: &String| w.contains("their topic was recreated");
    assert!(status.warnings.iter().any(told), "{:?}", status.warnings);
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_job_that_must_not_lose_data_fails_when_its_topic_was_made_anew() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 2_000, 13);
    let topic = Topic::create(kafka, "fails", 1);
    topic.produce(&records[..200]);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = Job {
        source: "on_data_loss = \"fail\"".into(),
        ..Job::replay(SCORING)
    };
    let id = cluster.submit(&job, &topic, &redis);
    cluster.wait_caught_up(&id, 200, LIMIT);
    knows_its_topic(&cluster, &id);
    topic.make_anew();
    topic.produce(&records[200..]);
    let status = cluster.wait_state(&id, JobState::Failed);
    assert!(status.reason.contains("was recreated"), "{}", status.reason);
}

#[test]
fn partitions_that_are_added_are_read_while_the_others_go_on() {
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

/// Epochs come each second, also while the broker starts again: this one keeps those from before that.
fn keeps_many_epochs() -> Job {
    Job {
        sink: "[checkpoint]\nretain = 100".into(),
        ..Job::replay(SCORING)
    }
}

/// What a broker that was killed explains.
fn allow_lost_tail(cluster: &mut Cluster) {
    for (code, reason) in [
        ("DATA_LOSS", "the broker lost the tail of a log"),
        ("EPOCH_ABORTED", "a partition went back"),
        ("PARTITION_ENDED", "see the executor's line"),
    ] {
        cluster.allow(code, reason);
    }
}

#[test]
fn a_log_that_lost_its_tail_is_read_again_from_a_checkpoint_before_the_cut() {
    let Some(kafka) = Kafka::own() else { return };
    let records = generated(Key::Username, 40, 2_000, 17);
    let mut scene = scene_of(&keeps_many_epochs(), kafka, 1, &records[..1_000]);
    allow_lost_tail(&mut scene.cluster);
    scene.cluster.wait_caught_up(&scene.job, 1_000, LIMIT);
    knows_its_topic(&scene.cluster, &scene.job);
    // Creators that the log will not have: they must leave.
    scene.topic.produce(&records[1_000..1_400]);
    scene.cluster.wait_caught_up(&scene.job, 1_400, LIMIT);
    let end = kafka.lose_tail(&scene.topic.name, 0, 1_000);
    assert_eq!(end, 1_000);
    scene.becomes(&scene.topic.read());
    let runs = |status: &JobStatus| status.state() == JobState::Running;
    let status = scene
        .cluster
        .wait_status(&scene.job, "runs again", LIMIT, runs);
    let loss = status.warnings.iter().find(|w| w.starts_with("DATA_LOSS"));
    let loss = loss.expect("a warning");
    assert!(loss.contains("offsets 1000 to 1399"), "{loss}");
    assert!(loss.contains("the log as it is now"), "{loss}");
    let totals = status.totals.unwrap();
    assert_eq!((totals.truncated, totals.new_logs), (400, 0));
    scene.topic.produce(&records[1_400..]);
    scene.becomes(&scene.topic.read());
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_log_that_lost_its_tail_and_has_grown_past_the_position_again_is_noticed() {
    let Some(kafka) = Kafka::own() else { return };
    let records = generated(Key::Username, 40, 2_600, 18);
    let mut scene = scene_of(&keeps_many_epochs(), kafka, 1, &records[..1_000]);
    allow_lost_tail(&mut scene.cluster);
    scene.cluster.allow("EXECUTOR_SUSPECT", "it was killed");
    scene.cluster.allow("EXECUTOR_LOST", "it was killed");
    scene.cluster.wait_caught_up(&scene.job, 1_000, LIMIT);
    knows_its_topic(&scene.cluster, &scene.job);
    scene.topic.produce(&records[1_000..1_400]);
    scene.cluster.wait_caught_up(&scene.job, 1_400, LIMIT);
    // An epoch that has the records which will be lost, and then nobody who reads.
    let all = |status: &kol_common::proto::JobStatus| status.checkpoint.unwrap().committed_count;
    let before = all(&scene.cluster.try_status(&scene.job).unwrap());
    let what = "two more checkpoints";
    scene
        .cluster
        .wait_status(&scene.job, what, LIMIT, |status| all(status) >= before + 2);
    scene.cluster.executors[0].kill();
    kafka.lose_tail(&scene.topic.name, 0, 1_000);
    kafka.lose_session();
    scene.topic.produce(&records[1_400..]);
    scene.cluster.add_executor();
    scene.becomes(&scene.topic.read());
    let status = scene.cluster.try_status(&scene.job).unwrap();
    let loss = status.warnings.iter().find(|w| w.starts_with("DATA_LOSS"));
    let loss = loss.expect("a warning");
    assert!(loss.contains("offsets 1000 to 1399"), "{loss}");
    assert_eq!(status.totals.unwrap().truncated, 400);
    scene.cluster.assert_no_complaints();
}

/// Waits for epochs that have everything that was read so far.
fn wait_two_epochs(scene: &Scene) {
    let count = |status: &JobStatus| status.checkpoint.unwrap().committed_count;
    let before = count(&scene.cluster.try_status(&scene.job).unwrap());
    let two_more = |status: &JobStatus| count(status) >= before + 2;
    let what = "two more checkpoints";
    scene.cluster.wait_status(&scene.job, what, LIMIT, two_more);
}

/// One broker loses power, and stays the leader. No leader epoch shows what it lost.
#[test]
fn a_log_that_has_grown_again_under_the_same_leader_epoch_is_known_by_its_last_record() {
    let Some(kafka) = Kafka::own() else { return };
    let records = generated(Key::Username, 40, 4_000, 20);
    let mut scene = scene_of(&keeps_many_epochs(), kafka, 1, &records[..1_000]);
    allow_lost_tail(&mut scene.cluster);
    for code in ["EXECUTOR_SUSPECT", "EXECUTOR_LOST"] {
        scene.cluster.allow(code, "it was killed");
    }
    scene.cluster.wait_caught_up(&scene.job, 1_000, LIMIT);
    knows_its_topic(&scene.cluster, &scene.job);
    wait_two_epochs(&scene);
    let lost = |scene: &Scene, range: &str| {
        let status = scene.cluster.try_status(&scene.job).unwrap();
        let loss = status.warnings.iter().find(|w| w.starts_with("DATA_LOSS"));
        let loss = loss.unwrap_or_else(|| panic!("{:?}", status.warnings));
        assert!(loss.contains(range), "{loss}");
    };
    // Under the eyes of a reader, whose connection is lost.
    scene.topic.produce(&records[1_000..1_400]);
    scene.cluster.wait_caught_up(&scene.job, 1_400, LIMIT);
    kafka.lose_tail(&scene.topic.name, 0, 1_000);
    scene.topic.produce(&records[1_400..2_600]);
    scene.becomes(&scene.topic.read());
    lost(&scene, "offsets 1000 to 1399");
    // While nobody looks, behind an epoch that has what is lost.
    wait_two_epochs(&scene);
    scene.topic.produce(&records[2_600..3_000]);
    scene
        .cluster
        .wait_status(&scene.job, "all is read", LIMIT, |status| {
            let reports = status.partitions.iter().filter_map(|p| p.report.as_ref());
            reports.map(|r| r.position).sum::<u64>() == 2_600
        });
    wait_two_epochs(&scene);
    scene.cluster.executors[0].kill();
    kafka.lose_tail(&scene.topic.name, 0, 2_200);
    scene.topic.produce(&records[3_000..]);
    scene.cluster.add_executor();
    scene.becomes(&scene.topic.read());
    lost(
        &scene,
        "2200 to 2599 (not all of them; 2599 is another record now)",
    );
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_job_that_must_not_lose_data_fails_with_the_range_when_its_log_lost_its_tail() {
    let Some(kafka) = Kafka::own() else { return };
    let records = generated(Key::Username, 40, 500, 19);
    let topic = Topic::create(kafka, "tail", 1);
    topic.produce(&records);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = Job {
        source: "on_data_loss = \"fail\"".into(),
        ..Job::replay(SCORING)
    };
    let id = cluster.submit(&job, &topic, &redis);
    cluster.wait_caught_up(&id, 500, LIMIT);
    let end = kafka.lose_tail(&topic.name, 0, 300);
    let status = cluster.wait_state(&id, JobState::Failed);
    let range = format!("records {end} to 499 were read and no longer exist");
    assert!(status.reason.contains(&range), "{}", status.reason);
}
