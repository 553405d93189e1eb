//! A Kafka behind a login and TLS: with the right settings Redis equals the fold, and each wrong setting is
//! named by a code of its own, in `check --connect` and in the status.

use std::time::Duration;

use kol_common::proto::JobState;
use kol_harness::{ClientRun, Cluster, Job, Key, RedisServer, Secured, Topic, generated};

const LIMIT: Duration = Duration::from_secs(60);
const DAYS: &str = "window = \"24h\"\nslide = \"1h\"";
const PASSWORD: &str = "env:KOL_SECRET_KAFKA";

/// Properties of a job that logs in, with this way and this password, and trusts the CA.
fn login(mechanism: &str, password: &str) -> String {
    let ca = "\"ssl.ca.pem\" = \"env:KOL_SECRET_CA\"\n";
    distrustful(mechanism, password) + ca
}

/// The same without that CA.
fn distrustful(mechanism: &str, password: &str) -> String {
    format!(
        "[source.properties]\n\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \
         \"{mechanism}\"\n\"sasl.username\" = \"kol\"\n\"sasl.password\" = \"{password}\"\n"
    )
}

fn job(name: &str, source: String) -> Job {
    Job {
        name: name.into(),
        source,
        ..Job::replay(DAYS)
    }
}

/// `check --connect` of a spec in a file of that name.
fn check(cluster: &Cluster, name: &str, spec: &str) -> ClientRun {
    let file = format!("{name}.toml");
    std::fs::write(cluster.folder().join(&file), spec).unwrap();
    cluster.client(&["check", &file, "--connect"])
}

/// `generate`, `replay` and `peek` log in as a job spec says.
fn log_in_by_a_spec(cluster: &Cluster, secured: &Secured, spec: &str) {
    let topic = Topic::create(secured.kafka, "by-spec", 1);
    let with_spec = |arguments: &[&str]| cluster.client(&[arguments, &["--spec", spec]].concat());
    let made = ["generate", "--to", "kafka", "--topic", &topic.name];
    let few = ["--count", "3", "--start", "2026-11-20T00:00:00Z"];
    with_spec(&[&made[..], &few].concat()).done();
    let line = r#"{"username":"by_spec","video_id":"1","like_count":7}"#;
    std::fs::write(cluster.folder().join("line.jsonl"), line).unwrap();
    let replay = ["replay", "line.jsonl", "--topic", &topic.name];
    let replayed = with_spec(&replay);
    assert!(replayed.done().starts_with("1 records in "), "{replayed:?}");
    assert_eq!(topic.read().len(), 4);
    let peek = ["peek", &topic.name, "-n", "1"];
    let shown = with_spec(&peek);
    assert!(shown.done().contains("by_spec"), "{shown:?}");
}

/// Without a spec nobody is let in.
fn is_refused_without_a_spec(cluster: &Cluster, secured: &Secured) {
    for command in [
        &["peek", "by-spec", "-n", "1"][..],
        &["replay", "line.jsonl", "--topic", "by-spec"],
        &["generate", "--to", "kafka", "--topic", "by-spec"],
    ] {
        let refused = cluster.client(&[command, &["--bootstrap", &secured.secure]].concat());
        assert!(refused.fails(4).contains("SOURCE_PROTOCOL"), "{refused:?}");
    }
}

