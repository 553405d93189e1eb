//! The scripts of owner records against a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

use kol_common::job::SinkSpec;
use kol_common::redis::owner::{Claim, LONGEST_SILENCE, Other, Owner, Verdict, release, renew};
use kol_common::redis::{
    KEY_TYPE, RedisConnection, classify, connect, eviction, not_a_hash, rights_problem,
};
use kol_common::secrets::Secrets;
use kol_common::{ClusterId, JobId, Millis, StoreId};
use kol_harness::{RedisCluster, RedisServer};

/// A job called `kol_{number}`, of a master with this store.
fn claim(redis: &RedisServer, store: &str, number: u8) -> Claim {
    claim_at(&redis.url(), store, number)
}

fn claim_at(url: &str, store: &str, number: u8) -> Claim {
    Claim {
        owner: Owner {
            store: StoreId::from_wire(store),
            cluster: ClusterId::from_wire("clu_1"),
            host: "web-7:7077".into(),
            job: format!("kol_{number}"),
            job_id: JobId::from_wire(format!("job_{number}")),
            generation: 3,
        },
        sink: sink(url),
        first: Vec::new(),
        displaced: Vec::new(),
        confirmed: Millis(0),
    }
}

fn sink(url: &str) -> SinkSpec {
    SinkSpec {
        url: url.to_owned(),
        ..SinkSpec::default()
    }
}

async fn open(url: &str) -> RedisConnection {
    connect(&sink(url), &Secrets::default()).await.unwrap()
}

/// Who holds keys that were claimed.
fn held(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Held(other) => &other.owner.job,
        Verdict::Free { .. } => "",
    }
}

/// Whose keys were claimed that no one else holds.
fn former(verdict: Verdict) -> Option<Other> {
    match verdict {
        Verdict::Held(other) => panic!("{other:?}"),
        Verdict::Free { former, .. } => former,
    }
}

/// When all records of a job were confirmed to be its own.
fn confirmed(verdict: &Verdict) -> Millis {
    match verdict {
        Verdict::Held(other) => panic!("{other:?}"),
        Verdict::Free { at, .. } => *at,
    }
}

/// Sets a time of all owner records to so many milliseconds ago.
fn age(redis: &RedisServer, field: &str, ago: u64) {
    let now: (u64, u64) = redis::cmd("TIME").query(&mut redis.connect()).unwrap();
    for key in redis.cli("KEYS *:owner").lines() {
        redis.cli(&format!("HSET {key} {field} {}", now.0 * 1_000 - ago));
    }
}

const RECORD: &str = "streaming:ranking:*:trending:owner";

#[tokio::test]
async fn the_second_of_two_masters_is_refused_whatever_its_url_looks_like() {
    let redis = RedisServer::start();
    let first = claim(&redis, "sto_a", 1);
    let verdict = first.own(&mut open(&redis.url()).await).await.unwrap();
    assert_eq!(former(verdict), None);
    let second = claim(&redis, "sto_b", 2);
    for place in ["localhost", "127.0.0.1"] {
        let mut open = open(&format!("redis://{place}:{}", redis.port())).await;
        for verdict in [
            second.look(&mut open).await.unwrap(),
            second.own(&mut open).await.unwrap(),
        ] {
            let Verdict::Held(other) = verdict else {
                panic!("{verdict:?}");
            };
            assert_eq!(other.owner, first.owner);
            assert_eq!(other.key, "ranking:{platform}:trending");
            assert!(other.silent < Millis(10_000), "{other:?}");
        }
    }
    let other_database = format!("redis://127.0.0.1:{}/5", redis.port());
    let verdict = second.own(&mut open(&other_database).await).await.unwrap();
    assert_eq!(held(&verdict), "", "another database is another namespace");
}

#[tokio::test]
async fn a_look_changes_nothing() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let first = claim(&redis, "sto_a", 1);
    let verdict = first.look(&mut open).await.unwrap();
    assert_eq!(former(verdict), None);
    assert_eq!(redis.cli("DBSIZE").trim(), "0");
}

#[tokio::test]
async fn a_claim_takes_all_keys_or_none_and_keys_of_others_are_free() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let mut first = claim(&redis, "sto_a", 1);
    first.sink.keys.ranking = "first:{platform}".into();
    first.own(&mut open).await.unwrap();
    let second = claim(&redis, "sto_b", 2);
    assert_eq!(held(&second.own(&mut open).await.unwrap()), "kol_1");
    assert_eq!(redis.cli(&format!("EXISTS {RECORD}")).trim(), "0", "none");
    let mut third = claim(&redis, "sto_b", 3);
    let keys = &mut third.sink.keys;
    for template in [
        &mut keys.ranking,
        &mut keys.hash,
        &mut keys.last_update,
        &mut keys.last_event,
    ] {
        *template = format!("third:{template}");
    }
    assert_eq!(held(&third.own(&mut open).await.unwrap()), "");
}

