//! Secrets are used and never shown.

use kol_harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, client, generated, http};

use super::{DAYS, LIMIT, alone, write_spec};

const SECRET: &str = "hunter2-and-more";

#[test]
fn a_password_that_a_spec_refers_to_is_used_by_all_and_printed_by_none() {
    let topic = Topic::create(Kafka::shared(), "secret", 1);
    topic.produce(&generated(Key::Username, 10, 200, 51));
    let redis = RedisServer::start_locked(SECRET);
    let cluster = Cluster::start_with(1, &[("KOL_SECRET_REDIS", SECRET)]);
    let job = Job {
        sink: "password = \"env:KOL_SECRET_REDIS\"".into(),
        ..Job::replay(DAYS)
    };
    let bootstrap = topic.kafka().bootstrap();
    write_spec(
        cluster.folder(),
        &job,
        bootstrap,
        &[&topic.name],
        &redis.url(),
    );
    for arguments in [
        &["check", "job.toml", "--connect"][..],
        &["submit", "job.toml", "--wait"],
        &["status", "scenario", "--wait", "caught-up"],
        &["status", "scenario", "-o", "json"],
        &["jobs", "-o", "json"],
        &["partitions", "scenario"],
        &["executors"],
        &["explain", "kol_0", "-o", "json"],
        &["top"],
    ] {
        let answer = cluster.client(arguments);
        let shown = format!("{}{}", answer.done(), answer.err);
        assert!(!shown.contains(SECRET), "{arguments:?}: {shown}");
    }
    cluster.assert_equals_fold("scenario", &topic, &redis, LIMIT);
    for path in ["/api/v1/jobs/scenario", "/metrics"] {
        let page = http::page(cluster.http(), path);
        assert!(
            page.starts_with("HTTP/1.0 200") && !page.contains(SECRET),
            "{page}"
        );
    }
    for process in cluster.executors.iter().chain([&cluster.master]) {
        assert!(!process.log().contains(SECRET), "{}", process.name());
    }
    cluster.assert_no_complaints();
}

#[test]
fn a_password_in_the_wrong_place_is_refused_without_being_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let redis = RedisServer::start_locked("another");
    let job = Job::replay(DAYS);
    let with_password = |port: u16| format!("redis://:{SECRET}@127.0.0.1:{port}/0");
    write_spec(
        folder,
        &job,
        "localhost:9092",
        &["any"],
        &with_password(6379),
    );
    let nobody = with_password(1);
    let wrong = with_password(redis.port());
    let unread = format!("redis://:{SECRET}@127.0.0.1:port");
    let set = format!("sink.password={SECRET}");
    for arguments in [
        &["check", "job.toml"][..],
        &["check", "job.toml", "--set", &set],
        &["submit", "job.toml"],
        &["top", "--redis", &nobody],
        &["top", "--redis", &wrong],
        &["top", "--redis", &unread],
    ] {
        let answer = alone(folder, arguments);
        let shown = format!("{}{}", answer.out, answer.err);
        assert_ne!(answer.code, Some(0), "{arguments:?}: {shown}");
        assert!(!shown.contains(SECRET), "{arguments:?}: {shown}");
    }
    let help = client(folder, &["top", "--help"], &[("KOL_REDIS", &nobody)]);
    assert!(
        help.done().contains("KOL_REDIS") && !help.out.contains(SECRET),
        "{}",
        help.out
    );
    // What it can be read with is not refused.
    let right = format!("redis://:another@127.0.0.1:{}/0", redis.port());
    assert!(
        alone(folder, &["top", "--redis", &right])
            .done()
            .contains("empty")
    );
}
