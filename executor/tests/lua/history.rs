//! What a snapshot of a ranking has, who may take it, and what is dropped with it.

use kol_common::Millis;
use kol_common::job::KeyTemplates;
use kol_common::redis::history::{MOST_BYTES, Name, PLACES, Rules, Snapshot};
use kol_executor::sink::{Fence, SnapshotRequest, history};
use redis::{Cmd, Connection};

use crate::server::{Partition, Server, answer, run};

const RANKING: &str = "ranking:tiktok:trending";
const HISTORY: &str = "streaming:ranking:tiktok:trending:history";
const SNAPSHOTS: &str = "streaming:ranking:tiktok:trending:snapshots";
/// When the first ranking is kept.
pub const T0: u64 = 1_751_360_400_000;
const HOUR: u64 = 3_600_000;

/// The call of this partition at so many minutes, which drops snapshots of its generation.
pub fn keep(fence: &Fence, minute: u64, dropped: &[u64]) -> Cmd {
    let name = |minute: u64| Name {
        at: Millis(T0 + minute * 60_000),
        generation: fence.generation,
    };
    let request = SnapshotRequest {
        fence: fence.clone(),
        keys: KeyTemplates::default(),
        first: Vec::new(),
        at: name(minute).at,
        window_end: Millis(T0 + HOUR),
        rules: Rules::new(Millis(HOUR), Millis(24 * HOUR)),
    };
    let dropped: Vec<Name> = dropped.iter().map(|minute| name(*minute)).collect();
    history::call(&request, "tiktok", name(minute), &dropped)
}

/// A Redis with a ranking that a job of generation 3 shows, and its partition.
fn shown() -> (Server, Connection, Fence) {
    let server = Server::start();
    let mut open = server.connect();
    let partition = Partition::new(3);
    answer(&mut open, &partition.claim());
    let record = redis::cmd("SET")
        .arg("streaming:ranking:tiktok:trending:generation")
        .arg("3 live")
        .exec(&mut open);
    record.unwrap();
    run(
        &mut open,
        "ZADD ranking:tiktok:trending 84.127 ann 71.28 bob 71.28 eve",
    );
    (server, open, partition.fence)
}

fn names(open: &mut Connection) -> String {
    let mut all = redis::cmd("ZRANGE");
    answer(open, all.arg(HISTORY).arg(0).arg(-1))
}

fn fields(open: &mut Connection) -> String {
    let mut all = redis::cmd("HKEYS");
    answer(open, all.arg(SNAPSHOTS))
}

fn snapshot(open: &mut Connection, name: &str) -> Option<Snapshot> {
    let read = redis::cmd("HGET").arg(SNAPSHOTS).arg(name).query(open);
    let text: Option<Vec<u8>> = read.unwrap();
    Snapshot::read(&text?)
}

#[test]
fn a_snapshot_is_the_ranking_of_that_moment_in_its_order_whatever_the_names() {
    let (_server, mut open, fence) = shown();
    let odd = "a\"b\\c\u{7f}\n/é\0x\u{1f980}\u{2028}";
    let added = redis::cmd("ZADD")
        .arg(RANKING)
        .arg(99.5)
        .arg(odd)
        .exec(&mut open);
    added.unwrap();
    assert_eq!(answer(&mut open, &keep(&fence, 0, &[])), "OK");
    let kept = snapshot(&mut open, "2025-07-01T09:00:00.000Z/3").unwrap();
    let ranking: Vec<(String, f64)> = redis::cmd("ZREVRANGE")
        .arg(RANKING)
        .arg(&["0", "-1", "WITHSCORES"])
        .query(&mut open)
        .unwrap();
    let rounded = ranking.into_iter().map(|(kol, score)| {
        let shown = format!("{score:.2}").parse().unwrap();
        (kol, shown)
    });
    assert_eq!(kept.creators, rounded.collect::<Vec<_>>());
    assert_eq!(kept.creators[0], (odd.to_owned(), 99.5));
    assert_eq!(kept.window_end, "2025-07-01T10:00:00.000Z");
    assert!(!kept.cut);
    for key in [HISTORY, SNAPSHOTS] {
        let expiry: u64 = redis::cmd("PTTL").arg(key).query(&mut open).unwrap();
        assert!((25 * HOUR..=26 * HOUR).contains(&expiry), "{key} {expiry}");
    }
    let score: u64 = redis::cmd("ZSCORE")
        .arg(HISTORY)
        .arg("2025-07-01T09:00:00.000Z/3")
        .query(&mut open)
        .unwrap();
    assert_eq!(score, T0);
}

