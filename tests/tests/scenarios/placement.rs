//! Where partitions are, why, and how many executors there should be, as people see it.
#![allow(
    clippy::unwrap_used,
    reason = "a scenario fails by panicking, also in its helpers"
)]

use std::time::Duration;

use kol_common::proto::JobStatus;
use kol_harness::{Cluster, Scene, wait_for};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

/// An executor in each of these zones.
fn in_zones(zones: &[&str]) -> Cluster {
    let mut cluster = Cluster::start(0);
    for zone in zones {
        cluster.set_environment(&[("KOL_EXECUTOR_ZONE", zone)]);
        cluster.add_executor();
    }
    cluster
}

fn partitions(scene: &Scene) -> Vec<Value> {
    let answer = scene
        .cluster
        .client(&["partitions", &scene.job, "-o", "json"]);
    answer.json().as_array().unwrap().clone()
}

#[test]
fn partitions_say_why_they_are_where_they_are_and_what_would_move_them() {
    let mut scene = Scene::half_way(in_zones(&["a", "b"]), "placement", 4);
    let executors = scene.cluster.client(&["executors", "-o", "json"]).json();
    let mut zones: Vec<_> = executors
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["zone"])
        .collect();
    zones.sort_by_key(|zone| zone.to_string());
    assert_eq!(zones, ["a", "b"]);
    for partition in partitions(&scene) {
        let placement = &partition["placement"];
        assert_eq!(placement["cause"], "new", "{placement}");
        assert_eq!(
            placement["events_per_second"],
            Value::Null,
            "not known so soon"
        );
        assert!(placement["since_ms"].as_u64().unwrap() > 1_600_000_000_000);
        assert!(placement["moves_at_ppm"].as_u64() > placement["executor_load_ppm"].as_u64());
    }
    scene.kill(0);
    scene.topic.produce(&scene.second);
    wait_for(
        "two partitions moved from the executor that was lost",
        LIMIT,
        || {
            let all = partitions(&scene);
            let lost = all.iter().filter(|p| p["placement"]["cause"] == "lost");
            match lost.count() {
                2 => Ok(()),
                count => Err(format!("{count} moved")),
            }
        },
    );
    let text = scene.cluster.client(&["partitions", &scene.job, "--why"]);
    let text = text.done();
    assert_eq!(
        text.matches(" was lost, and this one ").count(),
        2,
        "{text}"
    );
    assert_eq!(
        text.matches("there is no other executor").count(),
        4,
        "{text}"
    );
    let what = "an advice: executors no longer return to a new leader";
    let known = |status: &JobStatus| status.scaling.is_some();
    scene.cluster.wait_status(&scene.job, what, LIMIT, known);
    let advice = scene
        .cluster
        .client(&["autoscale-advice", &scene.job, "-o", "json"])
        .json();
    assert_eq!(advice["executors"], 1, "{advice}");
    assert_eq!(advice["reason"], "less than a minute is known");
    let shown = scene.cluster.client(&["autoscale-advice", &scene.job]);
    assert!(shown.done().starts_with("wanted "), "{}", shown.done());
    scene.ends_as_the_fold();
}