#[tokio::test]
async fn a_renewal_keeps_when_the_keys_were_taken_and_tells_the_generation() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let mut job = claim(&redis, "sto_a", 1);
    job.owner.generation = 0;
    job.own(&mut open).await.unwrap();
    redis.cli(&format!("HSET {RECORD} since 5 seen 5"));
    job.owner.generation = 9;
    job.own(&mut open).await.unwrap();
    assert_eq!(redis.cli(&format!("HGET {RECORD} since")).trim(), "5");
    assert_eq!(redis.cli(&format!("HGET {RECORD} generation")).trim(), "9");
    assert_ne!(redis.cli(&format!("HGET {RECORD} seen")).trim(), "5");
}

#[tokio::test]
async fn an_owner_that_was_silent_for_too_long_is_replaced_and_named() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let first = claim(&redis, "sto_a", 1);
    let second = claim(&redis, "sto_b", 2);
    for (silence, taken) in [
        (LONGEST_SILENCE.0 - 5_000, false),
        (LONGEST_SILENCE.0 + 5_000, true),
    ] {
        first.own(&mut open).await.unwrap();
        age(&redis, "seen", silence);
        let verdict = second.own(&mut open).await.unwrap();
        match verdict {
            Verdict::Free {
                former: Some(former),
                ..
            } if taken => assert_eq!(former.owner, first.owner),
            Verdict::Held(_) if !taken => {}
            other => panic!("{silence}: {other:?}"),
        }
    }
    let verdict = first.own(&mut open).await.unwrap();
    assert_eq!(held(&verdict), "kol_2");
}

#[tokio::test]
async fn a_person_takes_keys_from_the_owner_that_was_named_and_from_no_other() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let first = claim(&redis, "sto_a", 1);
    first.own(&mut open).await.unwrap();
    let mut second = claim(&redis, "sto_b", 2);
    second.displaced.push(first.owner.clone());
    let verdict = second.own(&mut open).await.unwrap();
    assert_eq!(former(verdict).unwrap().owner, first.owner);
    let mut third = claim(&redis, "sto_c", 3);
    third.displaced.push(second.owner.clone());
    third.own(&mut open).await.unwrap();
    // As when a server executes a command a second time, late.
    assert_eq!(held(&second.own(&mut open).await.unwrap()), "kol_3");
    assert_eq!(held(&first.own(&mut open).await.unwrap()), "kol_3");
}

#[tokio::test]
async fn of_two_jobs_of_one_master_the_one_that_comes_first_keeps_the_keys() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let older = claim(&redis, "sto_a", 1);
    let mut newer = claim(&redis, "sto_a", 2);
    newer.first.push(older.owner.job_id.clone());
    newer.own(&mut open).await.unwrap();
    assert_eq!(held(&older.own(&mut open).await.unwrap()), "");
    assert_eq!(held(&newer.own(&mut open).await.unwrap()), "kol_1");
    newer.first.clear();
    assert_eq!(held(&newer.own(&mut open).await.unwrap()), "", "it is over");
}

#[tokio::test]
async fn executors_give_signs_of_life_until_another_store_has_the_keys() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let first = claim(&redis, "sto_a", 1);
    let renewed = async |confirmed| {
        let mut open = self::open(&redis.url()).await;
        renew(&first.sink, &first.owner, confirmed, &mut open).await
    };
    first.own(&mut open).await.unwrap();
    redis.cli(&format!("HSET {RECORD} seen 5"));
    let last = confirmed(&renewed(Millis(0)).await.unwrap());
    assert_eq!(
        redis.cli(&format!("HGET {RECORD} seen")).trim(),
        last.0.to_string()
    );
    let mut second = claim(&redis, "sto_b", 2);
    second.displaced.push(first.owner.clone());
    second.own(&mut open).await.unwrap();
    let Verdict::Held(taken) = renewed(last).await.unwrap() else {
        panic!("held");
    };
    assert_eq!(taken.owner, second.owner);
    age(&redis, "seen", LONGEST_SILENCE.0 + 5_000);
    let silent = renewed(last).await.unwrap();
    assert_eq!(confirmed(&silent), Millis(0), "left to the master");
    assert_eq!(redis.cli(&format!("HGET {RECORD} job")).trim(), "kol_2");
}

