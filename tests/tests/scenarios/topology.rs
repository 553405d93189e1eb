//! Redis as people run it: behind a name that moves, watched by Sentinels, as a Cluster, over TLS with a
//! private CA, for a user with few rights.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kol_fold::Record;
use kol_harness::{
    Cluster, Job, Kafka, Key, Proxy, RedisCluster, RedisServer, Sentinels, Topic, generated,
    wait_for,
};

const LIMIT: Duration = Duration::from_secs(60);
const SCORING: &str = "window = \"24h\"\nslide = \"1h\"";
/// All keys of a job in one hash slot.
const TAGGED: &str = "[sink.keys]\nranking = \"{kols}:ranking:{platform}:trending\"\n\
    hash = \"{kols}:trending:{platform}:{kol}\"\n\
    fence = \"{kols}:streaming:fence:{job}:{topic}:{partition}\"\n\
    last_update = \"{kols}:streaming:last_update\"\nlast_event = \"{kols}:streaming:last_event\"";
const TAG: &str = "{kols}:";

struct Scene {
    topic: Topic,
    cluster: Cluster,
    parts: Vec<Vec<Record>>,
}

impl Scene {
    fn new(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut scene = Self::without_pauses(name, environment);
        scene.allow_pauses();
        scene
    }

    /// As long as Redis takes everything.
    fn without_pauses(name: &str, environment: &[(&str, &str)]) -> Self {
        let records = generated(Key::Username, 60, 3_000, 61);
        Self {
            topic: Topic::create(Kafka::shared(), name, 2),
            cluster: Cluster::start_with(1, environment),
            parts: records.chunks(1_000).map(<[Record]>::to_vec).collect(),
        }
    }

    fn allow_pauses(&mut self) {
        let cluster = &mut self.cluster;
        cluster.allow("SINK_PAUSED", "Redis fails over, or refuses");
        cluster.allow("REDIS_LOST_DATA", "a failover may lose the newest writes");
    }

    /// Submits a job, with one third of the log.
    fn submit(&self, url: &str, sink: &str) -> String {
        let job = Job {
            sink: sink.to_owned(),
            ..Job::replay(SCORING)
        };
        self.topic.produce(&self.parts[0]);
        self.cluster.submit_to(&job, &self.topic, url)
    }

    fn becomes(&self, job: &str, redis: &RedisServer) {
        self.cluster
            .assert_equals_fold(job, &self.topic, redis, LIMIT);
    }
}

#[test]
fn a_name_that_moves_from_a_demoted_replica_to_the_new_primary_is_followed() {
    let scene = Scene::new("name", &[]);
    let (old, new) = (RedisServer::start(), RedisServer::start());
    new.replicate(&old);
    let name = Proxy::to(&old.address());
    let job = scene.submit(&format!("redis://{}/0", name.address()), "");
    scene.becomes(&job, &old);
    new.promote();
    old.follow(&new);
    name.lead_to(&new.address());
    scene.topic.produce(&scene.parts[1]);
    scene.becomes(&job, &new);
    scene.cluster.assert_no_complaints();
}

#[test]
fn sentinels_lead_to_the_primary_and_after_its_end_to_the_next_one() {
    let scene = Scene::new("sentinels", &[]);
    let (mut first, second) = (RedisServer::start(), RedisServer::start());
    second.replicate(&first);
    let sentinels = Sentinels::watch(&first);
    let job = scene.submit(&sentinels.url(), "");
    scene.becomes(&job, &first);
    first.down();
    scene.topic.produce(&scene.parts[1]);
    sentinels.wait_primary(&second);
    scene.becomes(&job, &second);
    assert!(scene.cluster.client(&["top"]).done().contains("kol_"));
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_cluster_whose_hash_slot_moves_and_whose_node_fails_ends_as_the_fold() {
    let scene = Scene::new("slots", &[]);
    let mut redis = RedisCluster::start(1);
    let slot = redis.slot("{kols}");
    let from = redis.owner(slot);
    let to = (from + 1) % 3;
    redis.replicate(3, to);
    let job = scene.submit(&redis.url(), TAGGED);
    let becomes = |redis: &RedisCluster| {
        let owner = redis.owner_now("{kols}:ranking:tiktok:trending");
        let log = scene.topic.read();
        let cluster = &scene.cluster;
        cluster.assert_equals_fold_below(TAG, &job, &log, owner, LIMIT);
    };
    scene.cluster.wait_caught_up(&job, 1_000, LIMIT);
    becomes(&redis);
    scene.topic.produce(&scene.parts[1]);
    redis.move_slot(slot, from, to);
    scene.cluster.wait_caught_up(&job, 2_000, LIMIT);
    becomes(&redis);
    redis.fail(to);
    scene.topic.produce(&scene.parts[2]);
    scene.cluster.wait_caught_up(&job, 3_000, LIMIT);
    becomes(&redis);
    assert!(scene.cluster.client(&["top"]).done().contains("kol_"));
    scene.cluster.assert_no_complaints();
}

/// A CA and, signed by it, certificates of a server and of a client.
fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        let made = command
            .args(arguments.split(' '))
            .current_dir(folder)
            .output();
        let made = made.unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.crt -days 9 -subj /CN=ca"
    ));
    let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
    std::fs::write(folder.join("names"), names).unwrap();
    for name in ["server", "client"] {
        openssl(&format!(
            "req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        let by = "-CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile names";
        openssl(&format!("x509 -req -in {name}.csr -out {name}.crt {by}"));
    }
}

#[test]
fn a_private_ca_is_trusted_by_reference_and_a_client_shows_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let port = kol_harness::free_port();
    let redis = RedisServer::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &path("server.crt"),
        "--tls-key-file",
        &path("server.key"),
        "--tls-ca-cert-file",
        &path("ca.crt"),
    ]);
    let secrets = folder.path().to_str().unwrap();
    let folders = ["KOL_SECRETS_DIR", "KOL_MASTER_SECRETS_DIR"].map(|name| (name, secrets));
    let scene = Scene::new("tls", &folders);
    let url = format!("rediss://127.0.0.1:{port}/0");
    let whole =
        "[sink.tls]\nca = \"file:ca.crt\"\ncert = \"file:client.crt\"\nkey = \"file:client.key\"";
    let spec = |sink: &str| {
        let job = Job {
            sink: sink.to_owned(),
            ..Job::replay(SCORING)
        };
        let bootstrap = scene.topic.kafka().bootstrap();
        let text = job.toml(bootstrap, &[&scene.topic.name], &url);
        std::fs::write(scene.cluster.folder().join("job.toml"), text).unwrap();
        scene.cluster.client(&["check", "job.toml", "--connect"])
    };
    let unknown = spec("");
    assert!(unknown.fails(4).contains("SINK_TLS"), "{unknown:?}");
    assert!(unknown.err.contains("sink.tls.ca"), "{unknown:?}");
    assert!(spec(whole).done().contains("answers, version"));
    let job = scene.submit(&url, whole);
    scene.becomes(&job, &redis);
    assert!(scene.cluster.client(&["top"]).done().contains("kol_"));
    scene.cluster.assert_no_complaints();
}

