//! Hashes that only an older generation knew and that nothing names.

use std::collections::BTreeSet;

use kol_executor::partition::encode::Outgoing;
use redis::{Commands as _, Connection};

use crate::database::one;
use crate::server::{Partition, Server, answer, run};

const HASH: &str = "trending:tiktok:left";
const COPY: &str = "streaming_scores:left";
const SLOTS: &str = "streaming:ranking:tiktok:trending:slots";

/// What a generation leaves in Redis of a creator whose ranking and slots somebody deletes.
fn leave(open: &mut Connection, generation: u64, kol: &str) {
    run(open, "FLUSHALL");
    let mut old = Partition::new(generation);
    let put = [(kol, Outgoing::Put(one(0, generation as u32)))];
    let calls = [old.claim(), old.begin(), old.merge("tiktok", true, &put)];
    for call in calls {
        answer(open, &call);
    }
    run(open, &format!("DEL {SLOTS} ranking:tiktok:trending"));
}

/// A partition of generation 2 that has claimed its fence, in a flush.
fn second(open: &mut Connection) -> Partition {
    let mut partition = Partition::new(2);
    for call in [partition.claim(), partition.begin()] {
        answer(open, &call);
    }
    partition
}

fn all_keys(open: &mut Connection) -> BTreeSet<String> {
    open.keys("*").unwrap()
}

fn there(open: &mut Connection) -> [bool; 2] {
    [HASH, COPY].map(|key| open.exists(key).unwrap())
}

#[test]
fn a_hash_of_an_older_generation_that_nothing_names_is_removed_with_its_legacy_hash() {
    let server = Server::start();
    let mut open = server.connect();
    for _ in 0..2 {
        leave(&mut open, 1, "left");
        let mut partition = second(&mut open);
        let call = partition.forget(&["left", "nobody"]);
        let mut keys = all_keys(&mut open);
        assert_eq!(there(&mut open), [true; 2]);
        for _ in 0..2 {
            assert_eq!(answer(&mut open, &call), "OK");
            assert_eq!(there(&mut open), [false; 2]);
        }
        assert_eq!(answer(&mut open, &partition.done()), "OK", "it counts");
        keys.retain(|key| ![HASH, COPY].contains(&key.as_str()));
        keys.extend(["streaming:last_event", "streaming:last_update"].map(str::to_owned));
        assert_eq!(all_keys(&mut open), keys, "nothing else");
    }
}

/// Of these changes to what was left behind those after which hash and legacy hash are not there as they should be, once
/// the next generation has looked.
fn wrong_after(changes: &[String], should: [bool; 2]) -> Vec<&String> {
    let server = Server::start();
    let mut open = server.connect();
    let is_wrong = |change: &&String| {
        leave(&mut open, 1, "left");
        let mut partition = second(&mut open);
        run(&mut open, change);
        let call = partition.forget(&["nobody", "left"]);
        let answers = [call, partition.done()].map(|call| answer(&mut open, &call));
        answers != ["OK", "OK"] || there(&mut open) != should
    };
    changes.iter().filter(is_wrong).collect()
}

#[test]
fn a_creator_that_anything_names_keeps_its_hash() {
    let ranking = "ranking:tiktok:trending";
    let names = [
        format!("HSET {SLOTS} left x"),
        format!("ZADD {ranking} 1 left"),
        format!("ZADD streaming:{ranking}:next 1 left"),
        format!("ZADD streaming:{ranking}:before 1 left"),
        // What it should hold is not known.
        format!("SET {SLOTS} x"),
        format!("SET {ranking} x"),
        format!("SET streaming:{ranking}:next x"),
        format!("SET streaming:{ranking}:before x"),
    ];
    let none: [&String; 0] = [];
    assert_eq!(wrong_after(&names, [true, true]), none);
}

#[test]
fn a_hash_that_is_not_this_creators_of_an_older_generation_stays() {
    let changes = [
        format!("HSET {HASH} kol_id another"),
        format!("HDEL {HASH} kol_id"),
        format!("HSET {HASH} platform youtube"),
        format!("HDEL {HASH} platform"),
        format!("HSET {HASH} generation 2"),
        format!("HSET {HASH} generation 3"),
        format!("HSET {HASH} generation first"),
        format!("HDEL {HASH} generation"),
        format!("SET {HASH} mine"),
    ];
    let none: [&String; 0] = [];
    assert_eq!(wrong_after(&changes, [true, true]), none);
}

#[test]
fn a_legacy_hash_that_is_not_this_creators_stays() {
    let changes = [
        format!("HSET {COPY} username another"),
        format!("HSET {COPY} platform youtube"),
        format!("SET {COPY} mine"),
    ];
    let none: [&String; 0] = [];
    assert_eq!(wrong_after(&changes, [false, true]), none);
}

#[test]
fn only_the_owner_of_the_fence_removes_hashes_and_only_in_its_newest_flush() {
    let server = Server::start();
    let mut open = server.connect();
    for (change, says) in [
        ("gen 3", "FENCED"),
        ("ae 2", "FENCED"),
        ("begun 2", "FENCED"),
        ("gen 1", "NOFENCE"),
        ("begun 0", "NOFENCE"),
    ] {
        leave(&mut open, 1, "left");
        let mut partition = second(&mut open);
        let call = partition.forget(&["left"]);
        run(&mut open, &format!("HSET {} {change}", partition.fence.key));
        assert_eq!(answer(&mut open, &call), says, "{change}");
        assert_eq!(there(&mut open), [true; 2], "{change}");
    }
    leave(&mut open, 1, "left");
    let mut partition = second(&mut open);
    let call = partition.forget(&["left"]);
    run(&mut open, &format!("DEL {}", partition.fence.key));
    assert_eq!(answer(&mut open, &call), "NOFENCE");
    assert_eq!(there(&mut open), [true; 2]);
}

#[test]
fn a_removal_of_hashes_has_its_place_in_the_flush() {
    let server = Server::start();
    let mut open = server.connect();
    leave(&mut open, 1, "left");
    let mut partition = second(&mut open);
    let put = [("a", Outgoing::Put(one(0, 2)))];
    let calls = [
        partition.merge("tiktok", true, &put),
        partition.forget(&["left"]),
    ];
    assert_eq!(answer(&mut open, &calls[1]), "OK");
    assert_ne!(
        answer(&mut open, &partition.done()),
        "OK",
        "the merge is missing"
    );
    for call in &calls {
        assert_eq!(answer(&mut open, call), "OK");
    }
    assert_eq!(answer(&mut open, &partition.done()), "OK");
    assert!(open.exists::<_, bool>("trending:tiktok:a").unwrap());
}
