//! What a job writes, as `kol-client serve` shows it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use kol_harness::{
    Cluster, Job, Kafka, Key, Process, RedisCluster, Topic, binary, fold_of, generated, scoring,
};
use serde_json::Value;

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
    process.signal("TERM");
    assert_eq!(
        process.wait_exit(LIMIT).code(),
        Some(0),
        "{}",
        process.log()
    );
    cluster.assert_no_complaints();
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
