//! Whose keys in Redis are: jobs of one cluster and of several on one server, and a server that may evict them.

use std::time::Duration;

use kol_common::proto::JobState;
use kol_fold::Record;
use kol_harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, generated, wait_for};

const LIMIT: Duration = Duration::from_secs(60);
const RECORD: &str = "streaming:ranking:*:trending:owner";

/// A log and the Redis that all clusters share.
struct Scene {
    topic: Topic,
    redis: RedisServer,
    records: Vec<Record>,
}

impl Scene {
    fn new(name: &str) -> Self {
        let scene = Self {
            topic: Topic::create(Kafka::shared(), name, 2),
            redis: RedisServer::start(),
            records: generated(Key::Username, 60, 2_000, 17),
        };
        scene.topic.produce(&scene.records);
        scene
    }

    fn url(&self) -> String {
        self.redis.url()
    }

    /// A spec in the folder of a cluster; answers the name of the file.
    fn spec(&self, cluster: &Cluster, job: &str, redis: &str, sink: &str) -> String {
        let job = Job {
            name: job.into(),
            sink: sink.into(),
            ..Job::replay("window = \"24h\"\nslide = \"1h\"")
        };
        let toml = job.toml(self.topic.kafka().bootstrap(), &[&self.topic.name], redis);
        let file = format!("{}.toml", job.name);
        std::fs::write(cluster.folder().join(&file), toml).unwrap();
        file
    }

    /// A cluster that runs a job of this name on the default keys.
    fn cluster_with(&self, job: &str) -> Cluster {
        let cluster = Cluster::start_with(1, &[("HOSTNAME", "web-7")]);
        let file = self.spec(&cluster, job, &self.url(), "");
        cluster.client(&["submit", &file]).done();
        cluster.wait_caught_up(job, self.records.len() as u64, LIMIT);
        cluster
    }

    fn wait_released(&self) {
        wait_for("the records of the job to go", LIMIT, || {
            let found = self.redis.cli("KEYS *:owner");
            found.trim().is_empty().then_some(()).ok_or(found)
        });
    }

    fn wait_owner(&self, job: &str) {
        wait_for("the job to own the keys", LIMIT, || {
            let found = self.of_record("job");
            (found == job).then_some(()).ok_or(found)
        });
    }

    fn of_record(&self, field: &str) -> String {
        let value = self.redis.cli(&format!("HGET {RECORD} {field}"));
        value.trim().to_owned()
    }
}

/// What is to be expected where keys are taken.
fn allow_take_over(cluster: &mut Cluster) {
    for code in ["SINK_TAKEN_OVER", "PARTITION_ENDED", "FENCED"] {
        cluster.allow(code, "another cluster takes the keys");
    }
}

#[test]
fn two_spellings_of_one_redis_are_one_and_its_databases_are_several() {
    let scene = Scene::new("spellings");
    let cluster = scene.cluster_with("one");
    let port = scene.redis.port();
    for url in [
        format!("redis://localhost:{port}/0"),
        format!("redis://localhost:{port}"),
        format!("redis://127.0.0.1:{port}"),
    ] {
        let file = scene.spec(&cluster, "two", &url, "");
        let refused = cluster.client(&["submit", &file]);
        let said = refused.fails(2);
        assert!(said.contains("SINK_KEYS_TAKEN"), "{url}: {said}");
        assert!(said.contains("job `one`"), "{url}: {said}");
    }
    let other_database = format!("redis://localhost:{port}/1");
    let file = scene.spec(&cluster, "two", &other_database, "");
    cluster.client(&["submit", &file]).done();
    cluster.wait_state("two", JobState::Running);
    let keys = "keys = { ranking = \"3:r:{platform}\", hash = \"3:h:{platform}:{kol}\", last_update = \"3:u\", \
                last_event = \"3:e\" }";
    let file = scene.spec(
        &cluster,
        "three",
        &format!("redis://localhost:{port}"),
        keys,
    );
    cluster.client(&["submit", &file]).done();
    cluster.wait_state("three", JobState::Running);
    cluster.assert_equals_fold("one", &scene.topic, &scene.redis, LIMIT);
    cluster.assert_no_complaints();
}

#[test]
fn of_two_clusters_on_a_fresh_redis_the_second_is_refused_until_the_first_has_ended() {
    let scene = Scene::new("clusters");
    let second = Cluster::start(1);
    let file = scene.spec(&second, "two", &scene.url(), "");
    let first = scene.cluster_with("one");
    let refused = second.client(&["submit", &file]);
    let said = refused.fails(2);
    let (cluster, port) = (
        scene.of_record("cluster"),
        first.grpc().rsplit(':').next().unwrap(),
    );
    for part in [
        "SINK_KEYS_OWNED",
        &format!("job `one` of cluster {cluster} (master on web-7:{port})"),
        "sign of life was",
        "stop one",
        "[sink.keys]",
        "--take-over",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        second.client(&["jobs"]).done().lines().count() <= 1,
        "nothing was started"
    );
    first.assert_equals_fold("one", &scene.topic, &scene.redis, LIMIT);
    first.stop("one");
    scene.wait_released();
    second.client(&["submit", &file]).done();
    second.assert_equals_fold("two", &scene.topic, &scene.redis, LIMIT);
    first.assert_no_complaints();
    second.assert_no_complaints();
}

