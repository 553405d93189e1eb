//! Wall clocks that are wrong, of producers and of hosts.

use std::time::Duration;

use kol_common::Millis;
use kol_common::proto::JobStatus;
use kol_fold::Record;
use kol_harness::{Clock, Cluster, Job, Kafka, Key, RedisServer, Topic, generated, wait_for};

const LIMIT: Duration = Duration::from_secs(60);
const IN_2100: Millis = Millis(4_102_444_800_000);

/// A record of a producer whose clock is wrong, which sets both times.
fn of_2100() -> Record {
    let time = IN_2100.iso();
    let value = format!(r#"{{"username":"time_traveller","event_time":"{time}","like_count":1}}"#);
    Record {
        key: Some(b"time_traveller".to_vec()),
        timestamp_ms: Some(IN_2100.0),
        value: Some(value.into_bytes()),
        ..Record::default()
    }
}

fn warns(text: &str) -> impl Fn(&JobStatus) -> bool {
    move |status| status.warnings.iter().any(|w| w.contains(text))
}

#[test]
fn a_job_whose_clock_lies_in_2100_is_right_after_a_rewind() {
    let clock = Clock::new();
    let topic = Topic::create(Kafka::shared(), "clocks", 2);
    let mut records = generated(Key::Username, 40, 2_000, 5);
    records.push(of_2100());
    topic.produce(&records);
    let redis = RedisServer::start();
    // All hosts believe that it is 2100: such a clock comes from a version without the rule, too.
    let ahead = (IN_2100.0 - Millis::now().0) / 1_000;
    clock.set(ahead.cast_signed());
    let mut cluster = Cluster::start_with(2, &clock.environment());
    cluster.allow(
        "CLOCKS_DIFFER",
        "processes see a new clock one after the other",
    );
    let job = Job::replay("window = \"24h\"\nslide = \"1h\"");
    let first = cluster.submit(&job, &topic, &redis);
    let status = cluster.wait_caught_up(&first, records.len() as u64, LIMIT);
    assert_eq!(status.clock_ms, Some(IN_2100.0));
    let shown = redis.cli("GET streaming:last_event");
    assert_eq!(shown.trim(), IN_2100.iso());

    clock.set(0);
    let repair = format!("kol-client rewind {} --to-earliest", job.name);
    cluster.wait_status(&first, "warns of its clock", LIMIT, warns(&repair));
    // Executors learn the master's clock with a heartbeat, once a second; nothing shows from outside when.
    std::thread::sleep(Duration::from_secs(3));
    let rewound = cluster.client(&["rewind", &first, "--to-earliest", "--wait", "-o", "json"]);
    let next = rewound.json()["job_id"].as_str().unwrap().to_owned();
    // Whom only the generation before knew leaves once the new one is shown.
    wait_for("the time traveller to leave", LIMIT, || {
        let left = redis.cli("EXISTS trending:tiktok:time_traveller").trim() == "0";
        left.then_some(()).ok_or("it is there".into())
    });
    cluster.assert_equals_fold(&next, &topic, &redis, LIMIT);
    let status = cluster.try_status(&next).unwrap();
    assert!(status.clock_ms < Some(Millis::now().0), "{status:?}");
    assert!(status.kols >= 40, "nobody was retired: {status:?}");
    assert_eq!(status.totals.as_ref().unwrap().rejected["ahead"], 1);
    let last = "creator \"time_traveller\" on \"tiktok\" with record key \"time_traveller\"";
    assert!(warns(last)(&status), "{:?}", status.warnings);
    let shown = redis.cli("GET streaming:last_event");
    assert!(shown.trim() < Millis::now().iso().as_str(), "{shown}");
    let text = cluster.client(&["status", &next]).out;
    assert!(text.contains(last), "{text}");
    cluster.assert_no_complaints();
}
