//! Who may write.

use kol_executor::partition::encode::Outgoing;
use kol_executor::sink::script;
use mlua::{Table, Value};

use crate::database::{Redis, one, scoring};
use crate::server::{Partition, Server, answer, run};

#[test]
fn a_merge_without_its_fence_or_behind_a_newer_one_is_refused() {
    let redis = Redis::new();
    redis.prepare(&[]);
    let fence: Table = redis.db().get("fence").unwrap();
    for (field, value) in [("gen", "2"), ("ae", "2"), ("begun", "2")] {
        fence.set(field, value).unwrap();
        assert_eq!(
            redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0),
            "FENCED",
            "{field}"
        );
        fence.set(field, "1").unwrap();
    }
    redis.db().set("fence", Value::Nil).unwrap();
    assert_eq!(redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0), "NOFENCE");
    assert!(redis.hash().is_none());
}

#[test]
fn a_record_of_a_newer_owner_fences_and_an_older_one_is_a_loss_of_redis() {
    let server = Server::start();
    let mut open = server.connect();
    let mut partition = Partition::new(2);
    partition.fence.assignment_epoch = 2;
    partition.begin();
    let calls = [
        partition.begin(),
        partition.merge("tiktok", true, &[("a", Outgoing::Put(one(0, 2)))]),
        partition.done(),
        partition.compare("tiktok", &["a"]),
    ];
    let (ok, newer, older) = ("OK", "FENCED", "NOFENCE");
    // Generation, assignment epoch and begun of the record, and what begin, merge, done and compare say of it.
    let cases = [
        (None, [older; 4]),
        (Some((1, 9, 9)), [older; 4]),
        (Some((2, 1, 9)), [older; 4]),
        (Some((2, 2, 1)), [ok, older, older, ok]),
        (Some((2, 2, 2)), [newer, ok, ok, ok]),
        (Some((2, 2, 10)), [newer, newer, newer, ok]),
        (Some((2, 3, 0)), [newer; 4]),
        (Some((10, 1, 0)), [newer; 4]),
    ];
    for (record, expected) in cases {
        let answers = calls.each_ref().map(|call| {
            run(&mut open, "FLUSHALL");
            if let Some((generation, epoch, begun)) = record {
                let key = &partition.fence.key;
                let record = format!("gen {generation} ae {epoch} begun {begun} done 0 ran 1");
                run(&mut open, &format!("HSET {key} {record}"));
            }
            let answer = answer(&mut open, call);
            answer.split(' ').next().unwrap().to_owned()
        });
        assert_eq!(answers, expected, "{record:?}");
    }
}

#[test]
fn the_newest_event_of_a_flush_is_shown_even_when_an_older_job_saw_a_newer_one() {
    let redis = Redis::new();
    let done = redis.lua.load(script::DONE_SOURCE.as_str());
    let done = done.into_function().unwrap();
    let globals = redis.lua.globals();
    let keys = ["fence", "last_update", "last_event", "platforms"];
    let keys = redis.lua.create_sequence_from(keys).unwrap();
    globals.set("KEYS", keys).unwrap();
    let (in_2100, today) = ("2100-01-01T00:00:00.000Z", "2026-11-26T05:00:00.000Z");
    redis.prepare(&[]);
    for (newest, shown) in [(in_2100, in_2100), (today, today), ("", today)] {
        let arguments = ["1", "1", "1", today, newest, "0"];
        let arguments = redis.lua.create_sequence_from(arguments).unwrap();
        globals.set("ARGV", arguments).unwrap();
        assert_eq!(done.call::<Vec<String>>(()).unwrap(), ["OK"]);
        let event: String = redis.db().get("last_event").unwrap();
        assert_eq!(event, shown);
    }
}

/// Runs a script on the fence record.
fn run_on_fence(redis: &Redis, source: &str, arguments: &[&str]) -> Value {
    let globals = redis.lua.globals();
    globals.set("KEYS", vec!["fence"]).unwrap();
    globals.set("ARGV", arguments.to_vec()).unwrap();
    redis.lua.load(source).call(()).unwrap()
}

/// Claims for a log: up to where Redis may show it, which is waited for, and the last record of that.
fn claimed(redis: &Redis, epoch: &str, log: &str) -> String {
    let answer = run_on_fence(redis, &script::CLAIM_SOURCE, &["1", epoch, log]);
    let answer = answer.as_table().unwrap();
    let answer: Vec<String> = answer.sequence_values().map(Result::unwrap).collect();
    answer[3..].join(" ")
}

#[test]
fn a_claim_for_another_log_has_nothing_to_wait_for_and_the_next_one_again() {
    let redis = Redis::new();
    assert_eq!(claimed(&redis, "1", "x/0"), "  ", "of a new generation");
    run_on_fence(
        &redis,
        &script::BEGIN_SOURCE,
        &["1", "1", "1", "500", "70", "0", "record"],
    );
    assert_eq!(claimed(&redis, "2", "x/0"), "500 70 record");
    assert_eq!(
        claimed(&redis, "3", ""),
        "500 70 record",
        "it does not know its log"
    );
    assert_eq!(claimed(&redis, "4", "x/1"), "  ", "the log lost its tail");
    run_on_fence(
        &redis,
        &script::BEGIN_SOURCE,
        &["1", "4", "2", "420", "60", "0", "other"],
    );
    assert_eq!(
        claimed(&redis, "5", "x/1"),
        "420 60 other",
        "and not the old place"
    );
    for (place, known) in [("420", "other"), ("430", "third")] {
        run_on_fence(
            &redis,
            &script::BEGIN_SOURCE,
            &["1", "5", place, place, "60", "0", "third"],
        );
        let answer = claimed(&redis, "5", "x/1");
        assert_eq!(answer, format!("{place} 60 {known}"), "one at a place");
    }
}

#[test]
fn a_claim_says_whether_it_raised_the_generation_of_a_record_or_there_was_none() {
    let redis = Redis::new();
    let claim = |generation: &str, epoch: &str| {
        let answer = run_on_fence(&redis, &script::CLAIM_SOURCE, &[generation, epoch, "x/0"]);
        answer.as_table().unwrap().get::<String>(1).unwrap()
    };
    assert_eq!(claim("3", "1"), "CLAIMED", "there was none");
    assert_eq!(claim("3", "2"), "CLAIMED");
    assert_eq!(claim("4", "2"), "RAISED");
    assert_eq!(claim("3", "9"), "FENCED");
}

#[test]
fn a_log_that_lost_its_tail_is_another_one_also_where_the_record_does_not_name_its_log() {
    for (log, waited_for) in [("x/0", "500 70 record"), ("x/1", "  "), ("x/10", "  ")] {
        let redis = Redis::new();
        assert_eq!(claimed(&redis, "1", ""), "  ", "the broker gives no id");
        run_on_fence(
            &redis,
            &script::BEGIN_SOURCE,
            &["1", "1", "1", "500", "70", "0", "record"],
        );
        assert_eq!(claimed(&redis, "2", log), waited_for, "{log}");
    }
}