#[test]
fn a_job_whose_keys_are_taken_over_fails_and_says_by_whom() {
    let scene = Scene::new("takeover");
    let mut first = scene.cluster_with("kol");
    allow_take_over(&mut first);
    let second = Cluster::start(1);
    let file = scene.spec(&second, "kol", &scene.url(), "");
    let taken = second.client(&["submit", &file, "--take-over"]);
    assert!(taken.done().contains("warning: the keys"), "{taken:?}");
    let status = first.wait_state("kol", JobState::Failed);
    wait_for("the second to own the keys", LIMIT, || {
        let host = scene.of_record("host");
        (!host.starts_with("web-7")).then_some(()).ok_or(host)
    });
    let cluster = scene.of_record("cluster");
    for part in [
        "SINK_TAKEN_OVER",
        &format!("job `kol` of cluster {cluster}"),
        "took over the keys",
        "--take-over",
    ] {
        assert!(status.reason.contains(part), "{part}: {}", status.reason);
    }
    let over = first.client(&["stop", "kol"]);
    assert!(over.fails(2).contains("JOB_OVER"), "{over:?}");
    second.assert_equals_fold("kol", &scene.topic, &scene.redis, LIMIT);
    // Back again: from the checkpoint that the first still has.
    let file = scene.spec(&first, "kol", &scene.url(), "");
    let refused = first.client(&["submit", &file]);
    assert!(refused.fails(2).contains("SINK_KEYS_OWNED"), "{refused:?}");
    first.client(&["submit", &file, "--take-over"]).done();
    second.wait_state("kol", JobState::Failed);
    first.assert_equals_fold("kol", &scene.topic, &scene.redis, LIMIT);
    first.assert_no_complaints();
}

#[test]
fn executors_whose_master_is_away_stop_writing_when_their_keys_are_taken_over() {
    let scene = Scene::new("orphaned");
    let mut first = scene.cluster_with("one");
    allow_take_over(&mut first);
    first.allow("SESSION_LOST", "the master is killed");
    first.master.kill();
    let second = Cluster::start(1);
    // Other fences: only the owner record says that the first is no longer wanted.
    let file = scene.spec(&second, "two", &scene.url(), "");
    second.client(&["submit", &file, "--take-over"]).done();
    first.executors[0].wait_code("SINK_TAKEN_OVER", 0, LIMIT);
    second.assert_equals_fold("two", &scene.topic, &scene.redis, LIMIT);
    first.assert_no_complaints();
}

#[test]
fn an_owner_that_is_gone_for_good_is_replaced_with_a_warning_after_a_minute() {
    let scene = Scene::new("gone");
    let mut first = scene.cluster_with("kol");
    first.master.kill();
    first.executors[0].kill();
    let second = Cluster::start(1);
    let file = scene.spec(&second, "kol", &scene.url(), "");
    let refused = second.client(&["submit", &file]);
    assert!(refused.fails(2).contains("SINK_KEYS_OWNED"), "{refused:?}");
    // A minute passes.
    let records = scene.redis.cli("KEYS *:owner");
    for record in records.lines() {
        let seen = scene.redis.cli(&format!("HGET {record} seen"));
        let before = seen.trim().parse::<u64>().unwrap() - 61_000;
        scene.redis.cli(&format!("HSET {record} seen {before}"));
    }
    let taken = second.client(&["submit", &file]);
    let warned =
        "warning: the keys `ranking:{platform}:trending` are taken over from job `kol` of cluster";
    assert!(taken.done().contains(warned), "{taken:?}");
    second.assert_equals_fold("kol", &scene.topic, &scene.redis, LIMIT);
    let status = second.try_status("kol").unwrap();
    assert!(
        status
            .warnings
            .iter()
            .any(|w| w.contains("master on web-7:")),
        "{status:?}"
    );
    second.assert_no_complaints();
}

#[test]
fn a_master_that_was_killed_keeps_its_job_while_executors_give_signs_of_life() {
    let scene = Scene::new("survives");
    let mut first = scene.cluster_with("kol");
    first.allow("SESSION_LOST", "the master is killed");
    let since = scene.of_record("since");
    first.master.kill();
    let seen = scene.of_record("seen");
    wait_for("a sign of life of an executor", LIMIT, || {
        let now = scene.of_record("seen");
        (now != seen).then_some(()).ok_or(now)
    });
    let second = Cluster::start(1);
    let file = scene.spec(&second, "kol", &scene.url(), "");
    let refused = second.client(&["submit", &file]);
    assert!(refused.fails(2).contains("SINK_KEYS_OWNED"), "{refused:?}");
    first.restart_master();
    first.wait_state("kol", JobState::Running);
    let more = generated(Key::Username, 60, 500, 18);
    scene.topic.produce(&more);
    first.assert_equals_fold("kol", &scene.topic, &scene.redis, LIMIT);
    assert_eq!(scene.of_record("since"), since);
    first.assert_no_complaints();
}