#[test]
fn a_snapshot_has_the_first_thousand_and_those_that_are_dropped_leave_with_it() {
    let (_server, mut open, fence) = shown();
    let mut many = redis::cmd("ZADD");
    many.arg(RANKING);
    for number in 0..2_000 {
        many.arg(number).arg(format!("kol{number}"));
    }
    many.exec(&mut open).unwrap();
    for (minute, dropped) in [(0, &[][..]), (1, &[]), (2, &[0, 1])] {
        assert_eq!(answer(&mut open, &keep(&fence, minute, dropped)), "OK");
    }
    let last = "2025-07-01T09:02:00.000Z/3";
    assert_eq!(
        (names(&mut open), fields(&mut open)),
        (last.into(), last.into())
    );
    let kept = snapshot(&mut open, last).unwrap();
    assert_eq!(kept.creators.len(), PLACES);
    assert_eq!(kept.creators[0].0, "kol1999");
}

#[test]
fn a_snapshot_of_hostile_names_has_the_first_that_fit_and_says_that_it_is_cut() {
    let (_server, mut open, fence) = shown();
    let mut many = redis::cmd("ZADD");
    many.arg(RANKING);
    let name = |number: usize| format!("{number}/\"{}", "\u{1}".repeat(1_000));
    for number in 1_000..2_000 {
        many.arg(number).arg(name(number));
    }
    many.exec(&mut open).unwrap();
    assert_eq!(answer(&mut open, &keep(&fence, 0, &[])), "OK");
    let field = "2025-07-01T09:00:00.000Z/3";
    let mut length = redis::cmd("HSTRLEN");
    let length: usize = length.arg(SNAPSHOTS).arg(field).query(&mut open).unwrap();
    // A name takes six kilobytes there.
    assert!(
        length > MOST_BYTES - 7_000 && length <= MOST_BYTES,
        "{length}"
    );
    let kept = snapshot(&mut open, field).unwrap();
    assert!(kept.cut);
    let first = (1_000..2_000).rev().take(kept.creators.len());
    let first: Vec<_> = first.map(|n| (name(n), n as f64)).collect();
    assert_eq!(kept.creators, first, "{} creators", first.len());
}

#[test]
fn nobody_but_the_owner_keeps_a_ranking_and_only_one_that_shows_its_generation() {
    let (_server, mut open, fence) = shown();
    let of = |generation, assignment_epoch| Fence {
        key: fence.key.clone(),
        generation,
        assignment_epoch,
    };
    for (fence, expected) in [
        (of(2, 9), "FENCED"),
        (of(3, 0), "FENCED"),
        (of(3, 2), "NOFENCE"),
        (of(4, 1), "NOFENCE"),
    ] {
        assert_eq!(answer(&mut open, &keep(&fence, 0, &[])), expected);
    }
    run(&mut open, "HSET streaming:fence:j:t:0 gen 4");
    assert_eq!(answer(&mut open, &keep(&of(4, 1), 0, &[])), "OK");
    run(&mut open, "DEL ranking:tiktok:trending");
    run(&mut open, "HSET streaming:fence:j:t:0 gen 3");
    assert_eq!(answer(&mut open, &keep(&fence, 0, &[])), "OK");
    assert_eq!(names(&mut open), "", "it is not shown, or there is none");
}

#[test]
fn a_call_that_comes_again_or_late_changes_nothing() {
    let (_server, mut open, fence) = shown();
    answer(&mut open, &keep(&fence, 5, &[]));
    let read = |open: &mut Connection| snapshot(open, "2025-07-01T09:05:00.000Z/3");
    let kept = read(&mut open);
    run(&mut open, "ZADD ranking:tiktok:trending 99 new");
    for minute in [5, 4] {
        assert_eq!(answer(&mut open, &keep(&fence, minute, &[])), "OK");
    }
    assert_eq!(read(&mut open), kept);
    assert_eq!(names(&mut open), "2025-07-01T09:05:00.000Z/3");
    // One that a new beginning drops does not hinder what is written in its place.
    assert_eq!(answer(&mut open, &keep(&fence, 4, &[5])), "OK");
    assert_eq!(names(&mut open), "2025-07-01T09:04:00.000Z/3");
}

#[test]
fn a_key_of_a_wrong_type_is_named_and_stays_as_it_is() {
    for key in [RANKING, HISTORY, SNAPSHOTS] {
        let (_server, mut open, fence) = shown();
        run(&mut open, &format!("DEL {key}"));
        run(&mut open, &format!("SET {key} x"));
        let said = answer(&mut open, &keep(&fence, 0, &[]));
        assert_eq!(said, format!("BADKEY {key}"));
        let mut read = redis::cmd("GET");
        assert_eq!(answer(&mut open, read.arg(key)), "x");
    }
}

#[test]
fn snapshots_whose_names_were_lost_do_not_stay() {
    let (_server, mut open, fence) = shown();
    answer(&mut open, &keep(&fence, 0, &[]));
    run(&mut open, &format!("DEL {HISTORY}"));
    answer(&mut open, &keep(&fence, 1, &[]));
    assert_eq!(fields(&mut open), "2025-07-01T09:01:00.000Z/3");
}
