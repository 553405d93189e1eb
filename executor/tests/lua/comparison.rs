//! What was sent, beside what is there.

use kol_common::scoring::Slot;
use kol_executor::partition::encode::Outgoing;
use kol_executor::sink::compare;
use redis::{Commands as _, Connection};

use crate::database::one;
use crate::server::{Partition, Server, answer, run};

#[test]
fn keys_that_keep_an_older_ranking_shown_are_named_by_merges_and_by_comparisons_alike() {
    let server = Server::start();
    let mut redis = server.connect();
    let a = [("a", Outgoing::Put(one(0, 1)))];
    let ranking = "ranking:tiktok:trending";
    for key in [
        ranking.to_owned(),
        format!("streaming:{ranking}:next"),
        format!("streaming:{ranking}:before"),
    ] {
        run(&mut redis, "FLUSHALL");
        let mut first = Partition::new(1);
        for call in [
            first.claim(),
            first.begin(),
            first.merge("tiktok", true, &a),
        ] {
            answer(&mut redis, &call);
        }
        run(&mut redis, &format!("DEL {key}"));
        run(&mut redis, &format!("SET {key} mine"));
        let mut second = Partition::new(2);
        for call in [second.claim(), second.begin()] {
            answer(&mut redis, &call);
        }
        let merge = second.merge("tiktok", true, &a);
        assert_eq!(answer(&mut redis, &merge), format!("BADKEY {key}"));
        let compare = second.compare("tiktok", &["a"]);
        assert_eq!(answer(&mut redis, &compare), format!("OK 0 {key} 1 0"));
        run(&mut redis, &format!("DEL {key}"));
        assert_eq!(answer(&mut redis, &compare), "OK 0 1 0");
    }
}

#[test]
fn a_comparison_says_whether_the_times_of_the_job_are_gone_and_an_empty_flush_writes_them() {
    let server = Server::start();
    let mut redis = server.connect();
    let mut partition = Partition::new(1);
    let a = [("a", Outgoing::Put(one(0, 1)))];
    for call in [
        partition.claim(),
        partition.begin(),
        partition.merge("tiktok", true, &a),
        partition.done(),
    ] {
        answer(&mut redis, &call);
    }
    let compare = partition.compare("tiktok", &["a"]);
    let stamps_lost = |redis: &mut Connection| {
        let row: compare::Row = compare.query(redis).unwrap();
        compare::read(row).unwrap().1
    };
    for key in ["streaming:last_update", "streaming:last_event"] {
        assert!(!stamps_lost(&mut redis));
        run(&mut redis, &format!("DEL {key}"));
        assert!(stamps_lost(&mut redis), "{key}");
        for call in [partition.begin(), partition.done()] {
            assert_eq!(answer(&mut redis, &call), "OK", "{key}");
        }
    }
}

