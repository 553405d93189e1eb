//! What a job writes, as `kol-client serve` shows it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use kol_fold::Record;
use kol_harness::{
    Cluster, Job, Kafka, Key, Process, RedisCluster, Topic, binary, fold_of, generated, scoring,
    wait_for,
};
use serde_json::{Value, json};

use super::topology::{TAG, TAGGED};

const LIMIT: Duration = Duration::from_secs(60);
const SCORING: &str = "window = \"24h\"\nslide = \"1h\"";
const SPEC: &str = "job.toml";
const KOLS: u32 = 60;
const EVENTS: u32 = 3_000;
/// A score is shown with two decimals.
const SHOWN: f64 = 0.005 + 1e-9;

/// A page as JSON.
fn get(address: &str, path: &str) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

#[test]
fn what_a_job_writes_into_a_redis_cluster_is_served_as_the_fold_has_it() {
    let topic = Topic::create(Kafka::shared(), "serving", 2);
    topic.produce(&generated(Key::Username, KOLS, EVENTS, 67));
    let cluster = Cluster::start(1);
    let redis = RedisCluster::start(0);
    let job = Job {
        sink: TAGGED.to_owned(),
        ..Job::replay(SCORING)
    };
    let id = cluster.submit_to(&job, &topic, &redis.url());
    cluster.wait_caught_up(&id, EVENTS.into(), LIMIT);
    let owner = redis.owner_now("{kols}:ranking:tiktok:trending");
    let log = topic.read();
    cluster.assert_equals_fold_below(TAG, &id, &log, owner, LIMIT);

    let bootstrap = topic.kafka().bootstrap();
    let spec = job.toml(bootstrap, &[&topic.name], &redis.url());
    std::fs::write(cluster.folder().join(SPEC), spec).unwrap();
    let serve = ["serve", "--spec", SPEC, "--listen", "127.0.0.1:0"];
    let program = binary("kol-client");
    let mut process = Process::start("serve", cluster.folder(), &program, &serve);
    let line = process.wait_line("kol-client serve ready", 0, LIMIT);
    let (_, address) = line.split_once("http=").unwrap();

    let view = fold_of(&scoring(&cluster.try_status(&id).unwrap()), &log);
    for (platform, creators) in platforms(&get(address, "/api/v1/trending/platforms")) {
        let path = format!("/api/v1/trending?limit=200&platform={platform}");
        let served = get(address, &path);
        let of_fold = view.kols.iter().filter(|((p, _), _)| *p == platform);
        let of_fold: BTreeMap<&str, _> = of_fold.map(|((_, kol), k)| (kol.as_str(), k)).collect();
        let rows = served["data"].as_array().unwrap();
        let counts = (rows.len() as u64, rows.len());
        assert_eq!(counts, (creators, of_fold.len()));
        let score = |row: &Value| row["score"].as_f64().unwrap();
        assert!(rows.is_sorted_by(|a, b| score(a) >= score(b)), "{served:#}");
        for (rank, row) in (1_u64..).zip(rows) {
            let shown = of_fold[row["kol_id"].as_str().unwrap()];
            assert_eq!(row["rank"], rank, "{row}");
            assert!(
                (score(row) - shown.score).abs() <= SHOWN,
                "{row} {}",
                shown.score
            );
            let label = row["label"].as_str().unwrap();
            assert!(shown.labels.contains(&label), "{row} {:?}", shown.labels);
        }
    }
    rankings_are_kept_as_they_were(&topic, address, |events| {
        cluster.wait_caught_up(&id, events, LIMIT);
        let owner = redis.owner_now("{kols}:ranking:tiktok:trending");
        cluster.assert_equals_fold_below(TAG, &id, &topic.read(), owner, LIMIT);
    });
    process.signal("TERM");
    assert_eq!(
        process.wait_exit(LIMIT).code(),
        Some(0),
        "{}",
        process.log()
    );
    cluster.assert_no_complaints();
}

/// So many minutes into the first of July, which the last event is just before of; times of snapshots are every fifth.
fn july(minute: u64) -> u64 {
    1_751_328_000_000 + minute * 60_000
}

/// A video of the last creator has so many likes then.
fn reading(minute: u64, likes: u64) -> Record {
    let event = json!({
        "event_time": kol_common::Millis(july(minute)).iso(),
        "username": "kol_59",
        "video_id": "99",
        "like_count": likes,
    });
    Record {
        timestamp_ms: Some(july(minute)),
        key: Some(b"kol_59".to_vec()),
        value: Some(event.to_string().into_bytes()),
        ..Record::default()
    }
}

/// Waits until the ranking of this minute is kept, and answers it.
fn wait_kept(address: &str, minute: u64) -> Value {
    let at = kol_common::Millis(july(minute)).iso();
    wait_for("a snapshot", LIMIT, || {
        let points = get(address, "/api/v1/kols/kol_0/history");
        let points = points["data"].as_array().unwrap();
        match points.last() {
            Some(point) if point["at"] == at.as_str() => Ok(()),
            other => Err(format!("{at}, not {other:?}")),
        }
    });
    get(address, &format!("/api/v1/trending?limit=200&at={at}"))
}

/// What both an earlier ranking and the present one have of creators.
fn places(ranking: &Value) -> Vec<[&Value; 4]> {
    let rows = ranking["data"].as_array().unwrap().iter();
    rows.map(|row| ["kol_id", "rank", "score", "label"].map(|name| &row[name]))
        .collect()
}

fn rankings_are_kept_as_they_were(topic: &Topic, address: &str, settles: impl Fn(u64)) {
    // The window moves, then nothing changes any more.
    topic.produce(&[reading(1, 0)]);
    wait_kept(address, 0);
    settles(u64::from(EVENTS) + 1);
    topic.produce(&[reading(7, 0)]);
    let kept = wait_kept(address, 5);
    let present = get(address, "/api/v1/trending?limit=200");
    assert_eq!(places(&kept), places(&present));
    assert_eq!(kept["generation"], 1);
    assert_eq!(kept["window_end"], "2025-07-01T01:00:00.000Z");
    let before = kept["data"].as_array().unwrap();
    let before = before.iter().find(|row| row["kol_id"] == "kol_59").unwrap();
    let before = before["rank"].as_i64().unwrap();
    assert!(before > 1, "it is to rise");

    topic.produce(&[reading(67, 900_000_000)]);
    wait_kept(address, 65);
    let climber = wait_for("the climber", LIMIT, || {
        let climbers = get(address, "/api/v1/trending/climbers?limit=200");
        let mut rows = climbers["data"].as_array().unwrap().iter();
        let first = rows.find(|row| row["rank"] == 1 && row["kol_id"] == "kol_59");
        first.cloned().ok_or_else(|| climbers.to_string())
    });
    assert_eq!(climber["change_1h"], before - 1, "{climber}");
    let row = &get(address, "/api/v1/trending?limit=1")["data"][0];
    assert_eq!(row["kol_id"], "kol_59");
    assert_eq!(row["change_1h"], climber["change_1h"], "{row}");
    let then = get(
        address,
        "/api/v1/trending?limit=200&at=2025-07-01T01:04:59Z",
    );
    assert_eq!(places(&then), places(&kept), "the one that was valid then");
}

/// Names, and how many creators they have.
fn platforms(answer: &Value) -> Vec<(String, u64)> {
    let all = answer["data"].as_array().unwrap().iter();
    let pair = |one: &Value| {
        let name = one["platform"].as_str().unwrap().to_owned();
        (name, one["creators"].as_u64().unwrap())
    };
    let all: Vec<_> = all.map(pair).collect();
    assert!(!all.is_empty(), "{answer}");
    all
}
