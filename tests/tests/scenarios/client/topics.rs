//! Records: made up, replayed, looked at.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use kol_harness::{Kafka, Topic, binary, free_port};
use serde_json::Value;

use super::alone;

/// Three readings as crawlers write them, and two lines that are not readings.
const LINES: [&str; 5] = [
    r#"{"event_time":"2025-06-23T09:03:29Z","username":"@an","video_id":"7","like_count":"1.2K","comment_count":3,"share_count":0,"view_count":9}"#,
    r#"{"event_time":"2025-06-23T09:03:30Z","username":"an","video_id":"8","like_count":5}"#,
    r#"{"event_time":"2025-06-23T09:03:31Z","username":"binh","followers":70}"#,
    "not json",
    r#"{"like_count":1}"#,
];

/// The lines as `lines.jsonl.gz` in a folder.
fn pack(folder: &std::path::Path) {
    let file = std::fs::File::create(folder.join("lines.jsonl.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packed.write_all(LINES.join("\n").as_bytes()).unwrap();
    packed.finish().unwrap();
}

#[test]
fn a_packed_file_is_replayed_under_the_keys_that_were_requested_and_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    pack(folder.path());
    let kafka = Kafka::shared();
    for (key, expected) in [
        (
            "username",
            [Some("an"), Some("an"), Some("binh"), None, None],
        ),
        ("video-id", [Some("7"), Some("8"), Some("binh"), None, None]),
        ("none", [None; 5]),
    ] {
        let topic = Topic::create(kafka, "replayed", 1);
        let target = ["--topic", &topic.name, "--bootstrap", kafka.bootstrap()];
        let replay = ["replay", "lines.jsonl.gz", "--key", key];
        let answer = alone(folder.path(), &[&replay[..], &target].concat());
        assert!(answer.done().starts_with("5 records in "), "{answer:?}");
        let log = topic.read();
        let values: Vec<_> = log.iter().map(|r| r.value.as_deref().unwrap()).collect();
        assert_eq!(values, LINES.map(str::as_bytes));
        let keys: Vec<_> = log.iter().map(|r| r.key.as_deref()).collect();
        assert_eq!(keys, expected.map(|k| k.map(str::as_bytes)), "{key}");
        if key == "username" {
            shows_raw_beside_decoded(folder.path(), &topic);
        }
    }
}

#[test]
fn records_without_a_key_are_spread_over_all_partitions_however_fast_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = Kafka::shared();
    let topic = Topic::create(kafka, "spread", 4);
    let target = ["--topic", &topic.name, "--bootstrap", kafka.bootstrap()];
    let generate = [
        "generate", "--to", "kafka", "--count", "8000", "--key", "none",
    ];
    alone(folder.path(), &[&generate[..], &target].concat()).done();
    let mut counts = [0; 4];
    for record in topic.read() {
        counts[record.partition as usize] += 1;
    }
    assert_eq!(counts.iter().sum::<usize>(), 8_000);
    assert!(
        counts.iter().all(|count| (1_600..2_400).contains(count)),
        "{counts:?}"
    );
}

fn shows_raw_beside_decoded(folder: &std::path::Path, topic: &Topic) {
    let bootstrap = topic.kafka().bootstrap();
    let peek = ["peek", &topic.name, "--bootstrap", bootstrap];
    let records = alone(folder, &[&peek[..], &["-o", "json"]].concat()).json();
    let raw: Vec<_> = records
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["raw"])
        .collect();
    assert_eq!(raw, LINES.map(Value::from).iter().collect::<Vec<_>>());
    assert_eq!(records[0]["decoded"]["kol"], "an");
    assert_eq!(records[0]["decoded"]["likes"], 1_200);
    assert_eq!(records[0]["missing"], Value::Array(vec![]));
    assert_eq!(
        records[1]["missing"],
        serde_json::json!(["comments", "shares", "views"])
    );
    assert_eq!(records[3]["decoded"]["rejected"], "not_json");
    assert_eq!(records[4]["decoded"]["rejected"], "no_username");
    let text = alone(
        folder,
        &[&peek[..], &["-n", "4", "--from", "start"]].concat(),
    );
    let text = text.done();
    assert!(
        text.starts_with(&format!("0/0 key=\"an\"\n  raw      {}\n", LINES[0])),
        "{text}"
    );
    assert!(
        text.contains("\n  missing  comments, shares, views\n"),
        "{text}"
    );
    assert!(!text.contains("no_username"), "{text}");
}

#[test]
fn a_topic_or_a_broker_that_is_not_there_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let bootstrap = Kafka::shared().bootstrap();
    let missing = alone(folder.path(), &["peek", "none", "--bootstrap", bootstrap]);
    assert!(missing.fails(3).contains("none"), "{missing:?}");
    assert_eq!(missing.err.lines().count(), 1, "{missing:?}");
    let nowhere = format!("127.0.0.1:{}", free_port());
    let lost = alone(folder.path(), &["peek", "none", "--bootstrap", &nowhere]);
    assert!(lost.fails(4).contains("SOURCE_UNREACHABLE"), "{lost:?}");
    assert_eq!(lost.err.lines().count(), 1, "{lost:?}");
    pack(folder.path());
    let none = ["--topic", "none", "--bootstrap", bootstrap];
    let replay = ["replay", "lines.jsonl.gz"];
    // The embedded broker makes a topic that somebody writes to.
    if Kafka::shared().is_real() {
        let lost = alone(folder.path(), &[&replay[..], &none].concat());
        assert!(lost.fails(3).contains("none"), "{lost:?}");
    }
    let unread = alone(
        folder.path(),
        &[&["replay", "absent.gz"][..], &none].concat(),
    );
    assert!(unread.fails(2).contains("absent.gz"), "{unread:?}");
}

#[test]
fn the_same_seed_makes_the_same_events_on_standard_output_and_in_kafka() {
    let folder = tempfile::tempdir().unwrap();
    let made = |seed: &str, more: &[&str]| {
        let options = [
            "generate", "--count", "300", "--rate", "max", "--kols", "20", "--seed", seed,
        ];
        let start = ["--start", "2025-06-23T00:00:00Z"];
        alone(folder.path(), &[&options[..], &start, more].concat())
    };
    let first = made("7", &["--to", "stdout"]);
    assert_eq!(first.done().lines().count(), 300);
    assert_eq!(
        first.out,
        made("7", &[]).out,
        "standard output is the default"
    );
    assert_ne!(first.out, made("8", &[]).out);

    let kafka = Kafka::shared();
    let topic = Topic::create(kafka, "generated", 1);
    let target = [
        "--to",
        "kafka",
        "--topic",
        &topic.name,
        "--bootstrap",
        kafka.bootstrap(),
    ];
    let written = made("7", &target);
    assert!(written.done().starts_with("300 events in "), "{written:?}");
    let log = topic.read();
    let values = log
        .iter()
        .map(|r| std::str::from_utf8(r.value.as_deref().unwrap()).unwrap());
    assert!(values.eq(first.out.lines()));
    let named = log
        .iter()
        .all(|r| r.key.as_ref().unwrap().starts_with(b"creator_"));
    assert!(named, "keyed by username");
}

#[test]
fn whoever_has_read_enough_events_may_close_the_pipe() {
    let mut child = Command::new(binary("kol-client"))
        .args(["generate", "--rate", "max", "--count", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(line.starts_with('{'), "{line}");
    assert!(child.wait().unwrap().success() && said.is_empty(), "{said}");
}
