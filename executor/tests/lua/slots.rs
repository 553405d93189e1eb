//! What a merge does with slots.

use kol_common::job::Profile;
use kol_common::scoring::schema::{FIELDS, HASH_FIELDS, OLD_MARKET, OLD_SLOTS, OLD_SLOTS_VERSION};
use kol_common::scoring::{Slot, SlotLayout, unpack_slots};
use mlua::Table;

use crate::database::{Redis, members, one, scoring};

#[test]
fn a_slot_takes_the_place_of_the_one_its_partition_had_and_order_does_not_matter() {
    let redis = Redis::new();
    redis.prepare(&[one(0, 1), one(1, 1)]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(redis.field("event_count"), "2");
}

#[test]
fn slots_of_an_older_generation_are_ignored_and_a_newer_one_is_not_touched() {
    let redis = Redis::new();
    redis.prepare(&[Slot {
        generation: 0,
        ..one(1, 0)
    }]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(
        redis.field("trending_score"),
        "sent",
        "the only slot of this generation"
    );
    redis.prepare(&[one(1, 2)]);
    let answer = redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(answer, "FENCED");
    assert!(redis.hash().is_none());
}

#[test]
fn removing_the_last_slot_removes_hash_and_ranking_entry_together() {
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    redis.merge(&scoring(), 0.0, None, 0);
    assert_eq!(redis.field("event_count"), "1");
    redis.merge(&scoring(), 0.0, None, 1);
    assert!(redis.hash().is_none());
    assert_eq!(members(&redis, "ranking"), None);
}

#[test]
fn a_slot_that_is_sent_again_is_scored_again() {
    let redis = Redis::new();
    redis.prepare(&[one(0, 1)]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(
        redis.field("trending_score"),
        "sent",
        "by a new market measure"
    );
}

#[test]
fn a_late_flush_does_not_bring_an_old_market_measure_back() {
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.merge_as_of(&scoring(), (10.0, 1), Some(&one(0, 1)), 0);
    redis.merge_as_of(&scoring(), (500.0, 2), Some(&one(1, 1)), 1);
    let newest = redis.field("raw_score");
    redis.merge_as_of(&scoring(), (10.0, 1), Some(&one(0, 1)), 0);
    assert_eq!(redis.field("raw_score"), newest);
    redis.merge_as_of(&scoring(), (10.0, 3), Some(&one(0, 1)), 0);
    assert_ne!(redis.field("raw_score"), newest);
}

#[test]
fn what_comes_late_does_not_score_the_only_slot_of_another_by_an_older_market_measure() {
    let empty = Slot {
        engagement_e6: 0.0,
        events: 0,
        previous_engagement_e6: 0.0,
        previous_events: 0,
        ..one(1, 1)
    };
    for late in [None, Some(&empty)] {
        let redis = Redis::new();
        redis.prepare(&[]);
        redis.merge_as_of(&scoring(), (500.0, 2), Some(&one(0, 1)), 0);
        // Neither is sent again when the market changes: nothing would correct it.
        redis.merge_as_of(&scoring(), (10.0, 1), late, 1);
        let is = redis.field("raw_score");
        redis.merge_as_of(&scoring(), (500.0, 2), late, 1);
        assert_eq!(redis.field("raw_score"), is, "{late:?}");
    }
}

#[test]
fn slots_of_another_layout_are_overwritten() {
    for field in [&b"\x01abc"[..], b"\x02abc", b""] {
        let redis = Redis::new();
        redis.prepare(&[]);
        redis.set_field("slots", "a", field);
        let answer = redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
        assert_eq!(answer, "OK");
        assert_eq!(redis.field("trending_score"), "sent");
    }
}

#[test]
fn what_readers_read_is_text_and_slots_lie_beside_the_ranking() {
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    let mut names: Vec<String> = Vec::new();
    let hash = redis.hash().unwrap();
    for field in hash.pairs::<String, mlua::LuaString>() {
        let (name, value) = field.unwrap();
        assert!(value.to_str().is_ok(), "{name} is not text");
        names.push(name);
    }
    assert_eq!(names.len(), HASH_FIELDS);
    assert!(!names.iter().any(|name| name.starts_with('_')), "{names:?}");
    let slots: Table = redis.db().get("slots").unwrap();
    let packed: mlua::LuaString = slots.get("a").unwrap();
    let mut packed = unpack_slots(&packed.as_bytes()).unwrap();
    packed.sort_by_key(|slot| slot.partition);
    assert_eq!(packed, [one(0, 1), one(1, 1)]);
    redis.merge(&scoring(), 0.0, None, 0);
    redis.merge(&scoring(), 0.0, None, 1);
    assert!(slots.is_empty(), "they leave with the creator");
}

#[test]
fn slots_of_an_earlier_version_are_read_once_and_removed_from_the_hash() {
    let old = |market: &str| {
        let redis = Redis::new();
        redis.prepare(&[]);
        let mut packed = vec![OLD_SLOTS_VERSION];
        one(0, 1).pack_into(SlotLayout::of(Profile::Default), &mut packed);
        redis.set_field("hash", OLD_SLOTS, &packed);
        redis.set_field("hash", OLD_MARKET, market.as_bytes());
        redis
    };
    let redis = old("1 2 500");
    assert_eq!(
        redis.merge_as_of(&scoring(), (10.0, 1), Some(&one(1, 1)), 1),
        "OK"
    );
    assert_eq!(redis.field("event_count"), "2", "nothing goes back");
    let by_the_newer = redis.field("raw_score");
    for field in [OLD_SLOTS, OLD_MARKET] {
        let left: Option<String> = redis.hash().unwrap().get(field).unwrap();
        assert_eq!(left, None, "{field}");
    }
    redis.merge_as_of(&scoring(), (500.0, 2), Some(&one(1, 1)), 1);
    assert_eq!(redis.field("raw_score"), by_the_newer);
    let redis = old("0 2 500");
    redis.merge_as_of(&scoring(), (10.0, 1), Some(&one(1, 1)), 1);
    assert_ne!(
        redis.field("raw_score"),
        by_the_newer,
        "a measure of an older generation says nothing"
    );
}

/// A Redis that has `a` as the owner of its only slot sent it: all fields have the text "old".
fn changed(of: &Slot) -> Redis {
    let redis = Redis::new();
    redis.prepare(&[]);
    assert_eq!(redis.change(of, (4.0, 1), "old"), "OK");
    redis
}

/// The fields of `a` that have this text, sorted.
fn fields_with(redis: &Redis, text: &str) -> Vec<String> {
    let pairs = redis.hash().unwrap();
    let pairs = pairs.pairs::<String, String>().map(Result::unwrap);
    let mut names: Vec<_> = pairs.filter(|(_, t)| t == text).map(|(n, _)| n).collect();
    names.sort();
    names
}

#[test]
fn of_a_creator_with_more_events_what_did_not_change_is_not_written() {
    let redis = changed(&one(0, 1));
    let all: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(fields_with(&redis, "old").len(), all.len(), "at first all");
    let more = Slot {
        events: 9,
        engagement_e6: 7e6,
        ..one(0, 1)
    };
    assert_eq!(redis.change(&more, (4.0, 1), "new"), "OK");
    assert_eq!(fields_with(&redis, "old"), ["baseline", "window_end"]);
    assert_eq!(fields_with(&redis, "new").len(), all.len() - 2);
    let ranking: Table = redis.db().get("ranking").unwrap();
    assert_eq!(ranking.get::<String>("a").unwrap(), "new");
}

#[test]
fn whatever_the_other_fields_follow_from_they_are_written_when_it_changes() {
    let one = one(0, 1);
    let changes = [
        Slot {
            window_end: one.window_end + 1,
            ..one
        },
        Slot {
            baseline_engagement_e6: 1.0,
            ..one
        },
        Slot {
            baseline_events: 1.0,
            ..one
        },
        Slot {
            first_pane: one.first_pane - 1,
            ..one
        },
        Slot {
            partition: 1,
            ..one
        },
    ];
    for change in changes {
        let redis = changed(&one);
        redis.change(&change, (4.0, 1), "new");
        assert!(fields_with(&redis, "old").is_empty(), "{change:?}");
    }
}

#[test]
fn of_a_slot_that_is_sent_again_only_the_time_is_written_and_all_of_it_where_redis_lost_the_hash() {
    let redis = changed(&one(0, 1));
    redis
        .lua
        .load("db.hash.updated_at = 'before'")
        .exec()
        .unwrap();
    assert_eq!(redis.change(&one(0, 1), (4.0, 1), "new"), "OK");
    assert!(fields_with(&redis, "new").is_empty());
    assert_eq!(redis.field("updated_at"), "now");
    redis.change(&one(0, 1), (4.5, 2), "of another market");
    assert_eq!(fields_with(&redis, "old"), ["baseline", "window_end"]);
    for market in [(4.5, 2), (4.6, 3)] {
        redis.lua.load("db.hash = nil").exec().unwrap();
        redis.change(&one(0, 1), market, "again");
        assert_eq!(fields_with(&redis, "again").len(), FIELDS.len());
        assert_eq!(redis.field("kol_id"), "a");
    }
}

#[test]
fn a_creator_that_must_be_written_whatever_is_there_is_in_its_hash_and_in_the_ranking_again() {
    let redis = changed(&one(0, 1));
    redis.lua.load("db.ranking = nil").exec().unwrap();
    redis.merge(&scoring(), 4.0, Some(&one(0, 1)), 0);
    assert_eq!(fields_with(&redis, "sent").len(), FIELDS.len());
    assert_eq!(members(&redis, "ranking"), Some(vec!["a".to_owned()]));
}

#[test]
fn a_creator_that_another_partition_has_a_slot_of_is_written_as_a_whole() {
    let redis = changed(&one(0, 1));
    redis.merge(&scoring(), 4.0, Some(&one(1, 1)), 1);
    assert!(fields_with(&redis, "old").is_empty(), "by both");
    redis.merge(&scoring(), 4.0, None, 1);
    assert!(fields_with(&redis, "old").is_empty());
    redis.change(&one(0, 1), (4.0, 1), "new");
    assert_eq!(redis.field("event_count"), "1");
}
