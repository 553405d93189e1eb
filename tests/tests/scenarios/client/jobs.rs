//! The life of a job: submit, watch, explain, stop, cancel.

use kol_harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, client, generated, wait_for};
use serde_json::json;

use super::{DAYS, LIMIT, write_spec};

const EVENTS: usize = 1_000;

struct Scene {
    topic: Topic,
    redis: RedisServer,
    cluster: Cluster,
}

/// A cluster with a topic to read, and `job.toml` in the folder that kol-client runs in.
fn scene() -> Scene {
    let topic = Topic::create(Kafka::shared(), "client", 2);
    topic.produce(&generated(Key::Username, 20, EVENTS as u32, 41));
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let folder = cluster.folder();
    let job = Job::replay(DAYS);
    let bootstrap = topic.kafka().bootstrap();
    write_spec(folder, &job, bootstrap, &[&topic.name], &redis.url());
    Scene {
        topic,
        redis,
        cluster,
    }
}

/// The numbers and words that scripts look for.
const KEYS: [&str; 9] = [
    "state",
    "reason",
    "partitions",
    "executors",
    "lag_records",
    "events_total",
    "late_total",
    "dead_letter_total",
    "caught_up",
];

#[test]
fn a_job_is_submitted_once_watched_until_it_has_caught_up_and_stopped() {
    let Scene {
        topic,
        redis,
        cluster,
    } = scene();
    assert!(
        cluster
            .client(&["jobs"])
            .done()
            .contains("No jobs yet: submit one")
    );
    let id = is_submitted_once(&cluster);
    let waiting = [
        "status",
        "scenario",
        "--wait",
        "caught-up",
        "--timeout",
        "30s",
    ];
    cluster.client(&waiting).done();
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    // It is live once it has kept up for a while.
    wait_for("a job that is live", LIMIT, || {
        let text = cluster.client(&["status", "scenario"]).done().to_owned();
        let lines = [
            "state       running",
            "live        yes, and everything is in Redis",
            "lag         0 records",
            "read        1,000 events, 0 late, 2 unusable, 0 lost",
        ];
        let missing = lines.iter().find(|line| !text.contains(**line));
        missing.map_or(Ok(()), |line| Err(format!("{line} is not in {text}")))
    });
    is_shown_as_json(&cluster, &id);
    is_stopped(&cluster, &id);
    is_cancelled(&cluster);
    cluster.assert_no_complaints();
}

fn is_submitted_once(cluster: &Cluster) -> String {
    let run = |arguments: &[&str]| cluster.client(arguments);
    let created = run(&["submit", "job.toml", "--wait", "--timeout", "30s"]);
    let id = created.done().strip_prefix("created ").unwrap().trim();
    let again = run(&["submit", "job.toml"]);
    assert_eq!(again.done(), format!("unchanged {id}\n"));
    let again = run(&["submit", "job.toml", "-o", "json"]).json();
    assert_eq!(
        again,
        json!({"job_id": id, "outcome": "unchanged", "origin": "", "warnings": []})
    );
    let other = run(&["submit", "job.toml", "--set", "scoring.window=12h"]);
    let refusal = other.fails(2);
    assert!(
        refusal.contains("scoring.window was 1day and is now 12h"),
        "{refusal}"
    );
    assert!(refusal.contains("--replace"), "{refusal}");
    id.to_owned()
}

fn is_shown_as_json(cluster: &Cluster, id: &str) {
    let status = cluster.client(&["status", id, "-o", "json"]).json();
    for key in KEYS {
        assert!(!status[key].is_null(), "{key} in {status}");
    }
    assert_eq!(status["events_total"], EVENTS);
    assert_eq!(
        (&status["caught_up"], &status["partitions"]),
        (&json!(true), &json!(2))
    );
    let jobs = cluster.client(&["jobs", "-o", "json"]).json();
    assert_eq!(
        (jobs.as_array().unwrap().len(), &jobs[0]["job_id"]),
        (1, &json!(id))
    );
    assert!(cluster.client(&["jobs"]).done().contains(id));
}

fn is_stopped(cluster: &Cluster, id: &str) {
    let run = |arguments: &[&str]| cluster.client(arguments);
    let stopping = run(&["stop", "scenario"]);
    assert!(
        stopping.done().ends_with(&format!("{id}\n")),
        "{stopping:?}"
    );
    let stopped = run(&["status", id, "--wait", "stopped", "-o", "json"]).json();
    assert_eq!(stopped["state"], "stopped");
    assert!(run(&["stop", "scenario"]).fails(2).contains("over already"));
    let gone = run(&["status", id, "--wait", "running"]);
    assert!(
        gone.fails(6).contains("job scenario is stopped"),
        "{gone:?}"
    );
}

fn is_cancelled(cluster: &Cluster) {
    let run = |arguments: &[&str]| cluster.client(arguments);
    let next = run(&[
        "submit",
        "job.toml",
        "--set",
        "name=next",
        "--wait",
        "-o",
        "json",
    ]);
    assert_eq!(next.json()["outcome"], "created");
    run(&["cancel", "next"]).done();
    let cancelled = run(&["status", "next", "--wait", "stopped", "-o", "json"]).json();
    assert_eq!(cancelled["state"], "cancelled");
}

