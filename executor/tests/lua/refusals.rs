//! Keys of a wrong type.

use mlua::Value;

use crate::database::{Redis, members, one, scoring};
use crate::server::{Partition, Server, answer, run};

/// Merges `a` while one key is a string.
fn with_a_string(key: &str) -> (Redis, String) {
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.db().set(key, "a string").unwrap();
    let answer = redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    let still: Option<String> = redis.db().get(key).ok();
    assert_eq!(still.as_deref(), Some("a string"), "it is somebody else's");
    (redis, answer)
}

#[test]
fn a_creator_whose_hash_is_of_a_wrong_type_is_left_out_named_and_keeps_its_slots() {
    let (redis, answer) = with_a_string("hash");
    assert_eq!(answer, "BADKEY hash");
    assert_eq!(members(&redis, "ranking"), None);
    redis.db().set("hash", Value::Nil).unwrap();
    redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    assert_eq!(redis.field("event_count"), "2");
    assert_eq!(members(&redis, "ranking"), Some(vec!["a".into()]));
    redis.db().set("hash", "a string").unwrap();
    redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    assert_eq!(members(&redis, "ranking"), None, "it leaves both");
    for partition in [0, 1] {
        assert_eq!(
            redis.merge(&scoring(), 0.0, None, partition).as_str(),
            ["BADKEY hash", "OK"][partition as usize]
        );
    }
    let left: String = redis.db().get("hash").unwrap();
    assert_eq!(left, "a string", "also when the creator leaves");
}

#[test]
fn a_key_of_a_wrong_type_that_the_platform_shares_is_named() {
    for key in ["ranking", "slots", "platforms", "next", "before"] {
        let (redis, answer) = with_a_string(key);
        assert_eq!(answer, format!("BADKEY {key}"));
        // The hash needs neither the ranking nor the list of platforms; but where the generation of the
        // ranking changes, its keys are not touched while one of them is of a wrong type.
        assert_eq!(redis.hash().is_some(), key == "platforms", "{key}");
    }
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.set_field("record", "of", b"another");
    let answer = redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(answer, "BADKEY record");
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    redis.db().set("ranking", "a string").unwrap();
    let answer = redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    assert_eq!(answer, "BADKEY ranking");
    assert_eq!(redis.field("event_count"), "2", "hashes are still written");
}

#[test]
fn a_flush_names_the_keys_of_a_wrong_type_that_no_merge_may_meet_until_they_are_mended() {
    let server = Server::start();
    let mut open = server.connect();
    let (event, platforms) = (
        "streaming:last_event",
        "streaming:ranking:*:trending:platforms",
    );
    let mut partition = Partition::new(1);
    assert_eq!(answer(&mut open, &partition.claim()), "CLAIMED 0 0   ");
    let mut flush = |open: &mut redis::Connection| {
        assert_eq!(answer(open, &partition.begin()), "OK");
        answer(open, &partition.done())
    };
    for key in [platforms, event] {
        run(&mut open, &format!("LPUSH {key} x"));
    }
    assert_eq!(flush(&mut open), format!("BADKEY {event} {platforms}"));
    run(&mut open, &format!("DEL {event}"));
    assert_eq!(flush(&mut open), format!("BADKEY {platforms}"));
    run(&mut open, &format!("DEL {platforms}"));
    assert_eq!(flush(&mut open), "OK");
}

#[test]
fn a_flush_looks_again_at_hashes_of_alerts_whatever_else_it_has() {
    let server = Server::start();
    let mut open = server.connect();
    let (known, topic) = (
        "streaming:ranking:tiktok:trending:alerts",
        "streaming:fence:j:t:0:alerts:topic",
    );
    let mut partition = Partition::new(1);
    assert_eq!(answer(&mut open, &partition.claim()), "CLAIMED 0 0   ");
    let mut flush = |open: &mut redis::Connection| {
        assert_eq!(answer(open, &partition.begin()), "OK");
        answer(open, &partition.done_and_recheck(&[known, topic]))
    };
    run(&mut open, &format!("SET {known} x"));
    run(&mut open, &format!("SET {topic} x"));
    assert_eq!(flush(&mut open), format!("BADKEY {known} {topic}"));
    run(&mut open, &format!("DEL {known}"));
    assert_eq!(flush(&mut open), format!("BADKEY {topic}"));
    run(&mut open, &format!("DEL {topic}"));
    run(&mut open, &format!("HSET {topic} a b"));
    assert_eq!(flush(&mut open), "OK");
}