/// The line of the README that makes a Redis user for a job.
fn user_of_the_readme() -> String {
    let readme = std::fs::read_to_string(kol_harness::root().join("README.md")).unwrap();
    let line = readme
        .lines()
        .find(|line| line.starts_with("ACL SETUSER kol "));
    line.unwrap().to_owned()
}

#[test]
fn a_redis_user_needs_what_the_readme_lists_and_a_right_that_is_missing_is_named() {
    let mut scene = Scene::without_pauses("rights", &[("KOL_SECRET_REDIS", "a-password")]);
    let redis = RedisServer::start();
    let line = user_of_the_readme().replace("PASSWORD", "a-password");
    assert!(redis.cli(&line).starts_with("OK"), "{line}");
    // As the system before this one wrote it: the job takes over its ranking, and removes whom it does not know.
    redis.cli("ZADD ranking:tiktok:trending 19.15 old");
    redis.cli("HSET trending:tiktok:old trending_score 19.15");
    let url = format!("redis://kol@127.0.0.1:{}/0", redis.port());
    let job = scene.submit(&url, "password = \"env:KOL_SECRET_REDIS\"");
    let exists = |key: &str| redis.cli(&format!("EXISTS {key}")).trim() == "1";
    wait_for("the unknown creator to leave", LIMIT, || {
        let there = exists("trending:tiktok:old");
        (!there).then_some(()).ok_or("it is there".into())
    });
    scene.becomes(&job, &redis);
    scene.cluster.allow("REDIS_REPAIRED", "a hash is deleted");
    redis.cli("DEL trending:tiktok:kol_3");
    wait_for("a comparison to bring the hash back", LIMIT, || {
        let there = exists("trending:tiktok:kol_3");
        there.then_some(()).ok_or("it is gone".into())
    });
    scene.cluster.assert_no_complaints();

    scene.allow_pauses();
    redis.cli("ACL SETUSER kol -zadd -evalsha");
    redis.cli("ACL SETUSER kol resetkeys ~ranking:* ~trending:*");
    scene.topic.produce(&scene.parts[1]);
    let problem = |code: &str, words: &[&str]| {
        let what = format!("the status says {code} {words:?}");
        scene.cluster.wait_status(&job, &what, LIMIT, |status| {
            let named = |text: &str| words.iter().all(|word| text.contains(word));
            let mut problems = status.problems.iter();
            problems.any(|p| p.code == code && named(&p.message) && named(&p.help))
        });
    };
    problem("SINK_RIGHTS", &["+evalsha", "+zadd", "~streaming:"]);
    redis.cli("ACL SETUSER kol ~streaming:* +evalsha");
    problem("SINK_RIGHTS", &["+zadd"]);
    redis.cli(&line);
    scene.becomes(&job, &redis);
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_redis_in_protected_mode_is_reported_in_its_own_words() {
    let addresses = Command::new("hostname").arg("-I").output().unwrap();
    let addresses = String::from_utf8_lossy(&addresses.stdout).into_owned();
    let Some(address) = addresses.split(' ').find(|a| a.contains('.')) else {
        eprintln!("NOT TESTED: this machine has no address beside the loopback");
        return;
    };
    let redis = RedisServer::start_with(&["--bind", "0.0.0.0"]);
    let url = format!("redis://{address}:{}/0", redis.port());
    let folder = tempfile::tempdir().unwrap();
    let top = kol_harness::client(folder.path(), &["top", "--redis", &url], &[]);
    let said = top.fails(4);
    assert!(said.contains("SINK_DENIED"), "{said}");
    assert!(said.contains("protected mode"), "{said}");
}
