//! When a flush counts as done.

use kol_common::redis::RIGHTS_MISSING;
use kol_executor::partition::encode::Outgoing;
use redis::{Connection, Value};

use crate::database::one;
use crate::server::{Partition, Server, answer, run};

/// The sequence of the last flush that is done.
fn done(open: &mut Connection, partition: &Partition) -> String {
    let found = run(open, &format!("HGET {} done", partition.fence.key));
    match found {
        Value::BulkString(bytes) => String::from_utf8(bytes).unwrap(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_flush_of_which_a_merge_failed_is_not_done_and_sent_again_it_is() {
    let server = Server::start();
    let (mut admin, mut user) = (server.connect(), server.connect());
    run(&mut admin, "ACL SETUSER kol on >pw ~* +@all");
    run(&mut user, "AUTH kol pw");
    let put = [("a", Outgoing::Put(one(0, 1)))];
    let remove = [("b", Outgoing::Remove)];
    for merges in [[&put, &remove], [&remove, &put]] {
        run(&mut admin, "FLUSHALL");
        let mut partition = Partition::new(1);
        assert_eq!(answer(&mut user, &partition.claim()), "CLAIMED 0 0   ");
        let flush = |user: &mut Connection, partition: &mut Partition| {
            assert_eq!(answer(user, &partition.begin()), "OK");
            let calls = merges.map(|kols| partition.merge("tiktok", true, kols));
            let merged = calls.map(|call| answer(user, &call));
            (merged, answer(user, &partition.done()))
        };
        run(&mut admin, "ACL SETUSER kol -hdel");
        let (merged, ended) = flush(&mut user, &mut partition);
        assert!(merged.contains(&RIGHTS_MISSING.to_owned()), "{merged:?}");
        assert!(merged.contains(&"OK".to_owned()), "{merged:?}");
        assert_ne!(ended, "OK", "after {merged:?}");
        assert_eq!(done(&mut admin, &partition), "0", "after {merged:?}");
        run(&mut admin, "ACL SETUSER kol +hdel");
        let again = flush(&mut user, &mut partition);
        assert_eq!(again, (["OK", "OK"].map(str::to_owned), "OK".to_owned()));
        assert_eq!(done(&mut admin, &partition), "2");
    }
}

#[test]
fn a_merge_that_comes_twice_does_not_stand_for_another_one() {
    let server = Server::start();
    let mut open = server.connect();
    let mut partition = Partition::new(1);
    answer(&mut open, &partition.claim());
    answer(&mut open, &partition.begin());
    let calls = ["a", "b"].map(|kol| {
        let put = Outgoing::Put(one(0, 1));
        partition.merge("tiktok", true, &[(kol, put)])
    });
    for _ in 0..2 {
        assert_eq!(answer(&mut open, &calls[0]), "OK");
    }
    assert_ne!(answer(&mut open, &partition.done()), "OK");
    for call in [&calls[1], &calls[0]] {
        assert_eq!(answer(&mut open, call), "OK");
    }
    assert_eq!(answer(&mut open, &partition.done()), "OK");
    assert_eq!(done(&mut open, &partition), "1");
}

#[test]
fn a_flush_whose_creators_are_all_left_out_is_done() {
    let server = Server::start();
    let mut open = server.connect();
    for key in [
        "trending:tiktok:a",
        "streaming:ranking:tiktok:trending:slots",
    ] {
        run(&mut open, "FLUSHALL");
        run(&mut open, &format!("SET {key} mine"));
        let mut partition = Partition::new(1);
        answer(&mut open, &partition.claim());
        answer(&mut open, &partition.begin());
        let merge = partition.merge("tiktok", true, &[("a", Outgoing::Put(one(0, 1)))]);
        assert_eq!(answer(&mut open, &merge), format!("BADKEY {key}"));
        assert_eq!(answer(&mut open, &partition.done()), "OK");
    }
}
