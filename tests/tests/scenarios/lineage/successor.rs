//! What is submitted under the name of a job takes its place and continues with its state.

use super::*;

#[test]
fn a_stopped_job_continues_when_it_is_submitted_again_unless_its_state_does_not_fit() {
    let (scene, job) = Scene::half_way(2);
    scene.cluster.stop(&job);
    scene.topic.produce(&scene.second);
    let refused = scene.submit("half_life = \"1d\"", &[]).unwrap_err();
    assert!(refused.contains("scoring.half_life was 7days"), "{refused}");
    assert!(refused.contains("--discard-state"), "{refused}");
    let next = scene.submit("retire_after = \"100h\"", &[]).unwrap();
    scene.is_the_fold(&next);
    assert_eq!(total(&scene.starts(&next)), scene.first.len());
    scene.cluster.stop(&next);
    let fresh = scene
        .submit("half_life = \"1d\"", &["--discard-state"])
        .unwrap();
    scene.is_the_fold(&fresh);
    assert_eq!(total(&scene.starts(&fresh)), 0, "the whole log");
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_running_job_is_replaced_with_other_weights_and_rolled_back() {
    let (scene, job) = Scene::half_way(2);
    let weights = "[scoring.weights]\npersonal = 0.2\nmarket = 0.3\nmomentum = 0.5";
    let refused = scene.submit(weights, &[]).unwrap_err();
    assert!(refused.contains("--replace"), "{refused}");
    assert_eq!(scene.state(&job), JobState::Running, "nothing has happened");
    let refused = scene
        .submit("half_life = \"1d\"", &["--replace"])
        .unwrap_err();
    assert!(refused.contains("does not fit"), "{refused}");
    assert_eq!(scene.state(&job), JobState::Running, "nothing has happened");
    let next = scene.submit(weights, &["--replace", "--wait"]).unwrap();
    assert_eq!(scene.state(&job), JobState::Stopped);
    scene.topic.produce(&scene.second);
    let status = scene.is_the_fold(&next);
    assert_eq!(total(&scene.starts(&next)), scene.first.len());
    assert!(status.spec_json.contains("\"momentum\":0.5"));
    let back = scene.next(&["rollback", &next]);
    let status = scene.is_the_fold(&back);
    assert!(status.spec_json.contains("\"momentum\":0.2"));
    let all = scene.first.len() + scene.second.len();
    assert_eq!(total(&scene.starts(&back)), all, "the state was taken over");
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_job_that_took_over_state_and_lost_all_of_it_reads_the_log_again_from_where_the_first_one_began()
 {
    let (mut scene, first) = Scene::half_way(1);
    let next = scene
        .submit("retire_after = \"100h\"", &["--replace", "--wait"])
        .unwrap();
    assert_eq!(scene.state(&first), JobState::Stopped);
    scene.topic.produce(&scene.second);
    let all = (scene.first.len() + scene.second.len()) as u64;
    wait_for("an epoch of its own", LIMIT, || {
        let newest = scene.client(&["checkpoints", &next])["checkpoints"][0].clone();
        let parts = newest["partitions"].as_array().cloned().unwrap_or_default();
        let read: u64 = parts.iter().filter_map(|p| p["offset"].as_u64()).sum();
        let own = newest["origin"] == "" && read == all;
        own.then_some(()).ok_or_else(|| newest.to_string())
    });
    for code in ["EXECUTOR_SUSPECT", "EXECUTOR_LOST"] {
        scene.cluster.allow(code, "it was killed");
    }
    for code in ["CHECKPOINT_DAMAGED", "PARTITION_ENDED"] {
        scene.cluster.allow(code, "the files were damaged");
    }
    scene.cluster.executors[0].kill();
    let folder = scene.cluster.folder().join("state/checkpoints");
    let files = savepoint::walkdir(folder.to_str().unwrap());
    for file in files.iter().filter(|file| file.ends_with(".state")) {
        std::fs::write(file, "torn").unwrap();
    }
    scene.cluster.add_executor();
    let status = scene.is_the_fold(&next);
    let starts = scene.starts(&next);
    assert!(starts.contains(&0), "from the log at last: {starts:?}");
    let said = |w: &String| w.contains("from offset 0 on; the result is exact");
    assert!(status.warnings.iter().any(said), "{:?}", status.warnings);
    scene.cluster.assert_no_complaints();
}
