//! Parts of rankings: where they begin, continue and end.

use serde_json::json;

use crate::support::{Api, Writer, kols, written};

#[tokio::test]
async fn a_list_continues_where_it_says_until_everybody_was_listed_once() {
    let redis = written();
    let api = Api::start(redis.url()).await;
    let all = ["ann", "bob", "ann.b", "cleo", "dora", "eve/é"];
    let fitting = [
        ("limit=2", &all[..]),
        ("limit=200", &all),
        ("limit=1&min_events=5", &["ann", "bob", "ann.b", "cleo"]),
        ("limit=1&label=hot", &["bob", "ann.b"]),
        ("label=Cold", &["eve/é"]),
        ("label=Cold&min_events=2", &[]),
    ];
    for (filter, expected) in fitting {
        for page in ["trending", "trending/detailed"] {
            let mut listed = Vec::new();
            let mut offset = Some(json!(0));
            while let Some(from) = offset {
                let path = format!("/api/v1/{page}?{filter}&offset={from}");
                let answer = api.json(&path).await;
                assert_eq!(answer["total"], 6, "{path}");
                listed.extend(kols(&answer).into_iter().map(str::to_owned));
                offset = answer.get("next_offset").cloned();
            }
            assert_eq!(listed, expected, "{page} {filter}");
        }
    }
    let beyond = api.json("/api/v1/trending?offset=6").await;
    assert_eq!((kols(&beyond).len(), &beyond["total"]), (0, &json!(6)));
}

#[tokio::test]
async fn a_filter_looks_at_a_bounded_part_of_a_ranking_for_one_answer() {
    let redis = written();
    let mut open = redis.connect();
    for place in 0..2_500 {
        let score = 20.0 - f64::from(place) * 1e-3;
        let add = redis::cmd("ZADD")
            .arg("ranking:large:trending")
            .arg(score)
            .arg(place)
            .exec(&mut open);
        add.unwrap();
    }
    let api = Api::start(redis.url()).await;
    for (from, next) in [
        (0, json!(1_000)),
        (1_000, json!(2_000)),
        (2_000, json!(null)),
    ] {
        let path = format!("/api/v1/trending?platform=large&label=Viral&offset={from}");
        let answer = api.json(&path).await;
        assert_eq!((kols(&answer).len(), &answer["next_offset"]), (0, &next));
    }
}

#[tokio::test]
async fn a_ranking_read_from_its_end_has_the_same_places() {
    let redis = written();
    let api = Api::start(redis.url()).await;
    let ranks = |answer: &serde_json::Value| -> Vec<(String, u64)> {
        let rows = answer["data"].as_array().unwrap().iter();
        let pair = |row: &serde_json::Value| {
            let kol = row["kol_id"].as_str().unwrap().to_owned();
            (kol, row["rank"].as_u64().unwrap())
        };
        rows.map(pair).collect()
    };
    let best = api.json("/api/v1/kols?page_size=100").await;
    let mut last = ranks(&api.json("/api/v1/kols?page_size=100&order_dir=asc").await);
    last.reverse();
    assert_eq!(ranks(&best), last);
    assert_eq!(best["has_more"], false);
    let page = api.json("/api/v1/kols?page=2&page_size=4").await;
    assert_eq!(kols(&page), ["dora", "eve/é"]);
    assert_eq!(page["has_more"], false);
    let beyond = api.json("/api/v1/kols?page=1000000&page_size=100").await;
    assert_eq!(
        (kols(&beyond).len(), &beyond["has_more"]),
        (0, &json!(false))
    );
}

#[tokio::test]
async fn a_creator_is_in_the_range_of_the_score_that_is_shown() {
    let redis = written();
    let mut open = redis.connect();
    for (kol, score) in [("a", 79.996), ("b", 79.994), ("c", 39.996), ("d", 39.994)] {
        let add = redis::cmd("ZADD")
            .arg("ranking:edge:trending")
            .arg(score)
            .arg(kol)
            .exec(&mut open);
        add.unwrap();
    }
    let api = Api::start(redis.url()).await;
    let viral = api.json("/api/v1/trending/viral?platform=edge").await;
    let rising = api.json("/api/v1/trending/rising?platform=edge").await;
    assert_eq!((kols(&viral), &viral["total"]), (vec!["a"], &json!(1)));
    assert_eq!(
        (kols(&rising), &rising["total"]),
        (vec!["b", "c"], &json!(2))
    );
    assert_eq!(rising["data"][0]["rank"], 2);
    let stats = api.json("/api/v1/trending/stats?platform=edge").await;
    let labels = json!({"Viral": 1, "Hot": 1, "Warm": 1, "Normal": 1, "Cold": 0});
    assert_eq!(stats["labels"], labels);
}

#[tokio::test]
async fn what_is_not_known_is_absent_and_not_zero() {
    let redis = written();
    redis.cli("DEL trending:tiktok:bob streaming:last_update streaming:last_event");
    redis.cli("HDEL trending:tiktok:ann momentum");
    let api = Api::start(redis.url()).await;
    let listed = api.json("/api/v1/trending?limit=2").await;
    let expected = json!([
        {"kol_id": "ann", "score": 84.13, "rank": 1, "label": "Viral", "velocity": 23.77},
        {"kol_id": "bob", "score": 71.28, "rank": 2},
    ]);
    assert_eq!(listed["data"], expected);
    assert_eq!(listed.get("updated_at"), None);
    let overview = json!({"creators": 7, "platforms": ["tiktok", "youtube"]});
    assert_eq!(api.json("/api/v1/stats").await, overview);
    assert_eq!(
        api.fails("/api/v1/kols/bob").await,
        (404, "KOL_NOT_FOUND".into())
    );
}

#[tokio::test]
async fn before_a_job_has_written_anything_nothing_is_there() {
    let redis = kol_harness::RedisServer::start();
    let api = Api::start(redis.url()).await;
    for path in [
        "trending",
        "trending/hot",
        "trending/stats",
        "kols",
        "search?q=a",
    ] {
        let failed = api.fails(&format!("/api/v1/{path}")).await;
        assert_eq!(failed, (404, "PLATFORM_NOT_FOUND".into()), "{path}");
    }
    let none = json!({"creators": 0, "platforms": []});
    assert_eq!(api.json("/api/v1/stats").await, none);
    Writer::new(0).flush(&mut redis.connect(), &[("tiktok", "ann", 1.0, 1.0, 1)]);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(kols(&api.json("/api/v1/trending").await), ["ann"]);
}

#[tokio::test]
async fn a_stream_has_the_ranking_at_once_and_again_when_it_has_changed() {
    let redis = written();
    let api = Api::start(redis.url()).await;
    let failed = api.fails("/api/v1/trending/stream?platform=nowhere").await;
    assert_eq!(failed, (404, "PLATFORM_NOT_FOUND".into()));
    let mut events = api.events("/api/v1/trending/stream?limit=1").await;
    let first = events.next().await;
    let page = api.json("/api/v1/trending?limit=1").await;
    assert_eq!(first, (String::new(), page.clone()));
    redis.cli("HSET trending:tiktok:ann velocity 24.00");
    let (kind, second) = events.next().await;
    assert_eq!(kind, "");
    let mut expected = page;
    expected["data"][0]["velocity"] = json!(24.0);
    assert_eq!(second, expected);
    drop(redis);
    let (kind, third) = events.next().await;
    assert_eq!((kind.as_str(), &third["stale"]), ("stale", &json!(true)));
    assert_eq!(third["data"], expected["data"]);
}
