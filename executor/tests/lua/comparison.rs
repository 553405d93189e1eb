//! What was sent, beside what is there.

use kol_executor::partition::encode::Outgoing;

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
        assert_eq!(answer(&mut redis, &compare), format!("OK 0 {key} 1"));
        run(&mut redis, &format!("DEL {key}"));
        assert_eq!(answer(&mut redis, &compare), "OK 0 1");
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
    for key in ["streaming:last_update", "streaming:last_event"] {
        assert_eq!(answer(&mut redis, &compare), "OK 0 0");
        run(&mut redis, &format!("DEL {key}"));
        assert_eq!(answer(&mut redis, &compare), "OK 0 1", "{key}");
        for call in [partition.begin(), partition.done()] {
            assert_eq!(answer(&mut redis, &call), "OK", "{key}");
        }
    }
}
