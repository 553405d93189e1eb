//! Records that cannot be used, or hold what no producer should send.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kol_common::job::ScoringSpec;
use kol_common::proto::{JobState, JobStatus};
use kol_fold::{Fold, Record};
use kol_harness::{
    Cluster, Job, Kafka, Key, Letter, RedisServer, Topic, compare, generated, scoring, wait_for,
};

use super::{DAYS, HOUR, LIMIT, START, job, reading, record, wait_problem};

/// Values that no score can be made of, and why.
fn unusable() -> Vec<(&'static str, Option<Vec<u8>>)> {
    let long = "x".repeat(200 << 10);
    let nested = format!(
        r#"{{"username":"a","x":{}1{}}}"#,
        "[".repeat(9_999),
        "]".repeat(9_999)
    );
    let texts = [
        ("not_json", r#"{"username": oops"#.to_owned()),
        ("not_json", String::new()),
        ("not_json", "[".repeat(100_000)),
        ("not_json", nested),
        ("events_in_array", r#"[{"username":"a"}]"#.to_owned()),
        ("no_username", r#"{"like_count":5}"#.to_owned()),
        ("no_username", r#"{"username":" @ "}"#.to_owned()),
        ("id_too_long", format!(r#"{{"username":"{long}"}}"#)),
        (
            "id_too_long",
            format!(r#"{{"username":"a","video_id":"{long}"}}"#),
        ),
        (
            "id_too_long",
            format!(r#"{{"username":"a","platform":"{long}"}}"#),
        ),
    ];
    let texts = texts.map(|(reason, text)| (reason, Some(text.into_bytes())));
    let invalid = b"{\"username\":\"\xff\xfe\"}".to_vec();
    let mut values = vec![("tombstone", None), ("invalid_utf8", Some(invalid))];
    values.extend(texts);
    // The embedded broker keeps 5 MiB of a partition.
    if Kafka::shared().is_real() {
        let large = format!(r#"{{"username":"a","x":"{}"}}"#, "x".repeat(10_000_000));
        values.push(("too_large", Some(large.into_bytes())));
    }
    values
}

/// Usable records with all the unusable ones among them, and late ones at the end.
fn spoiled() -> Vec<Record> {
    let mut records = generated(Key::Username, 40, 2_000, 21);
    for (number, (reason, value)) in unusable().into_iter().enumerate() {
        let place = 100 * (number + 1);
        let spoiled = Record {
            timestamp_ms: records[place].timestamp_ms,
            // The second has no key: that also must reach its dead letter.
            key: (number != 1).then(|| reason.into()),
            value,
            ..Record::default()
        };
        records.insert(place, spoiled);
    }
    let arrived = records.last().and_then(|r| r.timestamp_ms);
    // Eight days old, as old as the oldest record here; a week is allowed.
    let late = (0..5).map(|hour| Record {
        timestamp_ms: arrived,
        ..reading("kol_0", START + hour * 60_000, r#""like_count":9"#)
    });
    records.extend(late);
    records
}

/// The records of a log that have no effect, and why, by partition and offset.
fn dropped(spec: &ScoringSpec, log: &[Record]) -> BTreeMap<(u32, u64), (Record, &'static str)> {
    let reasons: BTreeMap<_, _> = unusable().into_iter().map(|(why, v)| (v, why)).collect();
    let mut fold = Fold::new(spec);
    let mut dropped = BTreeMap::new();
    for record in log {
        let before = fold.counts();
        fold.apply(record);
        let after = fold.counts();
        let reason = if after.late > before.late {
            "late"
        } else if after.dead_letter > before.dead_letter {
            reasons.get(&record.value).copied().unwrap_or("not_json")
        } else {
            continue;
        };
        let place = (record.partition, record.offset);
        dropped.insert(place, (record.clone(), reason));
    }
    dropped
}

#[test]
fn every_record_that_has_no_effect_is_counted_and_kept_as_it_came_with_origin_and_reason() {
    let kafka = Kafka::shared();
    let topic = Topic::create(kafka, "spoiled", 2);
    let dead_letters = Topic::create(kafka, "dead", 1);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let name = &dead_letters.name;
    let job = Job {
        source: format!("dead_letter = \"{name}\"\ndead_letter_late = true"),
        ..Job::replay(DAYS)
    };
    topic.produce(&spoiled());
    let id = cluster.submit(&job, &topic, &redis);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);

    let spec = scoring(&cluster.try_status(&id).unwrap());
    let dropped = dropped(&spec, &topic.read());
    let late = dropped.values().filter(|(_, why)| *why == "late").count();
    assert_eq!(late, 5);
    assert!(dropped.len() >= unusable().len() + late);
    let shown = cluster.client(&["status", &id, "-o", "json"]).json();
    assert_eq!(shown["late_total"], late);
    assert_eq!(shown["dead_letter_total"], dropped.len() - late);
    let text = cluster.client(&["status", &id]);
    let counts = format!("{late} late, {} unusable, 0 lost", dropped.len() - late);
    assert!(text.done().contains(&counts), "{counts} in {text:?}");

    let letters = wait_for("all dead letters", LIMIT, || {
        let letters = dead_letters.read_letters();
        let all = letters.len() == dropped.len();
        all.then_some(letters).ok_or("some are missing".to_owned())
    });
    for letter in letters {
        is_as_it_came(&letter, &topic, &dropped);
    }
    cluster.assert_no_complaints();
}

fn is_as_it_came(
    letter: &Letter,
    topic: &Topic,
    dropped: &BTreeMap<(u32, u64), (Record, &'static str)>,
) {
    let header = |name: &str| letter.headers[name].as_str();
    let number = |name: &str| header(name).parse::<u64>().unwrap();
    assert_eq!(header("kol-topic"), topic.name);
    let place = (number("kol-partition") as u32, number("kol-offset"));
    let (record, reason) = &dropped[&place];
    assert_eq!(header("kol-reason"), *reason, "{place:?}");
    assert_eq!(letter.record.key, record.key, "{place:?}");
    assert!(letter.record.value == record.value, "{place:?} {reason}");
}

#[test]
fn a_dead_letter_topic_that_is_not_there_is_named_and_stops_nothing() {
    let kafka = Kafka::shared();
    if !kafka.is_real() {
        eprintln!("NOT TESTED: the embedded broker makes a topic that somebody writes to");
        return;
    }
    let topic = Topic::create(kafka, "spoiled", 1);
    let dead_letters = Topic::planned(kafka, "dead", 1);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = Job {
        source: format!("dead_letter = \"{}\"", dead_letters.name),
        ..Job::replay(DAYS)
    };
    topic.produce(&generated(Key::Username, 10, 600, 23));
    let id = cluster.submit(&job, &topic, &redis);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    let caught_up = Instant::now();
    let problem = wait_problem(&cluster, &id, "DEAD_LETTER");
    assert!(
        caught_up.elapsed() < Duration::from_secs(15),
        "it is said soon"
    );
    let named = problem.message.contains(&dead_letters.name);
    assert!(
        named && problem.help.contains("Create the topic"),
        "{problem:?}"
    );

    dead_letters.make();
    wait_for("a dead letter", LIMIT, || {
        topic.produce(&[record("late", START, "no json")]);
        let found = dead_letters.read().len();
        (found > 0).then_some(()).ok_or("none".to_owned())
    });
    let what = "nothing is wrong any more";
    let well = |status: &JobStatus| status.state() == JobState::Running;
    cluster.wait_status(&id, what, LIMIT, well);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    cluster.assert_no_complaints();
}

/// The topic is not there when the records are read, and comes back with room for small records only.
#[test]
fn dead_letters_that_were_under_way_when_an_executor_was_killed_arrive_and_large_ones_shortened() {
    let kafka = Kafka::shared();
    if !kafka.is_real() {
        eprintln!("NOT TESTED: the embedded broker makes a topic that somebody writes to");
        return;
    }
    let topic = Topic::create(kafka, "spoiled", 1);
    let dead_letters = Topic::planned(kafka, "dead", 1);
    let redis = RedisServer::start();
    let mut cluster = Cluster::start(1);
    let job = Job {
        source: format!("dead_letter = \"{}\"", dead_letters.name),
        ..Job::replay(DAYS)
    };
    let large = "?".repeat(50_000);
    let spoiled = [
        record("a", START, "no json"),
        record("b", START, large.as_str()),
        record("c", START, "none either"),
    ];
    topic.produce(&spoiled);
    topic.produce(&generated(Key::Username, 10, 600, 23));
    let id = cluster.submit(&job, &topic, &redis);
    let problem = wait_problem(&cluster, &id, "DEAD_LETTER");
    assert!(problem.message.contains("no epoch"), "{problem:?}");
    let status = cluster.try_status(&id).unwrap();
    assert_eq!(status.checkpoint.unwrap().epoch, 0, "none is committed");
    for code in ["EXECUTOR_SUSPECT", "EXECUTOR_LOST", "EPOCH_ABORTED"] {
        cluster.allow(code, "the executor was killed");
    }
    cluster.executors[0].kill();
    dead_letters.make_with_limit(4_000);
    cluster.add_executor();
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    let what = "an epoch, and nothing is wrong any more";
    let well = |status: &JobStatus| {
        status.state() == JobState::Running && status.checkpoint.is_some_and(|c| c.epoch > 0)
    };
    let totals = cluster.wait_status(&id, what, LIMIT, well).totals.unwrap();
    let letters = dead_letters.read_letters();
    assert_eq!(totals.dead_letters_written, letters.len() as u64);
    for small in ["no json", "none either"] {
        let whole = |l: &Letter| l.record.value.as_deref() == Some(small.as_bytes());
        assert!(letters.iter().any(whole), "{small}");
    }
    let cut = letters.iter().find(|l| l.headers.contains_key("kol-size"));
    let cut = cut.expect("the large one");
    assert_eq!(cut.headers["kol-size"], "50000");
    let value = cut.record.value.as_ref().unwrap();
    assert!(value.len() > 1_000 && large.as_bytes().starts_with(value));
    let shown = cluster.client(&["status", &id, "-o", "json"]).json();
    assert_eq!(shown["rejected"]["not_json"], totals.rejected["not_json"]);
    assert_eq!(shown["dead_letters_written_total"], letters.len());
    cluster.assert_no_complaints();
}

/// Counters as no producer should send them, as JSON.
const COUNTERS: [&str; 22] = [
    "-5",
    "-9223372036854775808",
    "-99999999999999999999999",
    "1000000000000",
    "1000000000001",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e300",
    "-0.0",
    "3.0",
    "3.5",
    "1e3",
    "\"12,345\"",
    "\"7.4K\"",
    "\"-3\"",
    "\" 77 \"",
    "\"NaN\"",
    "\"\"",
    "null",
    "true",
    "[{\"like_count\":7}]",
];

/// Each of [`COUNTERS`] between two readings that are well, an hour apart; and for one creator more in
/// an hour than can be counted.
fn odd_counters() -> Vec<Record> {
    let mut records = Vec::new();
    for (hour, plain) in [(1, Some("100")), (2, None), (3, Some("5000"))] {
        for (number, odd) in COUNTERS.iter().enumerate() {
            let value = plain.unwrap_or(odd);
            let fields = format!(r#""like_count":{value},"comment_count":{hour}"#);
            let at = START + hour * HOUR + number as u64;
            records.push(reading(&format!("odd_{number}"), at, &fields));
        }
    }
    let most = "1000000000000";
    let fields = format!(r#""like_count":{most},"comment_count":{most},"share_count":{most}"#);
    for number in 0..20 {
        records.push(reading("huge", START + 4 * HOUR + number, &fields));
    }
    records
}

/// Event times as no producer should send them, as JSON, for records that Kafka received at `at`.
fn odd_times(at: u64) -> Vec<Record> {
    let times = [
        "\"1970-01-01T00:00:00Z\"",
        "\"1969-12-31T23:59:59Z\"",
        "\"2100-01-01T00:00:00Z\"",
        "\"9999-12-31T23:59:59.999Z\"",
        "\"0000-01-01T00:00:00Z\"",
        "\"yesterday\"",
        "1750636800",
        "null",
        "[]",
    ];
    let odd = times.iter().enumerate().map(|(number, time)| {
        let kol = format!("time_{number}");
        let value = format!(r#"{{"event_time":{time},"username":"{kol}","like_count":50}}"#);
        record(&kol, at, value)
    });
    odd.collect()
}

#[test]
fn counters_and_times_that_cannot_be_are_missing_or_late_and_move_nobody_else() {
    let topic = Topic::create(Kafka::shared(), "odd", 2);
    let redis = [RedisServer::start(), RedisServer::start()];
    let cluster = Cluster::start(1);
    let delta = format!("counters = \"delta\"\n{DAYS}");
    let jobs = [job("cumulative", DAYS), job("delta", &delta)];
    // The first records of a log set its clock: with these it begins in 1970.
    topic.produce(&odd_times(START));
    topic.produce(&odd_counters());
    topic.produce(&odd_times(START + 5 * HOUR));
    let ids = [0, 1].map(|i| cluster.submit(&jobs[i], &topic, &redis[i]));
    for (id, redis) in ids.iter().zip(&redis) {
        cluster.assert_equals_fold(id, &topic, redis, LIMIT);
        let shown = cluster.client(&["status", id, "-o", "json"]).json();
        assert_eq!(shown["dead_letter_total"], 0, "{shown}");
        let late = Fold::of(&scoring(&cluster.try_status(id).unwrap()), &topic.read());
        assert_eq!(shown["late_total"], late.counts().late);
        assert!(late.counts().late >= 1);
        assert_eq!(shown["clock_ms"], START + 5 * HOUR, "2100 moves nothing");
    }

    // A producer whose own clock is wrong stamps its records with it as well: such a record is rejected, it
    // moves nothing, and the status names it.
    const IN_2100: u64 = 4_102_444_800_000;
    topic.produce(&[reading("from_2100", IN_2100, r#""like_count":1"#)]);
    topic.produce(&generated(Key::Username, 5, 50, 3));
    for (id, redis) in ids.iter().zip(&redis) {
        cluster.assert_equals_fold(id, &topic, redis, LIMIT);
        let text = cluster.client(&["status", id]);
        assert!(text.done().contains("ahead 1"), "{text:?}");
        assert!(text.out.contains("creator \"from_2100\""), "{text:?}");
        assert!(!text.out.contains("clock   2100"), "{text:?}");
    }
    cluster.assert_no_complaints();
}

#[test]
fn a_job_whose_every_record_is_unusable_says_so_with_an_example_and_the_remedy() {
    let topic = Topic::create(Kafka::shared(), "useless", 1);
    topic.produce(&vec![record("a", START, r#"{"like_count":5}"#); 5]);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let id = cluster.submit(&job("useless", DAYS), &topic, &redis);
    let wanted = format!(
        "100.0 % of the newest records cannot be used (no_username), e.g. {}/0 offset 4; name the \
         field of the creator: [source.fields] username",
        topic.name
    );
    cluster.wait_status(&id, &wanted, LIMIT, |status| {
        status.warnings.iter().any(|w| w.starts_with(&wanted))
    });
    cluster.assert_no_complaints();
}

#[test]
fn records_that_are_delivered_twice_change_nothing() {
    let topic = Topic::create(Kafka::shared(), "twice", 2);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let once = generated(Key::Username, 40, 2_000, 22);
    let twice: Vec<_> = once.iter().flat_map(|r| [r.clone(), r.clone()]).collect();
    topic.produce(&twice);
    let id = cluster.submit(&Job::replay(DAYS), &topic, &redis);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);

    // Every second record of each partition is a copy of the one before.
    let mut seen = BTreeMap::new();
    let mut log = topic.read();
    log.retain(|r| {
        let count: &mut u64 = seen.entry(r.partition).or_default();
        *count += 1;
        *count % 2 == 1
    });
    assert_eq!(log.len(), once.len());
    let spec = scoring(&cluster.try_status(&id).unwrap());
    let view = Fold::of(&spec, &log).view().unwrap();
    let differences = compare(&mut redis.connect(), &view);
    assert_eq!(
        differences,
        Vec::<String>::new(),
        "each was delivered twice in a row"
    );

    // A producer that starts again sends a whole batch again: that only shows that somebody looked.
    topic.produce(&once[once.len() - 500..]);
    cluster.assert_equals_fold(&id, &topic, &redis, LIMIT);
    let mut differences = compare(&mut redis.connect(), &view);
    differences.retain(|d| !d.contains(" event_count: "));
    assert_eq!(
        differences,
        Vec::<String>::new(),
        "a batch was delivered again"
    );
    cluster.assert_no_complaints();
}