#[tokio::test]
async fn records_that_redis_lost_are_back_before_another_store_comes() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let (first, second) = (claim(&redis, "sto_a", 1), claim(&redis, "sto_b", 2));
    let last = confirmed(&first.own(&mut open).await.unwrap());
    redis.cli("FLUSHALL");
    let renewed = renew(&first.sink, &first.owner, last, &mut open).await;
    assert!(confirmed(&renewed.unwrap()) >= last);
    let Verdict::Held(other) = second.own(&mut open).await.unwrap() else {
        panic!("held");
    };
    assert_eq!(other.owner, first.owner);
    assert!(other.since >= last, "{other:?}");
    // An old dump has the record of one key alone, and the others are lost.
    redis.cli("FLUSHALL");
    second.own(&mut open).await.unwrap();
    for keys in [
        second.sink.owner_keys("kol_2"),
        second.sink.holder_keys("kol_2"),
    ] {
        redis.cli(&format!("DEL {}", keys[1..].join(" ")));
    }
    age(&redis, "since", 9_000);
    renew(&first.sink, &first.owner, last, &mut open)
        .await
        .unwrap();
    let looked = second.look(&mut open).await.unwrap();
    assert_eq!(held(&looked), "kol_1");
    for key in first.sink.owner_keys("kol_1") {
        let store = redis.cli(&format!("HGET {key} store"));
        assert_eq!(store.trim(), "sto_a", "{key}");
    }
}

#[tokio::test]
async fn records_that_are_deleted_alone_leave_their_owner_known() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let (first, second) = (claim(&redis, "sto_a", 1), claim(&redis, "sto_b", 2));
    let last = confirmed(&first.own(&mut open).await.unwrap());
    for deleted in [
        first.sink.owner_keys("kol_1"),
        first.sink.holder_keys("kol_1"),
    ] {
        redis.cli(&format!("DEL {}", deleted.join(" ")));
        for verdict in [
            second.look(&mut open).await.unwrap(),
            second.own(&mut open).await.unwrap(),
        ] {
            let Verdict::Held(other) = verdict else {
                panic!("{deleted:?}: {verdict:?}");
            };
            assert_eq!(other.owner, first.owner);
        }
        let renewed = renew(&first.sink, &first.owner, last, &mut open).await;
        assert!(confirmed(&renewed.unwrap()) >= last);
        for key in &deleted {
            assert_eq!(redis.cli(&format!("HGET {key} store")).trim(), "sto_a");
        }
    }
    // A copy is as silent as its record was.
    redis.cli(&format!("DEL {}", first.sink.owner_keys("kol_1").join(" ")));
    for copy in first.sink.holder_keys("kol_1") {
        redis.cli(&format!("HSET {copy} seen 5"));
    }
    assert_eq!(held(&second.own(&mut open).await.unwrap()), "");
}

#[tokio::test]
async fn a_record_of_another_store_that_came_with_an_older_dump_takes_no_keys() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let mut first = claim(&redis, "sto_a", 1);
    first.confirmed = confirmed(&first.own(&mut open).await.unwrap());
    let (second, newer) = (claim(&redis, "sto_b", 2), first.owner.generation + 1);
    for (since, generation, counts) in [(9_000, 3, false), (0, 3, true), (9_000, newer, true)] {
        redis.cli("FLUSHALL");
        second.own(&mut open).await.unwrap();
        age(&redis, "seen", 5_000);
        if since > 0 {
            age(&redis, "since", since);
        }
        for key in second.sink.owner_keys("kol_2") {
            redis.cli(&format!("HSET {key} generation {generation}"));
        }
        let looked = first.look(&mut open).await.unwrap();
        let renewed = renew(&first.sink, &first.owner, first.confirmed, &mut open).await;
        for verdict in [looked, renewed.unwrap()] {
            let by = if counts { "kol_2" } else { "" };
            assert_eq!(held(&verdict), by, "{since} {generation}: {verdict:?}");
            if !counts {
                assert_eq!(former(verdict), None, "nobody was displaced");
            }
        }
    }
}

#[tokio::test]
async fn a_job_that_is_over_removes_its_own_records_alone() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    let first = claim(&redis, "sto_a", 1);
    first.own(&mut open).await.unwrap();
    let other = JobId::from_wire("job_9");
    release(&first.sink, "kol_1", &other, &mut open)
        .await
        .unwrap();
    let second = claim(&redis, "sto_b", 2);
    assert_eq!(held(&second.look(&mut open).await.unwrap()), "kol_1");
    let id = &first.owner.job_id;
    release(&first.sink, "kol_1", id, &mut open).await.unwrap();
    assert_eq!(redis.cli("DBSIZE").trim(), "0");
}

