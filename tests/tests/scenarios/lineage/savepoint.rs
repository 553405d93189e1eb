//! States that are kept, moved, damaged.

use super::*;

#[test]
fn an_upgrade_by_savepoint_continues_with_twice_the_executors_and_equals_the_fold() {
    let (mut scene, job) = Scene::half_way(1);
    let stopped = scene.client(&["stop", &job, "--drain", "--savepoint"]);
    let savepoint = &stopped["savepoint"];
    assert_eq!(savepoint["job_id"], job.as_str());
    scene.cluster.wait_state(&job, JobState::Stopped);
    let listed = scene.client(&["checkpoints", &job]);
    assert_eq!(listed["savepoints"][0]["id"], savepoint["id"]);
    scene.topic.produce(&scene.second);
    scene.cluster.add_executor();
    let id = savepoint["id"].as_str().unwrap();
    let next = scene.submit("", &["--from-savepoint", id]).unwrap();
    let status = scene.is_the_fold(&next);
    assert_eq!(total(&scene.starts(&next)), scene.first.len());
    let all = (scene.first.len() + scene.second.len()) as u64;
    assert_eq!(status.totals.as_ref().unwrap().events, all);
    assert_eq!(status.executors, 2);
    assert!(
        status.generation > 1 && status.origin.contains(id),
        "{status:?}"
    );
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_savepoint_begins_a_job_in_another_cluster_and_is_verified_without_one() {
    let elsewhere = tempfile::tempdir().unwrap();
    let to = format!("file://{}", elsewhere.path().display());
    let (scene, job) = Scene::half_way_allowing(2, &to);
    let outside = ["savepoint", &job, "--to", "file:///etc/kol"];
    let refused = scene.cluster.client(&outside);
    assert!(refused.fails(2).contains(&to), "{refused:?}");
    let savepoint = scene.client(&["savepoint", &job, "--to", &to]);
    let folder = savepoint["location"].as_str().unwrap().to_owned();
    assert!(folder.starts_with(&to), "{folder}");
    scene.topic.produce(&scene.second);
    scene.is_the_fold(&job);
    let verified = scene.client(&["state", "verify", &folder]);
    let parts = verified.as_array().unwrap();
    assert!(parts.iter().all(|p| p["damage"].is_null()), "{verified}");
    let kols: u64 = parts.iter().map(|p| p["kols"].as_u64().unwrap()).sum();
    assert_eq!(savepoint["kols"].as_u64(), Some(kols));
    let inspected = scene.client(&["state", "inspect", &folder]);
    assert_eq!(inspected["job_name"], "scenario");
    assert_eq!(inspected["spec"]["name"], "scenario");
    assert_eq!(
        scene.client(&["state", "inspect", &to])[0]["job_id"],
        job.as_str()
    );

    let flags = ["--from-savepoint", &*folder];
    let redis = RedisServer::start();
    let closed = Cluster::start(0);
    let refused = submit_to(&closed, &scene.topic, &redis, "", &flags).unwrap_err();
    assert!(refused.contains("CHECKPOINT_LOCATION"), "{refused}");
    let other = Cluster::start_with(1, &[("KOL_MASTER_ALLOW_ROOT", &to)]);
    let there = submit_to(&other, &scene.topic, &redis, "", &flags).unwrap();
    other.assert_equals_fold(&there, &scene.topic, &redis, LIMIT);
    let status = other.try_status(&there).unwrap();
    let all = (scene.first.len() + scene.second.len()) as u64;
    assert_eq!(status.totals.unwrap().events, all);
    other.assert_no_complaints();

    let id = savepoint["id"].as_str().unwrap();
    scene.client(&["savepoint", "--delete", id]);
    wait_for("the files to go", LIMIT, || {
        let verified = scene.cluster.client(&["state", "verify", &folder]);
        if verified.code == Some(3) {
            Ok(())
        } else {
            Err(format!("{verified:?}"))
        }
    });
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_master_that_lost_its_own_store_resumes_from_the_folder_of_checkpoints() {
    let (mut scene, job) = Scene::half_way(1);
    scene.cluster.stop(&job);
    let state = scene.cluster.folder().join("state");
    std::fs::remove_file(state.join("meta.redb")).unwrap();
    scene.cluster.allow("SESSION_LOST", "it was killed");
    scene.cluster.restart_master();
    scene.topic.produce(&scene.second);
    let folder = format!("file://{}", state.join("checkpoints").join(&job).display());
    let next = scene.submit("", &["--from-savepoint", &folder]).unwrap();
    scene.is_the_fold(&next);
    assert_eq!(total(&scene.starts(&next)), scene.first.len());
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_damaged_savepoint_is_named_before_anything_is_stopped_and_by_verify() {
    let (scene, job) = Scene::half_way_allowing(1, "/proc");
    let nowhere = ["savepoint", &job, "--to", "file:///proc/none"];
    let refused = scene.cluster.client(&nowhere);
    assert!(
        refused.fails(4).contains("file:///proc/none"),
        "{refused:?}"
    );
    let savepoint = scene.client(&["savepoint", &job]);
    let folder = savepoint["location"].as_str().unwrap().to_owned();
    let path = folder.strip_prefix("file://").unwrap();
    let manifest = std::path::Path::new(path).join("manifest");
    let whole = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, &whole[..whole.len() - 5]).unwrap();
    let weights = "retire_after = \"100h\"";
    let flags = ["--replace", "--from-savepoint", &*folder];
    let refused = scene.submit(weights, &flags).unwrap_err();
    assert!(
        refused.contains("manifest") && refused.contains("cut off"),
        "{refused}"
    );
    assert_eq!(scene.state(&job), JobState::Running);
    std::fs::write(&manifest, whole).unwrap();
    let one = walkdir(path)
        .into_iter()
        .find(|p| p.ends_with(".state"))
        .unwrap();
    let mut content = std::fs::read(&one).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&one, content).unwrap();
    let verified = scene.cluster.client(&["state", "verify", &folder]);
    let said = verified.fails(4);
    assert!(said.contains("1 of 4 partitions"), "{verified:?}");
    assert!(verified.out.contains("checksum"), "{verified:?}");
}

pub(super) fn walkdir(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let mut found = Vec::new();
    for path in entries {
        let name = path.to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(walkdir(&name));
        } else {
            found.push(name);
        }
    }
    found
}
