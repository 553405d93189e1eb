//! From one generation to the next.

use kol_common::scoring::Slot;
use kol_executor::partition::encode::Outgoing;
use mlua::Table;
use redis::Connection;

use crate::database::{Redis, members, one, scoring};
use crate::server::{Partition, Server, answer, run};

/// Sequences that are tried until one is newer than all before.
const MOST_BEGINS: usize = 1_000;

#[test]
fn a_generation_takes_the_place_of_an_older_one_at_once_or_later_and_never_beside_it() {
    let a = || Some(vec!["a".to_owned()]);
    let old = || Some(vec!["old".to_owned()]);
    for shown in ["live", "next"] {
        let redis = Redis::new();
        redis.prepare(&[]);
        let merge = |generation: &str, shown: &str, slot: Option<&Slot>| {
            let fence: Table = redis.db().get("fence").unwrap();
            fence.set("gen", generation).unwrap();
            let kols: Vec<_> = slot.into_iter().map(Some).collect();
            redis.call((generation, shown), &scoring(), (0.0, 1), &kols, 0)
        };
        let lua = &redis.lua;
        lua.load("commands.ZADD('ranking', 19, 'old')")
            .exec()
            .unwrap();
        assert_eq!(merge("2", shown, Some(&one(0, 2))), "OK");
        if shown == "next" {
            assert_eq!(
                (members(&redis, "ranking"), members(&redis, "next")),
                (old(), a())
            );
            assert_eq!(
                merge("1", "live", Some(&one(0, 1))),
                "FENCED",
                "an older one"
            );
            // Without a creator: there may be nothing else to say.
            assert_eq!(merge("2", "live", None), "OK");
        }
        assert_eq!(
            (members(&redis, "ranking"), members(&redis, "next")),
            (a(), None)
        );
        assert_eq!(members(&redis, "before"), old());
        assert_eq!(
            merge("1", "live", Some(&one(0, 1))),
            "FENCED",
            "an older one"
        );
        assert_eq!(merge("2", "next", Some(&one(0, 2))), "OK", "late to know");
        assert_eq!(
            (members(&redis, "ranking"), members(&redis, "next")),
            (a(), None)
        );
        // The next but one, while the first lies aside.
        assert_eq!(merge("3", "live", Some(&one(0, 3))), "OK");
        let mut aside = members(&redis, "before").unwrap();
        aside.sort();
        assert_eq!(aside, ["a", "old"]);
        assert_eq!(members(&redis, "platforms"), Some(vec!["tiktok".into()]));
    }
}

#[test]
fn a_generation_record_that_was_evicted_does_not_cost_the_ranking() {
    for (other, shown) in [("nothing", "ranking"), ("next", "next")] {
        let redis = Redis::new();
        redis.prepare(&[one(0, 1)]);
        let fence: Table = redis.db().get("fence").unwrap();
        fence.set("done", "1").unwrap();
        let lua = &redis.lua;
        lua.load("commands.ZADD('ranking', 19, 'b')")
            .exec()
            .unwrap();
        lua.load(format!("commands.ZADD('{other}', 19, 'b')"))
            .exec()
            .unwrap();
        let slot = one(0, 1);
        let answer = redis.call(("1", "next"), &scoring(), (0.0, 1), &[Some(&slot)], 0);
        assert_eq!(answer, "OK");
        let mut there = members(&redis, shown).unwrap();
        there.sort();
        assert_eq!(there, ["a", "b"]);
        assert_eq!(members(&redis, "before"), None);
    }
}