/// Three creators of tiktok and their shares in partition 0: the second one has another share in partition 1.
fn creators() -> [(&'static str, Slot); 3] {
    let share = |events| Slot {
        events,
        engagement_e6: 1e12 * f64::from(events),
        ..one(0, 1)
    };
    [("a", share(1)), ("b", share(2)), ("c", share(3))]
}

/// Merges all that a partition sends, as a whole.
fn write(redis: &mut Connection, partition: &mut Partition, kols: &[(&str, Slot)]) {
    let kols: Vec<_> = kols
        .iter()
        .map(|(kol, slot)| (*kol, Outgoing::Put(*slot)))
        .collect();
    let (begin, merge) = (partition.begin(), partition.merge("tiktok", true, &kols));
    for call in [begin, merge, partition.done()] {
        assert_eq!(answer(redis, &call), "OK");
    }
}

#[test]
fn whatever_somebody_writes_over_is_found_and_right_again_once_it_is_sent_as_a_whole() {
    let server = Server::start();
    let mut redis = server.connect();
    let all = creators();
    let (mut first, mut second) = (Partition::new(1), Partition::with_ordinal(1, 1));
    for partition in [&first, &second] {
        answer(&mut redis, &partition.claim());
    }
    let other = [(
        "b",
        Slot {
            partition: 1,
            ..all[2].1
        },
    )];
    let ranking = "ranking:tiktok:trending";
    let slots = format!("streaming:{ranking}:slots");
    // What somebody does, and who differs then.
    for (deeds, differ) in [
        (vec![], vec![]),
        (
            vec!["RENAME trending:tiktok:c trending:tiktok:a"],
            vec!["a", "c"],
        ),
        (vec!["ZADD ranking:tiktok:trending 1 a"], vec!["a"]),
        (vec!["ZADD ranking:tiktok:trending 1 b"], vec!["b"]),
        (vec!["ZREM ranking:tiktok:trending c"], vec!["c"]),
        (
            vec!["HSET trending:tiktok:a trending_score 0.00"],
            vec!["a"],
        ),
        (vec!["HSET trending:tiktok:b kol_id c"], vec!["b"]),
        (vec!["HSET trending:tiktok:b event_count 2"], vec!["b"]),
        (
            vec![
                "HDEL trending:tiktok:a velocity",
                "HSET trending:tiktok:a speed 1.00",
            ],
            vec!["a"],
        ),
        (vec!["HDEL trending:tiktok:a updated_at"], vec!["a"]),
        (vec!["HSET streaming_scores:c score 1"], vec!["c"]),
        (vec!["COPY slots a c"], vec!["c"]),
        (vec!["COPY slots c b"], vec!["b"]),
        (vec!["HSET slots a mine"], vec!["a"]),
    ] {
        write(&mut redis, &mut first, &all);
        write(&mut redis, &mut second, &other);
        for deed in &deeds {
            if let ["COPY", "slots", from, to] = deed.split(' ').collect::<Vec<_>>()[..] {
                let packed: Vec<u8> = redis.hget(&slots, from).unwrap();
                redis.hset::<_, _, _, ()>(&slots, to, packed).unwrap();
            } else {
                run(&mut redis, &deed.replace(" slots ", &format!(" {slots} ")));
            }
        }
        let sent = all.map(|(kol, slot)| (kol, Some(slot)));
        let right = first.are_as_sent(&mut redis, &sent);
        let differing: Vec<_> = (all.iter().zip(right))
            .filter(|(_, right)| !right)
            .map(|((kol, _), _)| *kol)
            .collect();
        assert_eq!(differing, differ, "{deeds:?}");
        let seen = second.are_as_sent(&mut redis, &[("b", Some(other[0].1))]);
        assert_eq!(seen, [!differ.contains(&"b")], "{deeds:?}");
    }
}

#[test]
fn slots_of_another_partition_that_come_and_go_and_newer_markets_are_no_damage() {
    let server = Server::start();
    let mut redis = server.connect();
    let [_, (kol, share), (_, more)] = creators();
    let (mut first, mut second) = (Partition::new(1), Partition::with_ordinal(1, 1));
    for partition in [&first, &second] {
        answer(&mut redis, &partition.claim());
    }
    let is_right = |redis: &mut Connection, partition: &Partition| {
        partition.are_as_sent(redis, &[(kol, Some(share))]) == [true]
    };
    write(&mut redis, &mut first, &[(kol, share)]);
    assert!(is_right(&mut redis, &first));
    second.market = (9.5, 2);
    let later = Slot {
        partition: 1,
        window_end: share.window_end + 7,
        ..more
    };
    write(&mut redis, &mut second, &[(kol, later)]);
    assert!(is_right(&mut redis, &first), "by the slots of both");
    write(&mut redis, &mut first, &[(kol, share)]);
    assert!(is_right(&mut redis, &first), "by the newer market");
    let (begin, removes) = (second.begin(), [(kol, Outgoing::Remove)]);
    for call in [begin, second.merge("tiktok", true, &removes), second.done()] {
        assert_eq!(answer(&mut redis, &call), "OK");
    }
    assert!(is_right(&mut redis, &first), "alone, by that market");
    assert!(!first.are_as_sent(&mut redis, &[(kol, Some(more))])[0]);
}

#[test]
fn a_redis_that_went_back_to_less_than_it_had_confirmed_has_lost_data_whatever_it_has_of_a_creator()
{
    let server = Server::start();
    let mut redis = server.connect();
    let mut partition = Partition::new(1);
    answer(&mut redis, &partition.claim());
    for _ in 0..2 {
        write(&mut redis, &mut partition, &creators());
    }
    let compare = |confirmed| partition.compare_confirmed(confirmed, "tiktok", &["a"]);
    assert_eq!(answer(&mut redis, &compare(3)), "NOFENCE 0 0 0");
    assert!(answer(&mut redis, &compare(2)).starts_with("OK 0 0"));
}

#[test]
fn members_of_a_ranking_without_slots_are_named_and_only_those_are_taken_out() {
    let server = Server::start();
    let mut redis = server.connect();
    let (mut first, mut second) = (Partition::new(1), Partition::with_ordinal(1, 1));
    for partition in [&first, &second] {
        answer(&mut redis, &partition.claim());
    }
    write(&mut redis, &mut first, &creators());
    let strange = |redis: &mut Connection| {
        let row: compare::Row = first.compare("tiktok", &["a"]).query(redis).unwrap();
        let mut strange = compare::read(row).unwrap().0.strange;
        strange.iter_mut().for_each(|all| all.sort());
        strange
    };
    let named = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
    assert_eq!(strange(&mut redis), None);
    let binary: &[u8] = b"\xff\xfe";
    let _: () = redis.zadd("ranking:tiktok:trending", binary, 1).unwrap();
    let long = "l".repeat(2_000);
    run(
        &mut redis,
        &format!("ZADD ranking:tiktok:trending 5 who 1 {long}"),
    );
    run(&mut redis, "HSET trending:tiktok:who kol_id who");
    assert_eq!(strange(&mut redis), named(&["who"]));
    run(&mut redis, "HDEL streaming:ranking:tiktok:trending:slots a");
    assert_eq!(strange(&mut redis), named(&["a", "who"]));
    let removes = ["who", "c"].map(|kol| (kol, Outgoing::Remove));
    for call in [second.begin(), second.merge("tiktok", true, &removes)] {
        assert_eq!(answer(&mut redis, &call), "OK");
    }
    assert_eq!(
        strange(&mut redis),
        named(&["a"]),
        "who had slots of another stays"
    );
    let left = run(&mut redis, "EXISTS trending:tiktok:who trending:tiktok:c");
    assert_eq!(left, redis::Value::Int(1));
}