#[tokio::test]
async fn in_a_cluster_the_records_lie_in_the_hash_slot_of_the_keys_and_every_node_is_queried_for_its_policy()
 {
    let cluster = RedisCluster::start(0);
    let open = async || open(&cluster.url()).await;
    let mut first = claim_at(&cluster.url(), "sto_a", 1);
    let mut second = claim_at(&cluster.url(), "sto_b", 2);
    for sink in [&mut first.sink, &mut second.sink] {
        let keys = &mut sink.keys;
        for template in [
            &mut keys.ranking,
            &mut keys.hash,
            &mut keys.fence,
            &mut keys.last_update,
            &mut keys.last_event,
        ] {
            template.insert_str(0, "{tag}:");
        }
    }
    let verdict = first.own(&mut open().await).await.unwrap();
    assert_eq!(former(verdict), None);
    assert_eq!(held(&second.own(&mut open().await).await.unwrap()), "kol_1");
    let (Owner { job, job_id, .. }, sink) = (&first.owner, &first.sink);
    let renewed = renew(sink, &first.owner, Millis(0), &mut open().await).await;
    assert!(confirmed(&renewed.unwrap()).0 > 0);
    release(sink, job, job_id, &mut open().await).await.unwrap();
    assert_eq!(held(&second.own(&mut open().await).await.unwrap()), "");
    assert_eq!(eviction(&mut open().await, false).await.unwrap(), None);
    let rights = rights_problem(&first.sink, &mut open().await).await;
    assert_eq!(rights.unwrap(), None);
    for node in &cluster.nodes {
        node.cli("CONFIG SET maxmemory 100mb");
        node.cli("CONFIG SET maxmemory-policy allkeys-lfu");
        assert!(eviction(&mut open().await, false).await.unwrap().is_some());
        node.cli("CONFIG SET maxmemory-policy volatile-lfu");
        assert_eq!(eviction(&mut open().await, false).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_policy_that_evicts_is_noticed_until_it_is_right() {
    let redis = RedisServer::start();
    let mut open = open(&redis.url()).await;
    assert_eq!(eviction(&mut open, false).await.unwrap(), None);
    redis.cli("CONFIG SET maxmemory-policy allkeys-lru");
    assert_eq!(
        eviction(&mut open, false).await.unwrap(),
        None,
        "without a limit"
    );
    redis.cli("CONFIG SET maxmemory 100mb");
    let problem = eviction(&mut open, false).await.unwrap().unwrap();
    assert!(problem.to_string().contains("allkeys-lru"), "{problem}");
    redis.cli("CONFIG SET maxmemory-policy noeviction");
    assert_eq!(eviction(&mut open, false).await.unwrap(), None);
}

#[tokio::test]
async fn an_owner_record_of_a_wrong_type_is_found_by_its_key() {
    let redis = RedisServer::start();
    let claim = claim(&redis, "sto_a", 1);
    let mut open = open(&redis.url()).await;
    claim.own(&mut open).await.unwrap();
    let records = claim.sink.owner_keys(&claim.owner.job);
    assert_eq!(not_a_hash(records.clone(), &mut open).await, None);
    let spoiled = &records[1];
    redis.cli(&format!("DEL {spoiled}"));
    redis.cli(&format!("LPUSH {spoiled} x"));
    for called in [claim.own(&mut open).await, claim.look(&mut open).await] {
        assert_eq!(classify(&called.unwrap_err()).code, KEY_TYPE);
    }
    let found = not_a_hash(records.clone(), &mut open).await;
    assert_eq!(found.as_ref(), Some(spoiled));
}

#[tokio::test]
async fn rights_that_a_user_lacks_are_named_before_a_job_runs() {
    let redis = RedisServer::start();
    let readme = include_str!("../../README.md");
    let line = readme.lines().find(|l| l.starts_with("ACL SETUSER kol "));
    redis.cli(&line.unwrap().replace("PASSWORD", "pw"));
    let url = format!("redis://kol:pw@127.0.0.1:{}/0", redis.port());
    let problem = rights_problem(&sink(&url), &mut open(&url).await).await;
    assert_eq!(problem.unwrap(), None, "the user of the README");

    redis.cli("ACL SETUSER kol -del");
    let problem = rights_problem(&sink(&url), &mut open(&url).await).await;
    let problem = problem.unwrap().unwrap();
    assert!(problem.message.ends_with("missing: +del"), "{problem}");
    assert_eq!(redis.cli("DBSIZE").trim(), "0", "the look leaves nothing");

    redis.cli("ACL SETUSER kol -zadd -time -scan resetkeys ~ranking:* ~trending:*");
    let problem = rights_problem(&sink(&url), &mut open(&url).await).await;
    let problem = problem.unwrap().unwrap();
    assert_eq!(problem.code, "SINK_RIGHTS");
    for right in ["+zadd", "+time", "+scan", "~streaming:"] {
        assert!(problem.message.contains(right), "{problem}");
        assert!(problem.help.contains(right), "{problem}");
    }
    assert!(!problem.message.contains("+zrem"), "{problem}");
    assert_eq!(redis.cli("DBSIZE").trim(), "0", "the look leaves nothing");
}