#[test]
fn the_ranking_of_another_system_is_not_taken_for_one_whose_record_was_lost() {
    let redis = Redis::new();
    redis.prepare(&[]);
    // The partition has flushed before: creators of another platform.
    let fence: Table = redis.db().get("fence").unwrap();
    fence.set("done", "1").unwrap();
    let lua = &redis.lua;
    lua.load("commands.ZADD('ranking', 19, 'old')")
        .exec()
        .unwrap();
    let merge = |shown: &str, kols: &[Option<&Slot>]| {
        let answer = redis.call(("1", shown), &scoring(), (0.0, 1), kols, 0);
        assert_eq!(answer, "OK");
        ["ranking", "next", "before"].map(|key| members(&redis, key).unwrap_or_default())
    };
    let [a, old, none] = [vec!["a".to_owned()], vec!["old".to_owned()], vec![]];
    let slot = one(0, 1);
    let while_catching_up = [old.clone(), a.clone(), none.clone()];
    assert_eq!(merge("next", &[Some(&slot)]), while_catching_up);
    assert_eq!(merge("live", &[]), [a, none, old], "in one step");
}

#[test]
fn where_nothing_is_shown_nothing_is_waited_for() {
    let redis = Redis::new();
    redis.prepare(&[]);
    let one = one(0, 1);
    let answer = redis.call(("1", "next"), &scoring(), (0.0, 1), &[Some(&one)], 0);
    assert_eq!(answer, "OK");
    assert_eq!(members(&redis, "ranking"), Some(vec!["a".to_owned()]));
}

/// The platforms on the list, and the expiry of the generation record of `invented`: none is -1.
fn listed(open: &mut Connection) -> (String, i64) {
    let mut platforms = redis::cmd("SMEMBERS");
    platforms.arg("streaming:ranking:*:trending:platforms");
    let mut expiry = redis::cmd("PTTL");
    expiry.arg("streaming:ranking:invented:trending:generation");
    (answer(open, &platforms), expiry.query(open).unwrap())
}

/// Begins a flush of a generation, and merges creators of `invented` one call after the other.
fn merge(open: &mut Connection, generation: u64, calls: &[&[(&str, Outgoing)]]) {
    let mut partition = Partition::new(generation);
    answer(open, &partition.claim());
    partition.sequence = 100 * generation;
    let begins = (0..MOST_BEGINS).any(|_| answer(open, &partition.begin()) == "OK");
    assert!(begins, "generation {generation} writes");
    for kols in calls {
        let call = partition.merge("invented", true, kols);
        assert_eq!(answer(open, &call), "OK");
    }
}

#[test]
fn a_platform_leaves_the_list_with_its_last_creator_and_is_on_it_again_with_the_next() {
    let server = Server::start();
    let mut open = server.connect();
    let put = [("a", Outgoing::Put(one(0, 1)))];
    let remove = [("a", Outgoing::Remove)];
    for _ in 0..2 {
        merge(&mut open, 1, &[&put]);
        assert_eq!(listed(&mut open), ("invented".to_owned(), -1));
        // That it may be shown changes nothing for a platform of which there is nothing.
        merge(&mut open, 1, &[&remove, &[]]);
        let (platforms, expiry) = listed(&mut open);
        assert_eq!(platforms, "");
        assert!(expiry > 0, "the record is not kept for ever: {expiry}");
    }
}

#[test]
fn a_generation_record_of_a_wrong_type_is_not_made_to_expire() {
    let server = Server::start();
    let mut open = server.connect();
    let record = "streaming:ranking:invented:trending:generation";
    run(&mut open, &format!("LPUSH {record} x"));
    merge(&mut open, 1, &[&[]]);
    assert_eq!(listed(&mut open), (String::new(), -1));
}

#[test]
fn a_platform_stays_on_the_list_while_a_ranking_of_it_lies_aside() {
    let server = Server::start();
    let mut open = server.connect();
    merge(&mut open, 1, &[&[("a", Outgoing::Put(one(0, 1)))]]);
    let remove = [("a", Outgoing::Remove)];
    merge(&mut open, 2, &[&[], &remove]);
    assert_eq!(
        listed(&mut open),
        ("invented".to_owned(), -1),
        "creators to sweep"
    );
    run(&mut open, "DEL streaming:ranking:invented:trending:before");
    merge(&mut open, 2, &[&[]]);
    assert_eq!(listed(&mut open).0, "");
}
