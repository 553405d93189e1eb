//! Alerts of a real job: each arrives at a topic and at a webhook, under one key, whoever dies meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kol_common::Millis;
use kol_fold::{Fold, Record};
use kol_harness::{Cluster, Job, Kafka, RedisServer, Topic, scoring, wait_for};

const LIMIT: Duration = Duration::from_secs(90);
/// When the made-up records were written: 2025-06-23.
const START: u64 = 1_750_636_800_000;
const HOUR: u64 = 3_600_000;
const KOLS: u64 = 400;
/// Engagement a minute, in a window of 24 h.
const FAST: f64 = 10.0;
/// What the job says of its alerts, under the names of its topic and its webhook.
const RULES: &str = "webhook_token = \"env:KOL_SECRET_HOOK\"\n\
    [[alerts.rules]]\nname = \"fast\"\nvelocity_above = 10\nsilence = \"2d\"\n\
    [[alerts.rules]]\nname = \"never\"\nvelocity_above = 1e9\n";

/// A webhook: the keys and creators that it was posted.
struct Hook {
    url: String,
    posted: Arc<Mutex<Vec<(String, String)>>>,
}

impl Hook {
    /// Refuses so many requests before it takes the first.
    fn start(mut refused: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/kol", listener.local_addr().unwrap());
        let posted: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let all = Arc::clone(&posted);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut request, mut piece) = (Vec::new(), [0; 4_096]);
                while !request.ends_with(b"}") {
                    match stream.read(&mut piece) {
                        Ok(0) | Err(_) => break,
                        Ok(length) => request.extend_from_slice(&piece[..length]),
                    }
                }
                let text = String::from_utf8_lossy(&request);
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let status = if refused > 0 {
                    refused -= 1;
                    "503 Service Unavailable"
                } else {
                    all.lock()
                        .unwrap()
                        .push((key_of(head), kol_of(body.as_bytes())));
                    "204 No Content"
                };
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _the_executor_may_be_gone = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, posted }
    }
}

