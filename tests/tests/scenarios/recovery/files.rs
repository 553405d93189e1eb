//! State files that are damaged, lost or left over.

use std::collections::BTreeSet;

use kol_common::proto::{JobState, JobStatus};
use kol_harness::wait_for;

use super::{LIMIT, checkpoints, half_way, kill, state_files};

#[test]
fn a_damaged_state_file_is_reported_and_an_older_state_or_the_log_is_used() {
    let mut scene = half_way(1, 2);
    for code in ["CHECKPOINT_DAMAGED", "PARTITION_ENDED"] {
        scene.cluster.allow(code, "the file was damaged");
    }
    scene.topic.produce(&scene.second);
    scene.wait_checkpoint(scene.all());
    kill(&mut scene, 0);
    for file in state_files(&scene) {
        let mut content = std::fs::read(&file).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0x40;
        std::fs::write(&file, content).unwrap();
    }
    let executor = scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(executor, 0);
    assert!(starts.contains(&0), "from the log at last: {starts:?}");
}

/// All checkpoints are lost, and the log no longer has what came first.
#[test]
fn a_job_whose_state_and_first_records_are_gone_fails_and_says_how_to_continue() {
    let mut scene = half_way(1, 1);
    if !scene.topic.kafka().is_real() {
        eprintln!("NOT TESTED: the embedded broker deletes no records");
        return;
    }
    for code in ["CHECKPOINT_DAMAGED", "STATE_LOST", "PARTITION_ENDED"] {
        scene.cluster.allow(code, "the files were damaged");
    }
    kill(&mut scene, 0);
    for file in state_files(&scene) {
        std::fs::write(&file, "torn").unwrap();
    }
    scene.topic.delete_before(0, 50);
    scene.cluster.add_executor();
    let status = scene.cluster.wait_state(&scene.job, JobState::Failed);
    assert!(status.reason.contains("STATE_LOST"), "{}", status.reason);
    let command = "rewind scenario --to-earliest";
    assert!(status.reason.contains(command), "{}", status.reason);
    let rewound = ["rewind", "scenario", "--to-earliest"];
    scene.cluster.client(&rewound).done();
    let what = "it runs again";
    let runs = |status: &JobStatus| status.state() == JobState::Running && status.caught_up;
    scene.cluster.wait_status("scenario", what, LIMIT, runs);
    scene.cluster.assert_no_complaints();
}

#[test]
fn state_files_that_were_left_behind_are_deleted_and_no_other() {
    let mut scene = half_way(1, 2);
    let left = checkpoints(&scene)
        .join(&scene.job)
        .join("0/000000000000-1-left.state");
    std::fs::write(&left, "of an owner that died").unwrap();
    scene.topic.produce(&scene.second);
    wait_for("what was left behind to go", LIMIT, || {
        if left.exists() {
            Err("it is there".to_owned())
        } else {
            Ok(())
        }
    });
    let all = scene.all();
    scene.wait_checkpoint(all);
    let answer = scene
        .cluster
        .client(&["checkpoints", &scene.job, "-o", "json"]);
    let kept = answer.json();
    let kept = kept["checkpoints"].as_array().unwrap();
    let (newest, older) = kept.split_at(3);
    for pair in newest.windows(2) {
        assert_eq!(
            pair[0]["parent"], pair[1]["epoch"],
            "as many as the spec says"
        );
    }
    // Of those before them the oldest of each minute is kept.
    let minutes = older
        .iter()
        .map(|e| e["begun_ms"].as_u64().unwrap() / 60_000);
    let minutes: BTreeSet<u64> = minutes.collect();
    assert_eq!(minutes.len(), older.len(), "{older:?}");
    kill(&mut scene, 0);
    let executor = scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(executor, 0);
    assert_eq!(starts.iter().sum::<u64>(), all, "nothing was read again");
}
