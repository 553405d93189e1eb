//! Requests of strangers.

use crate::support::{Api, written};

#[tokio::test]
async fn parameters_that_are_unknown_missing_twice_or_out_of_bounds_are_refused_and_named() {
    let redis = written();
    let api = Api::start(redis.url()).await;
    let long = "x".repeat(1_025);
    let ids = ["a"; 11].join(",");
    let paths = [
        ("trending?limt=5".to_owned(), "limt"),
        ("trending?limit=0".to_owned(), "1 to 200"),
        ("trending?limit=-1".to_owned(), "limit"),
        ("trending?limit=5&limit=6".to_owned(), "limit"),
        ("trending?offset=1000000001".to_owned(), "offset"),
        ("trending?metric=composite".to_owned(), "composite"),
        ("trending?label=Lukewarm".to_owned(), "Lukewarm"),
        ("trending?platform=".to_owned(), "a platform"),
        ("trending?platform=a:b".to_owned(), "no colon"),
        (format!("trending?platform={long}"), "64 bytes"),
        ("trending?at=yesterday".to_owned(), "at is a time"),
        (
            "trending?at=1751360400&min_events=1".to_owned(),
            "min_events",
        ),
        ("trending/stream?at=1751360400".to_owned(), "leave at out"),
        ("trending/climbers?span=2h".to_owned(), "2h"),
        ("trending/climbers?limit=201".to_owned(), "1 to 200"),
        ("trending/hot?label=Hot".to_owned(), "label"),
        ("trending/platforms?platform=tiktok".to_owned(), "platform"),
        ("stats?x=1".to_owned(), "x"),
        ("scores/ann?limit=1".to_owned(), "limit"),
        (format!("scores/{long}"), "1024 bytes"),
        ("scores/%ff".to_owned(), "UTF-8"),
        ("scores/compare".to_owned(), "kol_ids"),
        ("scores/compare?kol_ids=a,,b".to_owned(), "1 to 1024"),
        (format!("scores/compare?kol_ids={ids}"), "at most 10"),
        ("kols?page=0".to_owned(), "page"),
        ("kols?page_size=101".to_owned(), "1 to 100"),
        ("kols?order_by=followers".to_owned(), "followers"),
        ("search".to_owned(), "q"),
        ("search?q=".to_owned(), "1 to 100"),
        ("search?q=a&limit=51".to_owned(), "1 to 50"),
        (
            format!("search/suggest?prefix={}", &long[..101]),
            "1 to 100",
        ),
    ];
    for (path, why) in paths {
        let got = api.get(&format!("/api/v1/{path}")).await;
        assert_eq!(got.problem(), (400, "REQUEST_INVALID".into()), "{path}");
        let detail = got.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(why), "{path}: {detail}");
        assert!(detail.len() < 500, "{path}");
    }
    assert_eq!(api.fails("/api/v2").await, (404, "PAGE_NOT_FOUND".into()));
    let posted = api.request("POST", "/api/v1/trending", &[]).await;
    assert_eq!(posted.problem(), (405, "METHOD_NOT_ALLOWED".into()));
    assert_eq!(
        api.request("HEAD", "/api/v1/trending", &[]).await.status,
        200
    );
}

#[tokio::test]
async fn a_name_cannot_reach_a_key_that_is_not_a_creator_of_that_name() {
    let redis = written();
    redis.cli("HSET trending:tiktok:sub:ann kol_id sub:ann platform tiktok velocity 1");
    redis.cli("HSET trending:tiktok:stolen secret 1");
    let api = Api::start(redis.url()).await;
    for path in [
        "/api/v1/kols/stolen",
        "/api/v1/kols/*",
        "/api/v1/kols/{kol}",
        "/api/v1/kols/ann%0d%0aDEL%20ann",
        "/api/v1/kols/ann%00",
        "/api/v1/kols/ann?platform=*",
        "/api/v1/kols/ann?platform={platform}",
        "/api/v1/kols/..%2F..%2Fann",
    ] {
        assert_eq!(
            api.fails(path).await,
            (404, "KOL_NOT_FOUND".into()),
            "{path}"
        );
    }
    let own = api.json("/api/v1/kols/sub:ann").await;
    assert_eq!(own["kol_id"], "sub:ann");
}

#[tokio::test]
async fn a_key_of_a_wrong_type_is_an_error_with_its_code() {
    let redis = written();
    redis.cli("DEL trending:tiktok:ann");
    redis.cli("SET trending:tiktok:ann mine");
    let api = Api::start(redis.url()).await;
    assert_eq!(
        api.fails("/api/v1/kols/ann").await,
        (503, "SINK_KEY_TYPE".into())
    );
    assert_eq!(api.json("/api/v1/kols/bob").await["rank"], 2);
}

#[tokio::test]
async fn equal_requests_cost_redis_one_read_and_no_answer_more_than_two_pipelines() {
    let redis = written();
    let api = Api::start(redis.url()).await;
    api.json("/api/v1/stats").await;
    redis.cli("CONFIG RESETSTAT");
    let calls = |command: &str| -> u64 {
        let info = redis.cli("INFO commandstats");
        let line = info
            .lines()
            .find(|l| l.starts_with(&format!("cmdstat_{command}:calls=")));
        let calls = line.and_then(|l| l.split(['=', ',']).nth(1));
        calls.map_or(0, |n| n.parse().unwrap())
    };
    let begun = tokio::time::Instant::now();
    for _ in 0..20 {
        let all = (0..10).map(|_| api.json("/api/v1/trending?limit=100"));
        for answer in futures::future::join_all(all).await {
            assert_eq!(answer["total"], 6);
        }
    }
    let passed = begun.elapsed().as_millis() as u64;
    let most = 1 + passed / 250;
    // Which earlier rankings are kept.
    let looks = 1 + passed / 5_000;
    assert!(
        calls("zrevrange") <= most + looks,
        "{} of {most} and {looks}",
        calls("zrevrange")
    );
    assert!(calls("hmget") <= 6 * most, "{}", calls("hmget"));
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let redis = written();
    let api = Api::start(redis.url()).await;
    let path = "/api/v1/trending?limit=3";
    let first = api.get(path).await;
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(first.header("cache-control"), Some("max-age=1"));
    let again = api.request("GET", path, &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(again.header("etag"), Some(tag.as_str()));
    redis.cli("HSET trending:tiktok:ann velocity 24.00");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let changed = api.request("GET", path, &[("if-none-match", &tag)]).await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json()["data"][0]["velocity"], 24.0);
    let problem = api.get("/api/v1/kols/nobody").await;
    assert_eq!(problem.header("cache-control"), Some("no-store"));
}
