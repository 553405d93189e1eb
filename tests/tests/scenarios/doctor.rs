//! `kol-client doctor` beside a cluster in which several things are wrong at once.

use std::time::Duration;

use kol_harness::http::page;
use kol_harness::{ClientRun, Cluster, Scene, wait_for};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
/// Exit code of a doctor who found something.
const UNWELL: i32 = 7;

fn doctor(scene: &Scene, more: &[&str]) -> ClientRun {
    let arguments = [&["doctor", "-o", "json"], more].concat();
    scene.cluster.client(&arguments)
}

/// Area and code of each trouble, in the order in which to mend them.
fn troubles(run: &ClientRun) -> Vec<(String, String)> {
    let found: Value = serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}: {run:#?}"));
    let troubles = found["troubles"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = troubles.map(|t| {
        assert!(!t["where"].as_array().unwrap().is_empty(), "{t}");
        assert!(t["means"].is_string() && t["remedy"].is_string(), "{t}");
        (text(&t["area"]), text(&t["problem"]["code"]))
    });
    let all: Vec<_> = all.collect();
    let code = if all.is_empty() { 0 } else { UNWELL };
    assert_eq!(run.code, Some(code), "{run:#?}");
    assert_eq!(found["well"], all.is_empty());
    all
}

/// Waits until the doctor finds something in each of these areas, in this order.
fn wait_found(scene: &Scene, areas: &[&str], more: &[&str]) -> Vec<(String, String)> {
    wait_for("the doctor to find it", LIMIT, || {
        let found = troubles(&doctor(scene, more));
        let mut names: Vec<_> = found.iter().map(|(area, _)| area.as_str()).collect();
        names.dedup();
        let wanted = names.iter().copied().filter(|name| areas.contains(name));
        if wanted.eq(areas.iter().copied()) {
            Ok(found)
        } else {
            Err(format!("{found:?}"))
        }
    })
}

fn codes<'f>(found: &'f [(String, String)], area: &str) -> Vec<&'f str> {
    let of = found.iter().filter(|(of, _)| of == area);
    of.map(|(_, code)| code.as_str()).collect()
}

fn allow(scene: &mut Scene) {
    for (code, reason) in [
        ("SINK_PAUSED", "Redis was stopped"),
        ("REDIS_LOST_DATA", "Redis came back empty"),
        ("CHECKPOINT_UNAVAILABLE", "the root was moved away"),
        ("CHECKPOINT_FAILED", "the root was moved away"),
        ("CHECKPOINT_STORE", "the root was moved away"),
        ("EPOCH_ABORTED", "the root was moved away"),
        ("ROOT_ABSENT", "the root was moved away"),
        ("PARTITION_ENDED", "the root was moved away"),
        ("SESSION_LOST", "the master was killed"),
        ("SESSION_ENDED", "the master was killed"),
    ] {
        scene.cluster.allow(code, reason);
    }
}

#[test]
fn the_doctor_names_all_that_is_wrong_and_what_to_mend_first() {
    let mut scene = Scene::half_way(Cluster::start(2), "doctor", 4);
    allow(&mut scene);
    scene.wait_checkpoint(scene.first.len() as u64);
    wait_for("nothing to be wrong", LIMIT, || {
        let found = troubles(&doctor(&scene, &[]));
        found.is_empty().then_some(()).ok_or(format!("{found:?}"))
    });
    let text = scene
        .cluster
        .client(&["doctor", &scene.job])
        .done()
        .to_owned();
    for line in [
        "Nothing is wrong.",
        "ok     master: ",
        "ok     redis: Redis ",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }

    let root = scene.cluster.folder().join("state/checkpoints");
    let aside = root.with_file_name("aside");
    scene.redis.down();
    std::fs::rename(&root, &aside).unwrap();
    scene.kill(0);
    scene.topic.produce(&scene.second);
    let areas = ["executors", "checkpoints", "redis"];
    let found = wait_found(&scene, &areas, &[]);
    let executors = codes(&found, "executors");
    let gone = |code: &&str| ["EXECUTOR_SUSPECT", "EXECUTOR_LOST"].contains(code);
    assert!(executors.iter().any(gone), "{found:?}");
    assert!(
        codes(&found, "checkpoints").contains(&"CHECKPOINT_UNAVAILABLE"),
        "{found:?}"
    );
    assert!(
        codes(&found, "redis").contains(&"SINK_UNREACHABLE"),
        "{found:?}"
    );
    let run = scene.cluster.client(&["doctor"]);
    assert!(
        run.fails(UNWELL).starts_with("CLUSTER_UNWELL: "),
        "{run:#?}"
    );
    assert!(run.out.contains("Mend them in this order:"), "{run:#?}");
    let address = scene.cluster.client(&["executors", "-o", "json"]).json();
    let alive = address
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["state"] == "alive");
    let pages = page(alive.unwrap()["http"].as_str().unwrap(), "/metrics");
    let counted = "kol_redis_errors_total{code=\"SINK_UNREACHABLE\"} ";
    assert!(pages.contains(counted), "{pages}");

    std::fs::rename(&aside, &root).unwrap();
    scene.redis.up();
    scene.cluster.add_executor();
    wait_for("all to be mended", LIMIT, || {
        let found = troubles(&doctor(&scene, &[]));
        found.is_empty().then_some(()).ok_or(format!("{found:?}"))
    });
    scene.ends_as_the_fold();
}

#[test]
fn without_a_master_the_doctor_looks_from_where_it_is() {
    let mut scene = Scene::half_way(Cluster::start(1), "doctor-alone", 2);
    allow(&mut scene);
    let topic = &scene.topic;
    let toml = Scene::job().toml(
        topic.kafka().bootstrap(),
        &[&topic.name],
        &scene.redis.url(),
    );
    let root = scene.cluster.folder().join("state/checkpoints");
    let toml = format!(
        "{toml}[checkpoint]\nlocation = \"file://{}\"\n",
        root.display()
    );
    std::fs::write(scene.cluster.folder().join("job.toml"), toml).unwrap();
    scene.topic.produce(&scene.second);
    scene.cluster.wait_caught_up(&scene.job, scene.all(), LIMIT);

    scene.cluster.master.kill();
    let alone = ["--spec", "job.toml"];
    let found = doctor(&scene, &alone);
    let away = |area: &str, code: &str| (area.to_owned(), code.to_owned());
    let master = away("master", "MASTER_UNREACHABLE");
    assert_eq!(
        troubles(&found),
        std::slice::from_ref(&master),
        "{found:#?}"
    );
    for seen in ["checkpoint root ", "topic ", "Redis "] {
        assert!(
            found.out.contains(&format!("\"what\":\"{seen}")),
            "{found:#?}"
        );
    }
    scene.redis.down();
    let aside = root.with_file_name("aside");
    std::fs::rename(&root, &aside).unwrap();
    let found = troubles(&doctor(&scene, &alone));
    let wanted = [
        master,
        away("checkpoints", "CHECKPOINT_UNAVAILABLE"),
        away("redis", "SINK_UNREACHABLE"),
    ];
    assert_eq!(found, wanted);

    std::fs::rename(&aside, &root).unwrap();
    scene.redis.up();
    scene.cluster.restart_master();
    scene.ends_as_the_fold();
}
