//! Checkpoints and savepoints in a bucket of a real S3 server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kol_common::checkpoint::{DAMAGED, Store, UNAVAILABLE, s3};
use kol_common::proto::{JobState, JobStatus};
use kol_harness::{Cluster, S3, Scene, wait_for};

const LIMIT: Duration = Duration::from_secs(90);

/// A cluster whose checkpoints go to a bucket.
fn cluster(server: &S3, executors: usize) -> Cluster {
    let mut environment = server.environment();
    let root = format!("{}/prod", server.url());
    environment.push(("KOL_MASTER_CHECKPOINT_ROOT".into(), root));
    environment.push(("KOL_MASTER_ALLOW_ROOT".into(), server.url()));
    Cluster::start_with(executors, &environment)
}

/// Objects below a folder of the bucket.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|e| e.path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            objects(&path)
        } else {
            vec![path]
        }
    };
    paths.flat_map(below).collect()
}

/// The job says that its checkpoints fail, and why.
fn wait_problem(scene: &Scene, what: &str) -> String {
    let named = |status: &JobStatus| {
        let problems = status.problems.iter();
        problems
            .map(|p| format!("{} {} {}", p.code, p.message, p.help))
            .find(|p| p.contains(what))
    };
    let status = scene
        .cluster
        .wait_status(&scene.job, what, LIMIT, |status| named(status).is_some());
    named(&status).unwrap()
}

#[test]
fn state_in_a_bucket_outlives_executors_and_a_job_resumes_from_a_savepoint_there() {
    let Some(server) = S3::start() else { return };
    let mut scene = Scene::half_way(cluster(&server, 1), "s3", 4);
    scene.wait_checkpoint(scene.first.len() as u64);
    scene.kill(0);
    scene.wait_noticed();
    let executor = scene.cluster.add_executor();
    scene.topic.produce(&scene.second);
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts: u64 = scene.starts(executor, 0).iter().sum();
    assert_eq!(starts, scene.first.len() as u64, "from the bucket");

    let to = format!("{}/elsewhere", server.url());
    let stop = ["stop", &scene.job, "--savepoint", "--to", &to, "-o", "json"];
    let savepoint = scene.cluster.client(&stop).json()["savepoint"].clone();
    let place = savepoint["location"].as_str().unwrap();
    assert!(place.starts_with(&to), "{savepoint}");
    let verified = scene
        .cluster
        .client(&["state", "verify", place, "-o", "json"]);
    let parts = verified.json();
    let whole = |p: &serde_json::Value| p["damage"].is_null();
    assert!(parts.as_array().unwrap().iter().all(whole), "{verified:?}");
    assert_eq!(parts.as_array().unwrap().len(), 4);
    let here = server.bucket();
    assert!(
        objects(&here.join("elsewhere")).len() > 4,
        "files and a manifest"
    );
    assert!(objects(&here).iter().all(|path| {
        path.starts_with(here.join("elsewhere")) || path.starts_with(here.join("prod"))
    }));

    let toml = Scene::job().toml(
        scene.topic.kafka().bootstrap(),
        &[&scene.topic.name],
        &scene.redis.url(),
    );
    std::fs::write(scene.cluster.folder().join("job.toml"), toml).unwrap();
    let from = [
        "submit",
        "job.toml",
        "--from-savepoint",
        place,
        "-o",
        "json",
    ];
    let next = scene.cluster.client(&from).json();
    scene.job = next["job_id"].as_str().unwrap().to_owned();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let id = savepoint["id"].as_str().unwrap();
    wait_for("the savepoint to be needed no more", LIMIT, || {
        let delete = scene.cluster.client(&["savepoint", "--delete", id]);
        let in_use = delete.err.contains("SAVEPOINT_IN_USE");
        if in_use {
            return Err(delete.err);
        }
        delete.done();
        Ok(())
    });
    wait_for("the files of the savepoint to go", LIMIT, || {
        let left = objects(&here.join("elsewhere"));
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
}

#[test]
fn a_bucket_that_is_away_or_refuses_us_degrades_the_job_and_nothing_else() {
    let Some(mut server) = S3::start() else {
        return;
    };
    let mut scene = Scene::half_way(cluster(&server, 1), "s3", 2);
    scene.wait_checkpoint(scene.first.len() as u64);
    scene.cluster.allow("EPOCH_ABORTED", "the bucket is away");
    server.down();
    scene.topic.produce(&scene.second[..1_000]);
    let said = wait_problem(&scene, "CHECKPOINT_FAILED");
    assert!(said.contains("s3://kol-state/prod"), "{said}");
    let read = (scene.first.len() + 1_000) as u64;
    scene.cluster.wait_caught_up(&scene.job, read, LIMIT);
    server.up();
    scene.topic.produce(&scene.second[1_000..]);
    scene.wait_checkpoint(scene.all());
    let status = scene.ends_as_the_fold();
    assert_eq!(status.state(), JobState::Running, "{}", status.reason);

    scene.kill(0);
    scene.wait_noticed();
    let wrong = "a-secret-that-is-wrong";
    let mut refused = server.environment_with(wrong);
    scene.cluster.set_environment(&refused);
    let stranger = scene.cluster.add_executor();
    let said = wait_problem(&scene, "CHECKPOINT_STORE");
    assert!(said.contains("SignatureDoesNotMatch"), "{said}");
    assert!(said.contains("AWS_"), "what to do: {said}");
    let log = scene.cluster.executors[stranger].log();
    assert!(!format!("{said}{log}").contains(wrong), "no secret: {log}");
    refused = server.environment();
    scene.cluster.set_environment(&refused);
    scene.kill(stranger);
    let executor = scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts: u64 = scene.starts(executor, 0).iter().sum();
    assert_eq!(starts, scene.all(), "from the bucket");
}

#[tokio::test]
async fn a_file_of_many_parts_is_whole_or_not_there() {
    let Some(server) = S3::start() else { return };
    let client = s3::connect("kol-state", server.environment()).unwrap();
    let store = Store::over(&server.url(), Arc::new(client));
    let content: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let mut upload = store.create("job/0/1.state".into());
    for part in content.chunks(70_000) {
        upload.append(part.to_vec()).await.unwrap();
    }
    let file = upload.finish().await.unwrap();
    assert_eq!(store.read(&file).await.unwrap(), content);
    let mut unfinished = store.create("job/0/2.state".into());
    unfinished.append(content.clone()).await.unwrap();
    let seen = store.list("job").await.unwrap();
    assert_eq!(
        seen,
        [(file.path.clone(), file.bytes)],
        "only what is whole"
    );
    unfinished.abort().await;

    let path = server.bucket().join(&file.path);
    let mut torn = content;
    torn[5_000_000] ^= 1;
    std::fs::write(path, torn).unwrap();
    assert_eq!(store.read(&file).await.unwrap_err().code, DAMAGED);
    let elsewhere = s3::connect("kol-other", server.environment()).unwrap();
    let elsewhere = Store::over("s3://kol-other", Arc::new(elsewhere));
    let no_bucket = elsewhere.read(&file).await.unwrap_err();
    assert_eq!(no_bucket.code, UNAVAILABLE, "not damaged: {no_bucket}");
    store.delete(vec![file.path.clone()]).await.unwrap();
    store.delete(vec![file.path.clone()]).await.unwrap();
    let gone = store.read(&file).await.unwrap_err();
    assert!(gone.message.contains("missing"), "{gone}");
    assert_eq!(store.list("job").await.unwrap(), []);
}
