//! What is answered while Redis is away.

use std::time::Duration;

use kol_harness::RedisServer;
use tokio::time::{Instant, sleep};

use crate::support::{Api, Got, Writer, written};

const LIMIT: Duration = Duration::from_secs(15);

/// Requests a page until its answer is as it should be.
async fn until(api: &Api, path: &str, is_it: impl Fn(&Got) -> bool) -> Got {
    let begun = Instant::now();
    loop {
        let got = api.get(path).await;
        if is_it(&got) {
            return got;
        }
        assert!(begun.elapsed() < LIMIT, "{path}: {got:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn without_redis_old_answers_are_marked_others_are_refused_and_all_is_well_when_it_is_back() {
    let mut redis = written();
    let api = Api::start(redis.url()).await;
    let path = "/api/v1/trending?limit=1";
    let fresh = api.json(path).await;
    assert_eq!(fresh.get("stale"), None);
    redis.down();
    let old = until(&api, path, |got| got.header("age").is_some()).await;
    let mut marked = old.json();
    assert_eq!(marked["stale"], true);
    marked.as_object_mut().unwrap().shift_remove("stale");
    assert_eq!((old.status, &marked), (200, &fresh));
    assert_eq!(old.header("etag"), None);
    assert_eq!(old.header("cache-control"), Some("no-store"));

    for path in ["/api/v1/trending?limit=2", "/api/v1/search?q=a", "/readyz"] {
        let got = api.get(path).await;
        assert_eq!(got.problem(), (503, "SINK_UNREACHABLE".into()), "{path}");
        assert_eq!(got.header("retry-after"), Some("2"));
        let place = redis.address();
        assert!(!got.text.contains(&place), "{}", got.text);
    }
    assert_eq!(api.get("/healthz").await.status, 200);

    redis.up();
    Writer::new(0).flush(&mut redis.connect(), &[("tiktok", "new", 1.0, 1.0, 1)]);
    let back = until(&api, path, |got| got.header("etag").is_some()).await;
    assert_eq!(back.json()["data"][0]["kol_id"], "new");
    assert_eq!(api.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_redis_that_does_not_answer_is_waited_for_a_second_and_not_by_each_request() {
    let redis = written();
    let api = Api::start(redis.url()).await;
    let path = "/api/v1/trending?limit=1";
    api.json(path).await;
    stop(&redis, "STOP");
    sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    let all = (0..20).map(|_| api.get(path));
    for got in futures::future::join_all(all).await {
        assert_eq!((got.status, &got.json()["stale"]), (200, &true.into()));
    }
    let took = begun.elapsed();
    stop(&redis, "CONT");
    assert!(took < Duration::from_millis(2_500), "{took:?}");
    until(&api, path, |got| got.header("etag").is_some()).await;
}

fn stop(redis: &RedisServer, signal: &str) {
    let sent = std::process::Command::new("kill")
        .args(["-s", signal, &redis.pid().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn a_connection_that_redis_closed_is_replaced_without_anybody_noticing() {
    let redis = written();
    let api = Api::start(redis.url()).await;
    for round in 0..5 {
        redis.cli("CLIENT KILL TYPE normal");
        let path = format!("/api/v1/trending?limit={}", round + 1);
        assert_eq!(api.json(&path).await["total"], 6);
    }
}

#[tokio::test]
async fn a_server_that_starts_before_its_redis_says_so_until_it_is_there() {
    let mut redis = RedisServer::start();
    redis.down();
    let api = Api::start(redis.url()).await;
    assert_eq!(api.fails("/readyz").await, (503, "SINK_UNREACHABLE".into()));
    redis.up();
    until(&api, "/readyz", |got| got.status == 200).await;
}
