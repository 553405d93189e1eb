//! Rankings as they were.

use std::time::Duration;

use serde_json::json;

use crate::support::{Api, kols, remember, remembered, written};

/// What equal requests share, and some more.
const SHARED: Duration = Duration::from_millis(5_300);

#[tokio::test]
async fn rows_say_how_many_places_they_gained_and_who_is_new_wherever_they_are_listed() {
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let expected = json!([
        {"change_1h": 2, "change_24h": 1},
        {"new_24h": true, "change_1h": 0},
        {"change_1h": -2, "new_24h": true},
        {"new_1h": true, "change_24h": -3},
    ]);
    let of = |row: &serde_json::Value| {
        let mut row = row.clone();
        let members = row.as_object_mut().unwrap();
        members.retain(|name, _| name.starts_with("change_") || name.starts_with("new_"));
        row
    };
    for path in ["trending?", "trending/detailed?", "kols?", "search?q=a&"] {
        let answer = api.json(&format!("/api/v1/{path}platform=instagram")).await;
        for row in answer["data"].as_array().unwrap() {
            let place = row["rank"].as_u64().unwrap() as usize;
            assert_eq!(of(row), expected[place - 1], "{path} {row}");
        }
        assert!(!kols(&answer).is_empty());
    }
    let one = api.json("/api/v1/kols/jo?platform=instagram").await;
    assert_eq!(of(&one), expected[3]);
    let none = api.json("/api/v1/trending").await;
    let unknown = none["data"].as_array().unwrap().iter().map(of);
    assert!(unknown.into_iter().all(|row| row == json!({})), "{none}");
}

#[tokio::test]
async fn a_ranking_of_a_time_is_the_one_that_was_shown_then_and_says_which() {
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let at = |time: &str| format!("/api/v1/trending?platform=instagram&at={time}");
    let then = api.json(&at("2025-07-01T08:00:00Z")).await;
    assert_eq!(kols(&then), ["ida", "hal", "gus"]);
    assert_eq!(
        (&then["at"], &then["generation"], &then["total"]),
        (&json!("2025-07-01T07:55:00.000Z"), &json!(1), &json!(3))
    );
    assert_eq!(then.get("updated_at"), None);
    let later = api.json(&at("2030-01-01T00:00:00Z")).await;
    assert_eq!(later["at"], "2025-07-01T08:55:00.000Z");
    let page = api.json(&(at("1751360400") + "&offset=1&limit=1")).await;
    assert_eq!(
        (kols(&page), &page["next_offset"]),
        (vec!["ida"], &json!(2))
    );
    let hot = api.json(&(at("2025-07-01T08:00:00Z") + "&label=hot")).await;
    assert_eq!(kols(&hot), ["ida", "hal"]);
    let detailed = at("2025-07-01T08:00:00Z").replace("trending?", "trending/detailed?");
    let row = &api.json(&detailed).await["data"][0];
    let expected = json!({"kol_id": "ida", "platform": "instagram", "rank": 1, "trending_score": 71.28, "trending_label": "Hot"});
    assert_eq!(*row, expected);

    let early = api.get(&at("2025-06-30T07:59:59Z")).await;
    assert_eq!(early.problem(), (404, "SNAPSHOT_NOT_FOUND".into()));
    assert!(early.text.contains("from 2025-06-30T08:00:00.000Z on"));
    let none = api.fails("/api/v1/trending?at=2025-07-01T08:00:00Z").await;
    assert_eq!(none, (404, "SNAPSHOT_NOT_FOUND".into()));
}

#[tokio::test]
async fn climbers_are_those_who_gained_since_an_hour_or_a_day_ago() {
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let path = "/api/v1/trending/climbers?platform=instagram";
    let hour = api.json(path).await;
    assert_eq!((kols(&hour), &hour["total"]), (vec!["gus"], &json!(1)));
    assert_eq!(hour["searched"], 4);
    assert_eq!(hour["since"], "2025-07-01T07:55:00.000Z");
    let day = api.json(&format!("{path}&span=24h")).await;
    assert_eq!(kols(&day), ["gus", "hal"], "one is new");
    let none = api.json("/api/v1/trending/climbers").await;
    assert_eq!((&none["data"], none.get("since")), (&json!([]), None));
}