#[test]
fn what_a_job_does_is_shown_by_partition_executor_creator_and_rank() {
    let Scene {
        topic,
        redis,
        cluster,
    } = scene();
    let run = |arguments: &[&str]| cluster.client(arguments);
    assert!(run(&["top"]).fails(3).contains("top --redis URL"));
    run(&["submit", "job.toml", "--wait"]).done();
    run(&["status", "scenario", "--wait", "caught-up"]).done();
    cluster.assert_equals_fold("scenario", &topic, &redis, LIMIT);

    let partitions = run(&["partitions", "scenario", "-o", "json"]).json();
    let sum = |key: &str| -> u64 {
        let all = partitions.as_array().unwrap().iter();
        all.map(|p| p[key].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("position"), sum("lag_records")), (EVENTS as u64, 0));
    let text = run(&["partitions", "scenario"]);
    assert_eq!(text.done().lines().count(), 3, "{text:?}");
    assert!(
        text.out.contains(&topic.name) && text.out.contains("running"),
        "{text:?}"
    );

    let executors = run(&["executors", "-o", "json"]).json();
    assert_eq!(executors[0]["host"], "executor-0");
    assert_eq!(executors[0]["partitions"], 2);
    assert!(run(&["executors"]).done().contains("of 512 MiB"));

    let top = run(&["top", "-n", "5", "-o", "json"]).json();
    let best = top[0]["kol"].as_str().unwrap();
    assert_eq!(top.as_array().unwrap().len(), 5);
    // Not a terminal: plain lines, once.
    let text = run(&["top", "-n", "5", "--redis", &redis.url()]);
    assert_eq!(text.done().lines().count(), 6, "{text:?}");
    assert!(text.out.lines().nth(1).unwrap().contains(best), "{text:?}");

    explains(&cluster, &redis, best);
    cluster.assert_no_complaints();
}

/// The terms that are shown are those that Redis shows.
fn explains(cluster: &Cluster, redis: &RedisServer, kol: &str) {
    let explained = cluster.client(&["explain", kol, "-o", "json"]).json();
    for (field, key, decimals) in [
        ("velocity", "velocity", 2),
        ("momentum", "momentum", 2),
        ("raw_score", "raw_score", 4),
        ("trending_score", "trending_score", 2),
        ("event_count", "event_count", 0),
    ] {
        let shown = redis.cli(&format!("HGET trending:tiktok:{kol} {field}"));
        let term = explained[key].as_f64().unwrap();
        assert_eq!(shown.trim(), format!("{term:.decimals$}"), "{key}");
    }
    let readings = explained["readings"].as_array().map(Vec::len);
    assert!(readings > Some(0), "{explained}");
    let text = cluster.client(&["explain", kol]);
    let score = explained["trending_score"].as_f64().unwrap();
    let head = format!("{kol} on tiktok: {score:.2} ");
    assert!(text.done().starts_with(&head), "{text:?}");
    let unknown = cluster.client(&["explain", "nobody"]);
    assert!(unknown.fails(3).contains("nobody"), "{unknown:?}");
}

#[test]
fn what_is_not_there_has_an_exit_code_and_says_what_to_do() {
    let cluster = Cluster::start(0);
    for arguments in [
        &["status", "nothing"][..],
        &["status", "nothing", "--wait", "running"],
        &["partitions", "nothing"],
        &["stop", "nothing"],
        &["cancel", "nothing"],
        &["explain", "nobody"],
    ] {
        let answer = cluster.client(arguments);
        assert!(answer.fails(3).contains("kol-client"), "{answer:?}");
        assert_eq!(answer.out, "", "what scripts read stays empty");
    }
    assert!(
        cluster
            .client(&["executors"])
            .done()
            .contains("start one with kol-executor")
    );
    assert_eq!(cluster.client(&["jobs", "-o", "json"]).json(), json!([]));
    let lost = cluster.client(&["jobs", "--master", "http://127.0.0.1:1"]);
    assert!(lost.fails(4).contains("Start kol-master"), "{lost:?}");
    assert!(
        cluster
            .client(&["jobs", "--master", "nowhere at all"])
            .fails(2)
            .contains("--master")
    );
    assert!(
        cluster
            .client(&["submit", "none.toml"])
            .fails(2)
            .contains("none.toml")
    );
    assert!(cluster.client(&["fly"]).fails(2).contains("fly"));
    let help = cluster.client(&["--help"]);
    assert!(
        help.done().contains("Exit codes: 0 done, 1 internal error"),
        "{help:?}"
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = cluster.client(&["completions", shell]);
        let calls = ["KOL_COMPLETE", "kol-client"];
        assert!(
            calls.iter().all(|word| script.done().contains(word)),
            "{shell}"
        );
        let answer = client(
            cluster.folder(),
            &["--", "kol-client", "conv"],
            &[("KOL_COMPLETE", shell), ("_CLAP_COMPLETE_INDEX", "1")],
        );
        assert!(
            answer.done().contains("convert-spark"),
            "{shell}: {answer:?}"
        );
    }
    cluster.assert_no_complaints();
}
