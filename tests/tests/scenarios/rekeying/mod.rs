//! A stage that re-keys the input, before the scores: `docs/protocol/rekeying.md`.

mod transactions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kol_common::event::Decoder;
use kol_fold::Record;
use kol_harness::{Cluster, Job, Kafka, Key, Letter, RedisServer, Topic, generated};

const LIMIT: Duration = Duration::from_secs(90);

/// Partition and offset of the record that another one was made of.
type Origin = (u32, u64);

/// These need transactions that the embedded broker does not have.
fn real_kafka() -> Option<&'static Kafka> {
    let kafka = Kafka::shared();
    if !kafka.is_real() {
        eprintln!("NOT TESTED: this scenario needs real Kafka");
    }
    kafka.is_real().then_some(kafka)
}

fn origin(letter: &Letter, of: &Topic) -> Origin {
    let header = |name: &str| {
        let value = letter.headers.get(name);
        value.unwrap_or_else(|| panic!("{name} in {:?}", letter.headers))
    };
    assert_eq!(*header("kol-topic"), of.name);
    let partition = header("kol-partition").parse().expect("a number");
    (partition, header("kol-offset").parse().expect("a number"))
}

/// The promises of the stage: every usable record exactly once as it came, creators in one partition each, and origins in
/// their order.
fn assert_rekeyed(input: &Topic, internal: &Topic) {
    let decoder = Decoder::new("tiktok");
    let mut wanted: BTreeMap<Origin, (Record, String)> = BTreeMap::new();
    input.each_record(|record| {
        let Ok(event) = decoder.decode(record.value.as_deref()) else {
            return;
        };
        let key = format!("{}:{}", event.platform, event.kol);
        wanted.insert((record.partition, record.offset), (record.clone(), key));
    });
    let mut homes: BTreeMap<String, u32> = BTreeMap::new();
    let mut last: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for letter in internal.read_letters() {
        let (from, offset) = origin(&letter, input);
        assert!(
            seen.insert((from, offset)),
            "{from}/{offset} is there twice"
        );
        let (record, key) = wanted.get(&(from, offset)).expect("a usable record");
        let is = &letter.record;
        assert_eq!(is.value, record.value);
        assert_eq!(is.timestamp_ms, record.timestamp_ms);
        assert_eq!(is.key.as_deref(), Some(key.as_bytes()));
        let home = *homes.entry(key.clone()).or_insert(is.partition);
        assert_eq!(home, is.partition, "{key} is in two partitions");
        let before = last.insert((is.partition, from), offset);
        assert!(
            before < Some(offset),
            "{from}/{offset} comes after {before:?}"
        );
    }
    assert_eq!(seen.len(), wanted.len(), "records are missing");
    let used: BTreeSet<u32> = homes.into_values().collect();
    assert!(used.len() > 1, "creators are spread: {used:?}");
}

#[test]
fn random_keys_and_an_executor_that_is_killed_change_no_score() {
    let Some(kafka) = real_kafka() else { return };
    let mut records = generated(Key::None, 200, 16_000, 51);
    for record in &mut records {
        record.key = Some(uuid::Uuid::new_v4().to_string().into_bytes());
    }
    let (first, second) = records.split_at(12_000);
    let input = Topic::create(kafka, "rekeyed", 4);
    let letters = Topic::create(kafka, "rekeyed-dead", 1);
    input.produce(first);
    let redis = RedisServer::start();
    let mut cluster = Cluster::start(2);
    for code in [
        "EXECUTOR_SUSPECT",
        "EXECUTOR_LOST",
        "EPOCH_ABORTED",
        "CHECKPOINT_DROPPED",
    ] {
        cluster.allow(code, "an executor was killed");
    }
    let name = format!("rekey-{}", uuid::Uuid::new_v4().simple());
    let job = Job {
        source: format!(
            "rekey = {{ partitions = 8 }}\nmax_rate_per_partition = 1000\ndead_letter = \"{}\"",
            letters.name
        ),
        name: name.clone(),
        ..Job::replay("window = \"24h\"\nslide = \"1h\"")
    };
    let id = cluster.submit(&job, &input, &redis);
    let what = "something is committed";
    cluster.wait_status(&id, what, LIMIT, |status| {
        let stages = status.partitions.iter().filter(|p| p.first_stage);
        let read = stages.filter_map(|p| p.report.as_ref()).map(|r| r.position);
        read.sum::<u64>() > 2_000
    });
    cluster.executors[0].kill();
    input.produce(second);
    let internal = Topic::existing(kafka, &format!("kol-rekey.{name}"), 8);
    let what = "everything is scored";
    let status = cluster.wait_status(&id, what, LIMIT, |status| {
        let stage = status.rekeying.as_ref();
        let read = status.partitions.iter().filter(|p| p.first_stage);
        let read: u64 = read
            .filter_map(|p| p.report.as_ref())
            .map(|r| r.position)
            .sum();
        status.caught_up
            && read >= records.len() as u64
            && stage.is_some_and(|stage| stage.lag_records == Some(0))
    });
    assert_eq!(status.rekeying.unwrap().topic, internal.name);
    assert_rekeyed(&input, &internal);
    cluster.assert_equals_fold(&id, &internal, &redis, LIMIT);
    let unusable = |record: &Record| record.value.as_deref() == Some(b"{");
    let input_log = input.read();
    let unusable: BTreeSet<Origin> = input_log
        .iter()
        .filter(|record| unusable(record))
        .map(|record| (record.partition, record.offset))
        .collect();
    let lettered = letters.read_letters();
    let not_json = lettered
        .iter()
        .filter(|l| l.headers["kol-reason"] == "not_json");
    let named: BTreeSet<Origin> = not_json.map(|letter| origin(letter, &input)).collect();
    assert_eq!(named, unusable);
    cluster.assert_no_complaints();
}