#[test]
fn each_way_in_that_fails_has_a_code_of_its_own_and_the_right_ones_end_in_the_law() {
    let Some(secured) = Secured::start() else {
        eprintln!("NOT TESTED: this scenario needs real Kafka");
        return;
    };
    let topic = Topic::create(secured.kafka, "secured", 2);
    topic.produce(&generated(Key::Username, 20, 500, 71));
    let (_, password) = secured.login();
    let variables = [
        ("KOL_SECRET_KAFKA", password),
        ("KOL_SECRET_WRONG", "wrong-and-secret"),
        ("KOL_SECRET_LISTED", password),
        ("KOL_SECRET_LISTED_HOSTS", "localhost"),
        ("KOL_SECRET_CA", &secured.ca),
    ];
    let cluster = Cluster::start_with(1, &variables);
    for mechanism in ["SCRAM-SHA-256", "PLAIN"] {
        let redis = RedisServer::start();
        let job = job(mechanism, login(mechanism, PASSWORD));
        let spec = job.toml(&secured.secure, &[&topic.name], &redis.url());
        check(&cluster, mechanism, &spec).done();
        let id = cluster.try_submit(spec).unwrap().job_id;
        cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
        cluster.stop(&id);
    }
    log_in_by_a_spec(&cluster, &secured, "SCRAM-SHA-256.toml");
    log_in_by_a_spec(&cluster, &secured, "PLAIN.toml");
    is_refused_without_a_spec(&cluster, &secured);
    let redis = RedisServer::start();
    let plain = secured.kafka.bootstrap();
    let tls = "[source.properties]\n\"security.protocol\" = \"ssl\"\n";
    let wrong = login("SCRAM-SHA-256", "env:KOL_SECRET_WRONG");
    let cases = [
        ("password", &*secured.secure, wrong, "SOURCE_AUTH", "login"),
        (
            "plain-password",
            &secured.secure,
            login("PLAIN", "env:KOL_SECRET_WRONG"),
            "SOURCE_AUTH",
            "login",
        ),
        (
            "mechanism",
            &secured.secure,
            login("SCRAM-SHA-512", PASSWORD),
            "SOURCE_MECHANISM",
            "SCRAM-SHA-256",
        ),
        (
            "ca",
            &secured.secure,
            distrustful("PLAIN", PASSWORD),
            "SOURCE_TLS",
            "ssl.ca.pem",
        ),
        (
            "no-login",
            &secured.secure,
            "[source.properties]\n\"security.protocol\" = \"ssl\"\n\"ssl.ca.pem\" = \
             \"env:KOL_SECRET_CA\"\n"
                .to_owned(),
            "SOURCE_PROTOCOL",
            &secured.secure,
        ),
        (
            "plain-text",
            &secured.secure,
            String::new(),
            "SOURCE_PROTOCOL",
            &secured.secure,
        ),
        ("tls", plain, tls.to_owned(), "SOURCE_PROTOCOL", plain),
        (
            "name",
            "nowhere.invalid:9092",
            String::new(),
            "SOURCE_UNREACHABLE",
            "nowhere.invalid:9092",
        ),
        (
            "misnamed",
            &secured.misnamed,
            String::new(),
            "SOURCE_ADVERTISED",
            "broker 1 calls itself nowhere.invalid:",
        ),
    ];
    std::thread::scope(|scope| {
        for (name, bootstrap, source, code, part) in cases {
            let (cluster, redis, topic) = (&cluster, &redis, &topic);
            scope.spawn(move || {
                let spec = job(name, source).toml(bootstrap, &[&topic.name], &redis.url());
                let answer = check(cluster, name, &spec);
                let shown = format!("{}{}", answer.out, answer.err);
                assert!(shown.contains(&format!("{code}:")), "{name}: {shown}");
                assert!(shown.contains(part), "{name}: {shown}");
                assert!(!shown.contains("-and-secret"), "{name}: {shown}");
                assert!(!shown.contains("rdkafka"), "{name}: {shown}");
            });
        }
    });
    // Whoever submits and waits reads the reason, too.
    let wait = ["submit", "password.toml", "--wait", "--timeout", "10s"];
    let submitted = cluster.client(&wait);
    let reason = submitted.fails(5);
    assert!(reason.contains("refuses the login"), "{submitted:?}");
    assert!(reason.contains("invalid credentials"), "{submitted:?}");
    cluster.cancel("password");
    // The brokers of an allowed name call themselves by one that is not on the list of the password.
    let listed = job("listed", login("PLAIN", "env:KOL_SECRET_LISTED"));
    let by_name = secured.secure.replace("127.0.0.1", "localhost");
    let spec = listed.toml(&by_name, &[&topic.name], &redis.url());
    let id = cluster.try_submit(spec).unwrap().job_id;
    let status = cluster.wait_state(&id, JobState::Failed);
    assert!(status.reason.contains("SECRET_HOST"), "{status:?}");
    assert!(status.reason.contains(&secured.secure), "{status:?}");
    let spec = job("misnamed", String::new());
    let spec = spec.toml(&secured.misnamed, &[&topic.name], &redis.url());
    let id = cluster.try_submit(spec).unwrap().job_id;
    let status = cluster.wait_status(&id, "the status names the broker", LIMIT, |status| {
        status
            .problems
            .iter()
            .any(|p| p.code == "SOURCE_ADVERTISED")
    });
    let problem = &status.problems[0];
    assert!(problem.message.contains("nowhere.invalid"), "{problem:?}");
    cluster.cancel(&id);
    cluster.assert_no_complaints();
    secured.kafka.down();
}
