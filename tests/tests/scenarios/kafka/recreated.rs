//! A topic that is deleted and created again under the same name.

use kol_common::proto::JobState;
use kol_fold::Record;
use kol_harness::{Cluster, Job, Key, RedisServer, Topic, generated};
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer as _;

use super::{LIMIT, SCORING, Scene, knows_its_topic, real_kafka, scene, wait_epoch_of};

#[test]
fn a_recreated_topic_is_read_from_its_beginning_with_a_state_of_its_own() {
    let Some(kafka) = real_kafka() else { return };
    let records = generated(Key::Username, 40, 2_000, 7);
    let (old, new) = records.split_at(1_500);
    // Far fewer creators, so that anything left of the old log shows.
    let few = |r: &&Record| r.key.as_ref().is_some_and(|key| key.ends_with(b"1"));
    let new: Vec<Record> = new.iter().filter(few).cloned().collect();
    let mut scene = scene(kafka, 2, old);
    scene.cluster.allow("LOG_RECREATED", "it was");
    scene.cluster.wait_caught_up(&scene.job, 1_500, LIMIT);
    scene.topic.recreate();
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
    // Three more checkpoints, from here on of the new log only: each has a record more.
    for read in 1..=3 {
        scene.topic.produce(&new[..1]);
        wait_epoch_of(&scene, new.len() + read);
    }
    let log = scene.topic.read();
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
    topic.recreate();
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
    scene.topic.recreate();
    scene.topic.produce(new);
    kol_harness::wait_for("creators of youtube to leave", LIMIT, || match ranked() {
        left if left.trim() == "0" => Ok(()),
        left => Err(format!("{left} are left")),
    });
    scene.becomes(&scene.topic.read());
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_recreated_topic_has_another_id() {
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
    topic.recreate();
    assert_ne!(id(), first);
}

#[test]
fn a_recreated_topic_that_has_outgrown_the_position_is_known_by_its_id() {
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
    scene.topic.recreate();
    scene.topic.produce(&second);
    scene.cluster.add_executor();
    scene.becomes(&scene.topic.read());
    scene.topic.recreate();
    scene.topic.produce(&third);
    let log = scene.topic.read();
    assert_eq!(log.len(), third.len());
    scene.becomes(&log);
    let status = scene.cluster.try_status(&scene.job).unwrap();
    let creators: std::collections::BTreeSet<_> = log.iter().map(|r| r.key.clone()).collect();
    assert_eq!(status.kols, creators.len() as u64, "of the last log only");
    let warns = |w: &String| w.contains("their topic was recreated");
    assert!(status.warnings.iter().any(warns), "{:?}", status.warnings);
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_job_that_must_not_lose_data_fails_when_its_topic_was_recreated() {
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
    topic.recreate();
    topic.produce(&records[200..]);
    let status = cluster.wait_state(&id, JobState::Failed);
    assert!(status.reason.contains("was recreated"), "{}", status.reason);
}