#[test]
fn a_job_keeps_its_keys_when_redis_is_restored_from_a_dump_in_which_they_were_anothers() {
    let mut scene = Scene::new("restored");
    let first = scene.cluster_with("one");
    let dump = RedisServer::start();
    dump.replicate(&scene.redis);
    dump.promote();
    first.stop("one");
    scene.wait_released();
    let mut second = Cluster::start(1);
    for code in ["SINK_PAUSED", "REDIS_LOST_DATA"] {
        second.allow(code, "Redis is restored");
    }
    let file = scene.spec(&second, "two", &scene.url(), "");
    second.client(&["submit", &file]).done();
    second.wait_caught_up("two", scene.records.len() as u64, LIMIT);
    scene.redis.down();
    scene.redis.up();
    scene.redis.replicate(&dump);
    assert_eq!(
        scene.of_record("job"),
        "one",
        "that has not been silent for long"
    );
    scene.redis.promote();
    scene.wait_owner("two");
    scene.topic.produce(&generated(Key::Username, 60, 500, 18));
    second.assert_equals_fold("two", &scene.topic, &scene.redis, LIMIT);
    let status = second.wait_state("two", JobState::Running);
    assert!(status.warnings.is_empty(), "{status:?}");
    first.assert_no_complaints();
    second.assert_no_complaints();
}

#[test]
fn a_redis_that_was_emptied_has_the_owner_on_record_again_before_another_cluster_comes() {
    let scene = Scene::new("emptied");
    let second = Cluster::start(1);
    let file = scene.spec(&second, "two", &scene.url(), "");
    let mut first = scene.cluster_with("one");
    first.allow("SESSION_LOST", "the master is killed");
    first.allow("REDIS_LOST_DATA", "it is emptied");
    // Only executors are left to write them.
    first.master.kill();
    scene.redis.cli("FLUSHALL");
    scene.wait_owner("one");
    let refused = second.client(&["submit", &file]);
    let said = refused.fails(2);
    assert!(said.contains("SINK_KEYS_OWNED"), "{said}");
    assert!(said.contains("(master on web-7:"), "{said}");
    first.restart_master();
    first.assert_equals_fold("one", &scene.topic, &scene.redis, LIMIT);
    first.assert_no_complaints();
    second.assert_no_complaints();
}

#[test]
fn a_policy_that_evicts_is_a_warning_of_submit_and_a_problem_until_it_is_right() {
    let scene = Scene::new("evicts");
    scene.redis.cli("CONFIG SET maxmemory 500mb");
    scene.redis.cli("CONFIG SET maxmemory-policy allkeys-lru");
    let cluster = Cluster::start(1);
    let file = scene.spec(&cluster, "kol", &scene.url(), "");
    let submitted = cluster.client(&["submit", &file]);
    let command = "CONFIG SET maxmemory-policy noeviction";
    assert!(
        submitted.done().contains("warning: SINK_EVICTS"),
        "{submitted:?}"
    );
    assert!(submitted.done().contains(command), "{submitted:?}");
    let status = cluster.wait_status("kol", "the policy is a problem", LIMIT, |status| {
        status.problems.iter().any(|p| p.code == "SINK_EVICTS")
    });
    assert!(status.problems[0].help.contains(command), "{status:?}");
    assert!(scene.redis.cli(command).starts_with("OK"));
    cluster.wait_status("kol", "the policy is right", LIMIT, |status| {
        status.state() == JobState::Running && status.problems.is_empty()
    });
    cluster.assert_equals_fold("kol", &scene.topic, &scene.redis, LIMIT);
    cluster.assert_no_complaints();
}

#[test]
fn a_job_that_a_newer_generation_in_redis_refuses_takes_a_newer_one_and_keeps_its_state() {
    let scene = Scene::new("outranked");
    let mut redis = scene.redis.connect();
    let mut known = |platform: &str, generation: u64| {
        let record = format!("streaming:ranking:{platform}:trending:generation");
        let mut set = redis::cmd("SET");
        set.arg(record).arg(format!("{generation} live"));
        set.exec(&mut redis).unwrap();
        scene.redis.cli(&format!(
            "SADD streaming:ranking:*:trending:platforms {platform}"
        ));
    };
    // Of a platform that the job has no events of.
    known("youtube", 900);
    let mut cluster = scene.cluster_with("kol");
    for code in [
        "FENCED",
        "PARTITION_ENDED",
        "PARTITION_FAILED",
        "GENERATION_RAISED",
    ] {
        cluster.allow(code, "a newer generation is on record");
    }
    let generation = || cluster.try_status("kol").unwrap().generation;
    assert_eq!(generation(), 901);
    known("tiktok", 5_000);
    let more = generated(Key::Username, 60, 500, 18);
    scene.topic.produce(&more);
    cluster.wait_caught_up("kol", 2_500, LIMIT);
    assert_eq!(generation(), 5_001);
    cluster.assert_equals_fold("kol", &scene.topic, &scene.redis, LIMIT);
    cluster.assert_no_complaints();
}