#[tokio::test]
async fn curves_have_a_score_for_each_hour_and_the_newest_ranking_in_the_order_of_the_present_one()
{
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let path = "/api/v1/trending/curves?platform=instagram";
    let all = api.json(path).await;
    let times = ["2025-07-01T07:55:00.000Z", "2025-07-01T08:55:00.000Z"];
    assert_eq!(all["times"], json!(times), "more than a day ago");
    let expected = json!([
        {"kol_id": "gus", "scores": [44.02, 84.13]},
        {"kol_id": "hal", "scores": [64.55, 60.11]},
        {"kol_id": "ida", "scores": [71.28, 64.55]},
        {"kol_id": "jo", "scores": [null, 34.9]},
    ]);
    assert_eq!(all["data"], expected);
    let part = api.json(&format!("{path}&offset=1&limit=2")).await;
    assert_eq!(kols(&part), ["hal", "ida"]);
    let none = api.json("/api/v1/trending/curves").await;
    assert_eq!(none["times"], json!([]));
    assert_eq!(none["data"][0], json!({"kol_id": "ann", "scores": []}));
    let nobody = api.fails("/api/v1/trending/curves?platform=x").await;
    assert_eq!(nobody, (404, "PLATFORM_NOT_FOUND".into()));
    let many = api.fails("/api/v1/trending/curves?limit=201").await;
    assert_eq!(many.0, 400);
}

#[tokio::test]
async fn creators_side_by_side_say_how_many_places_they_gained() {
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let path = "/api/v1/scores/compare?platform=instagram&kol_ids=jo,nobody,gus";
    let sides = &api.json(path).await["comparisons"];
    assert_eq!(
        (&sides[0]["kol_id"], &sides[0]["new_1h"]),
        (&json!("jo"), &json!(true))
    );
    assert_eq!(sides[0]["change_24h"], -3);
    assert_eq!(sides[1], json!({"kol_id": "nobody", "available": false}));
    assert_eq!(
        (&sides[2]["kol_id"], &sides[2]["change_1h"]),
        (&json!("gus"), &json!(2))
    );
}

#[tokio::test]
async fn a_creator_has_a_place_at_each_time_at_which_it_was_kept() {
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let path = |kol: &str| format!("/api/v1/kols/{kol}/history?platform=instagram");
    let hal = api.json(&path("hal")).await;
    let expected = json!([
        {"at": "2025-06-30T08:00:00.000Z", "generation": 1},
        {"at": "2025-07-01T07:55:00.000Z", "rank": 2, "score": 64.55, "generation": 1},
        {"at": "2025-07-01T08:55:00.000Z", "rank": 3, "score": 60.11, "generation": 1},
    ]);
    assert_eq!(hal["data"], expected);
    let nobody = api.fails(&path("nobody")).await;
    assert_eq!(nobody, (404, "KOL_NOT_FOUND".into()));
    let unknown = api.json("/api/v1/kols/ann/history").await;
    assert_eq!(unknown["data"], json!([]));
}

#[tokio::test]
async fn what_is_kept_later_is_seen_and_what_no_longer_is_is_not() {
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let path = "/api/v1/kols/gus/history?platform=instagram";
    let times = |answer: &serde_json::Value| -> Vec<String> {
        let points = answer["data"].as_array().unwrap().iter();
        points
            .map(|p| p["at"].as_str().unwrap()[..16].to_owned())
            .collect()
    };
    let before = times(&api.json(path).await);
    assert_eq!(before[0], "2025-06-30T08:00");
    let at = "2025-07-01T09:00:00.000Z";
    remember(&mut redis.connect(), "instagram", at, &[("gus", 90.0)]);
    redis.cli("ZREM streaming:ranking:instagram:trending:history 2025-06-30T08:00:00.000Z/1");
    tokio::time::sleep(SHARED).await;
    let after = times(&api.json(path).await);
    assert_eq!(
        after,
        ["2025-07-01T07:55", "2025-07-01T08:55", "2025-07-01T09:00"]
    );
}

#[tokio::test]
async fn a_history_that_cannot_be_read_keeps_nobody_from_the_ranking() {
    let redis = written();
    let beside = "streaming:ranking:tiktok:trending";
    redis.cli(&format!("SET {beside}:history x"));
    let api = Api::start(redis.url()).await;
    assert_eq!(kols(&api.json("/api/v1/trending?limit=1").await), ["ann"]);
    redis.cli(&format!("DEL {beside}:history"));
    redis.cli(&format!(
        "ZADD {beside}:history 1751360100000 2025-07-01T08:55:00.000Z/1 5 odd"
    ));
    redis.cli(&format!(
        "HSET {beside}:snapshots 2025-07-01T08:55:00.000Z/1 odd"
    ));
    tokio::time::sleep(SHARED).await;
    let known = api.json("/api/v1/kols/ann/history").await;
    assert_eq!(known["data"], json!([]), "no snapshot");
}