fn key_of(head: &str) -> String {
    assert!(
        head.to_lowercase().contains("authorization: bearer t0ken"),
        "{head}"
    );
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut keys = lines.filter(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
    keys.next().expect("a key").1.to_owned()
}

fn kol_of(json: &[u8]) -> String {
    let alert: serde_json::Value = serde_json::from_slice(json).unwrap();
    assert_eq!(
        (&alert["rule"], &alert["test"]),
        (&"fast".into(), &false.into())
    );
    alert["kol"].as_str().unwrap().to_owned()
}

/// A reading of the video of a creator.
fn reading(at: u64, number: u64, likes: u64) -> Record {
    let (kol, time) = (format!("kol_{number}"), Millis(at).iso());
    Record {
        timestamp_ms: Some(at),
        key: Some(kol.clone().into()),
        value: Some(
            format!(r#"{{"event_time":"{time}","username":"{kol}","video_id":"v_{kol}","like_count":{likes}}}"#)
                .into(),
        ),
        ..Record::default()
    }
}

/// A reading of each creator in each of six hours; those whose number is even gain more and more.
fn readings() -> Vec<Vec<Record>> {
    let reading = |hour: u64, number: u64| {
        let likes = if number.is_multiple_of(2) {
            hour * (4_000 + number * 10)
        } else {
            hour * number
        };
        reading(START + hour * HOUR + number * 1_000, number, likes)
    };
    let hours = (0..6).map(|hour| (0..KOLS).map(|number| reading(hour, number)).collect());
    hours.collect()
}

/// The creators whose velocity is above the rule's, as the fold has it. Their velocities only grow.
fn expected(cluster: &Cluster, job: &str, topic: &Topic) -> BTreeSet<String> {
    let spec = scoring(&cluster.try_status(job).unwrap());
    let view = Fold::of(&spec, &topic.read()).view().unwrap();
    let is_fast = |numbers: &[(&str, kol_fold::Number)]| {
        numbers
            .iter()
            .any(|(name, number)| *name == "velocity" && number.value > FAST)
    };
    let fast = view
        .kols
        .into_iter()
        .filter(|(_, kol)| is_fast(&kol.numbers));
    fast.map(|((_, kol), _)| kol).collect()
}

/// The keys of the alerts about each creator.
fn by_kol(sent: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, BTreeSet<String>> {
    let mut by_kol: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, kol) in sent {
        by_kol.entry(kol).or_default().insert(key);
    }
    by_kol
}

fn written(alerts: &Topic) -> BTreeMap<String, BTreeSet<String>> {
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap()).unwrap();
    let records = alerts.read();
    by_kol(
        records
            .iter()
            .map(|r| (text(&r.key), kol_of(r.value.as_ref().unwrap()))),
    )
}

/// A job with the rules, whose alerts go to both.
fn job(alerts: &Topic, hook: &Hook) -> Job {
    let sink = format!(
        "[alerts]\ntopic = \"{}\"\nwebhook = \"{}\"\n{RULES}",
        alerts.name, hook.url
    );
    Job {
        sink,
        ..Job::replay("window = \"24h\"\nslide = \"1h\"")
    }
}

#[test]
fn each_alert_arrives_under_one_key_through_the_kill_of_an_executor() {
    let kafka = Kafka::shared();
    let (topic, alerts) = (
        Topic::create(kafka, "events", 4),
        Topic::create(kafka, "alerts", 2),
    );
    let (redis, hook) = (RedisServer::start(), Hook::start(20));
    let mut cluster = Cluster::start_with(2, &[("KOL_SECRET_HOOK", "t0ken")]);
    cluster.allow("ALERTS_FAILING", "the webhook refuses the first requests");
    for code in ["EXECUTOR_SUSPECT", "EXECUTOR_LOST"] {
        cluster.allow(code, "an executor was killed");
    }
    let job = job(&alerts, &hook);
    let id = cluster.submit(&job, &topic, &redis);
    let hours = readings();
    for records in &hours[..3] {
        topic.produce(records);
    }
    wait_for("the first alerts", LIMIT, || match written(&alerts).len() {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    });
    topic.produce(&hours[3]);
    cluster.executors[0].kill();
    for records in &hours[4..] {
        topic.produce(records);
        std::thread::sleep(Duration::from_millis(500));
    }
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);

    let expected = expected(&cluster, &id, &topic);
    assert!(
        expected.len() > 100 && (expected.len() as u64) < KOLS,
        "{}",
        expected.len()
    );
    let told = wait_for("all alerts", LIMIT, || {
        let (written, posted) = (
            written(&alerts),
            by_kol(hook.posted.lock().unwrap().clone()),
        );
        let all = written.len() >= expected.len() && posted.len() >= expected.len();
        let counts = format!(
            "{} written, {} posted of {}",
            written.len(),
            posted.len(),
            expected.len()
        );
        all.then_some((written, posted)).ok_or(counts)
    });
    let (written, posted) = told;
    let several: Vec<_> = written.iter().filter(|(_, keys)| keys.len() != 1).collect();
    assert!(several.is_empty(), "more than one alert: {several:?}");
    assert_eq!(written.keys().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(
        posted, written,
        "both have the same alerts under the same keys"
    );
    wait_for("nothing to be left", LIMIT, || {
        let left = redis.cli("--scan --pattern streaming:*:alerts:*");
        if left.trim().is_empty() {
            Ok(())
        } else {
            Err(left)
        }
    });
    cluster.assert_no_complaints();
}

#[test]
fn a_webhook_that_refuses_everything_is_a_problem_of_the_job_and_holds_up_nothing_else() {
    let kafka = Kafka::shared();
    let (topic, alerts) = (
        Topic::create(kafka, "events", 1),
        Topic::create(kafka, "alerts", 1),
    );
    let (redis, hook) = (RedisServer::start(), Hook::start(usize::MAX));
    let mut cluster = Cluster::start_with(1, &[("KOL_SECRET_HOOK", "t0ken")]);
    cluster.allow("ALERTS_FAILING", "the webhook refuses everything");
    let job = job(&alerts, &hook);
    let id = cluster.submit(&job, &topic, &redis);
    let records: Vec<Record> = readings().into_iter().flatten().collect();
    topic.produce(&records);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    let told = wait_for("the topic to have all", LIMIT, || {
        let (written, expected) = (
            written(&alerts).len(),
            expected(&cluster, &id, &topic).len(),
        );
        let all = written == expected;
        all.then_some(written)
            .ok_or(format!("{written} of {expected}"))
    });
    let problem = format!("{told} alerts wait for webhook at 127.0.0.1:");
    cluster.wait_status(&id, "the status names the webhook", LIMIT, |status| {
        let mut problems = status.problems.iter();
        problems.any(|p| p.code == "ALERTS_FAILING" && p.message.contains(&problem))
    });
    let stopped = cluster.stop(&id);
    assert!(stopped.problems.is_empty(), "{stopped:?}");

    // Tried out by itself, under the rule that is named.
    let file = cluster.folder().join("job.toml");
    let toml = job.toml(kafka.bootstrap(), &[&topic.name], &redis.url());
    std::fs::write(&file, toml.replace("webhook", "#webhook")).unwrap();
    let file = file.to_str().unwrap();
    let tried = cluster
        .client(&["alerts", "test", file, "--rule", "fast", "-o", "json"])
        .json();
    assert_eq!(
        (tried.as_array().unwrap().len(), &tried[0]["sent"]),
        (1, &true.into()),
        "{tried}"
    );
    let key = tried[0]["alert"]["key"].as_str().unwrap().to_owned();
    let records = alerts.read();
    let tests = records
        .iter()
        .filter(|record| record.key.as_deref() == Some(key.as_bytes()));
    assert_eq!(tests.count(), 1);
}

#[test]
fn an_executor_without_the_token_of_a_webhook_runs_the_job_and_says_what_is_missing() {
    let kafka = Kafka::shared();
    let (topic, alerts) = (
        Topic::create(kafka, "events", 1),
        Topic::create(kafka, "alerts", 1),
    );
    let (redis, hook) = (RedisServer::start(), Hook::start(0));
    let mut cluster = Cluster::start(1);
    cluster.allow("ALERTS_FAILING", "there is no token");
    let job = job(&alerts, &hook);
    let id = cluster.submit(&job, &topic, &redis);
    cluster.wait_status(&id, "the status names the secret", LIMIT, |status| {
        let mut problems = status.problems.iter();
        problems.any(|p| p.code == "ALERTS_FAILING" && p.message.contains("KOL_SECRET_HOOK"))
    });
    let records: Vec<Record> = readings().into_iter().flatten().collect();
    topic.produce(&records);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    wait_for("the topic to have all", LIMIT, || {
        let (written, expected) = (
            written(&alerts).len(),
            expected(&cluster, &id, &topic).len(),
        );
        let all = written == expected && expected > 100;
        all.then_some(()).ok_or(format!("{written} of {expected}"))
    });
    assert!(hook.posted.lock().unwrap().is_empty(), "without a token");
    cluster.assert_no_complaints();
}

#[test]
fn who_rises_to_the_first_place_within_an_hour_raises_alerts_about_ranks() {
    let kafka = Kafka::shared();
    let (topic, alerts) = (
        Topic::create(kafka, "events", 4),
        Topic::create(kafka, "alerts", 1),
    );
    let redis = RedisServer::start();
    let cluster = Cluster::start(2);
    let job = Job {
        sink: format!(
            "[alerts]\ntopic = \"{}\"\n\
             [[alerts.rules]]\nname = \"first\"\nrank_at_most = 1\n\
             [[alerts.rules]]\nname = \"up\"\nrank_rises = 100\nwithin = \"1h\"\n",
            alerts.name
        ),
        ..Job::replay("window = \"24h\"\nslide = \"1h\"")
    };
    let id = cluster.submit(&job, &topic, &redis);
    let mut hours = readings();
    hours.truncate(5);
    topic.produce(&hours.concat());
    cluster.wait_caught_up(&id, 5 * KOLS, LIMIT);
    // The clock is then at 6 min 39 s of the fifth hour, so that the ranking is kept as of its fifth minute.
    let kept = Millis(START + 4 * HOUR + 300_000).iso();
    wait_for("the ranking to be kept", LIMIT, || {
        let all = redis.cli("HKEYS streaming:ranking:tiktok:trending:snapshots");
        all.contains(&kept).then_some(()).ok_or(all)
    });

    topic.produce(&[reading(START + 5 * HOUR + 360_000, 1, 10_000_000)]);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    let of_riser = || -> Vec<serde_json::Value> {
        let all = alerts.read().into_iter();
        all.map(|record| serde_json::from_slice(&record.value.unwrap()).unwrap())
            .filter(|alert: &serde_json::Value| alert["kol"] == "kol_1")
            .collect()
    };
    let mut told = wait_for("both alerts", LIMIT, || {
        let told = of_riser();
        let some = format!("{told:?}");
        (told.len() >= 2).then_some(told).ok_or(some)
    });
    told.sort_by_key(|alert| alert["rule"].to_string());
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        (&told[0]["rule"], &told[0]["rank"]),
        (&"first".into(), &1.into())
    );
    assert_eq!(told[0].get("rank_before"), None);
    assert_eq!(
        (&told[1]["rule"], &told[1]["rank"]),
        (&"up".into(), &1.into())
    );
    let before = told[1]["rank_before"].as_u64().unwrap();
    assert!((101..=KOLS).contains(&before), "{before}");
    cluster.assert_no_complaints();
}
