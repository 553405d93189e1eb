//! Kafka and Redis that are not there, not yet, or refuse: the status says so, and the job continues by
//! itself when they are there.

use std::time::Duration;

use kol_common::proto::JobState;
use kol_harness::{
    Cluster, Job, Kafka, Key, RedisServer, Topic, free_port, generated, unexpected, wait_for,
};

use super::{DAYS, LIMIT, job, wait_problem};

#[test]
fn a_topic_or_a_broker_that_is_not_there_is_named_and_the_job_starts_when_the_topic_is_made() {
    let topic = Topic::planned(Kafka::shared(), "later", 2);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let id = cluster.submit(&job("early", DAYS), &topic, &redis);
    let problem = wait_problem(&cluster, &id, "TOPIC_NOT_FOUND");
    assert!(problem.message.contains(&topic.name), "{problem:?}");
    assert!(problem.help.contains("starts by itself"), "{problem:?}");
    let text = cluster.client(&["status", &id]);
    assert!(text.done().contains("state       starting"), "{text:?}");
    assert!(text.out.contains("Create it"), "{text:?}");

    let nowhere = format!("127.0.0.1:{}", free_port());
    let elsewhere = RedisServer::start();
    let lost = job("lost", DAYS).toml(&nowhere, &["any"], &elsewhere.url());
    let lost = cluster.try_submit(lost).unwrap().job_id;
    let problem = wait_problem(&cluster, &lost, "SOURCE_UNREACHABLE");
    assert!(problem.message.contains(&nowhere), "{problem:?}");
    let waited = cluster.client(&["status", &lost, "--wait", "running", "--timeout", "200ms"]);
    assert!(waited.fails(5).contains(&nowhere), "{waited:?}");
    cluster.cancel(&lost);

    topic.make();
    topic.produce(&generated(Key::Username, 20, 500, 31));
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    cluster.assert_no_complaints();
}

#[test]
fn a_broker_that_goes_down_and_comes_back_is_named_meanwhile_and_read_on() {
    let Some(kafka) = Kafka::own() else {
        eprintln!("NOT TESTED: this scenario needs real Kafka");
        return;
    };
    let topic = Topic::create(kafka, "down", 2);
    let dead_letters = Topic::create(kafka, "dead", 1);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = Job {
        source: format!("dead_letter = \"{}\"", dead_letters.name),
        ..Job::replay(DAYS)
    };
    let records = generated(Key::Username, 20, 2_000, 32);
    let (before, after) = records.split_at(1_000);
    topic.produce(before);
    let id = cluster.submit(&job, &topic, &redis);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    kafka.down();
    let problem = wait_problem(&cluster, &id, "SOURCE_UNREACHABLE");
    assert!(problem.help.contains("by itself"), "{problem:?}");
    assert_eq!(cluster.try_status(&id).unwrap().state(), JobState::Degraded);
    kafka.up();
    topic.produce(after);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    let status = cluster.wait_state(&id, JobState::Running);
    assert_eq!(status.problems, []);
    let dropped = status.totals.unwrap().dead_letter as usize;
    wait_for("all dead letters", LIMIT, || {
        let found = dead_letters.read().len();
        let all = found == dropped;
        all.then_some(()).ok_or(format!("{found} of {dropped}"))
    });
    let executor = unexpected(&cluster.executors[0].log(), &[]);
    assert_eq!(executor, Vec::<String>::new(), "the status says it");
    cluster.assert_no_complaints();
    kafka.down();
}

/// Every look at the job sees this problem, for some seconds in which other requests may succeed.
fn stays(cluster: &Cluster, job: &str, code: &str) {
    for look in 0..25 {
        let status = cluster.try_status(job).unwrap();
        let codes: Vec<_> = status.problems.iter().map(|p| &p.code).collect();
        assert!(codes.iter().any(|c| *c == code), "look {look}: {codes:?}");
        assert_eq!(status.state(), JobState::Degraded, "look {look}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_redis_that_refuses_the_password_the_space_or_to_write_is_named_and_then_filled() {
    let topic = Topic::create(Kafka::shared(), "refused", 2);
    let redis = RedisServer::start_locked("right");
    let secrets = tempfile::tempdir().unwrap();
    let secret = secrets.path().join("redis");
    std::fs::write(&secret, "right").unwrap();
    let folder = secrets.path().display().to_string();
    let folders = ["KOL_SECRETS_DIR", "KOL_MASTER_SECRETS_DIR"].map(|name| (name, &folder));
    let mut cluster = Cluster::start_with(1, &folders);
    cluster.allow("SINK_PAUSED", "Redis refuses");
    cluster.allow("REDIS_LOST_DATA", "it is emptied");
    let records = generated(Key::Username, 60, 3_000, 33);
    let parts: Vec<_> = records.chunks(1_000).collect();
    let locked = Job {
        sink: "password = \"file:redis\"".into(),
        ..Job::replay(DAYS)
    };
    topic.produce(parts[0]);

    redis.cli("CONFIG SET requirepass changed");
    let id = cluster.submit(&locked, &topic, &redis);
    let problem = wait_problem(&cluster, &id, "SINK_AUTH");
    assert!(problem.help.contains("sink.password"), "{problem:?}");
    redis.cli_as(Some("changed"), "CONFIG SET requirepass right");
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);

    // The file is read again with each connection: a rotated password needs no restart.
    for (now, next) in [("right", "rotated"), ("rotated", "right")] {
        std::fs::write(&secret, next).unwrap();
        redis.cli_as(Some(now), &format!("CONFIG SET requirepass {next}"));
        redis.cli_as(Some(next), "CLIENT KILL TYPE normal");
        redis.cli_as(Some(next), "FLUSHALL");
        wait_for("Redis to be filled with the new password", LIMIT, || {
            let there = redis.cli_as(Some(next), "EXISTS streaming:last_update");
            (there.trim() == "1").then_some(()).ok_or(there)
        });
    }
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);

    redis.cli("CONFIG SET maxmemory 1mb");
    topic.produce(parts[1]);
    let problem = wait_problem(&cluster, &id, "SINK_OUT_OF_MEMORY");
    assert!(problem.help.contains("maxmemory"), "{problem:?}");
    stays(&cluster, &id, "SINK_OUT_OF_MEMORY");
    redis.cli("CONFIG SET maxmemory 0");
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);

    redis.cli(&format!("REPLICAOF 127.0.0.1 {}", free_port()));
    topic.produce(parts[2]);
    let problem = wait_problem(&cluster, &id, "SINK_READ_ONLY");
    assert!(problem.help.contains("primary"), "{problem:?}");
    stays(&cluster, &id, "SINK_READ_ONLY");
    redis.cli("REPLICAOF NO ONE");
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);

    wait_for("nothing to be wrong", LIMIT, || {
        let status = cluster.try_status(&id).unwrap();
        let well = status.state() == JobState::Running && status.problems.is_empty();
        well.then_some(()).ok_or(format!("{:?}", status.problems))
    });
    cluster.assert_no_complaints();
}
