//! Processes that die, servers that go away, executors that come and leave: in the end Redis equals
//! the fold.

use std::time::{Duration, Instant};

use kol_common::proto::{JobState, PartitionState};
use kol_harness::{Cluster, Scene, wait_for};

fn half_way(executors: usize, partitions: u32) -> Scene {
    Scene::half_way(Cluster::start(executors), "faults", partitions)
}

/// Executors that run partitions of the job.
fn owners(scene: &Scene) -> Vec<String> {
    let status = scene.cluster.try_status(&scene.job).unwrap();
    let owners = status.partitions.into_iter().map(|p| p.executor_id);
    owners.filter(|id| !id.is_empty()).collect()
}

#[test]
fn partitions_of_a_killed_executor_run_elsewhere_within_ten_seconds() {
    let mut scene = half_way(2, 4);
    let before = owners(&scene);
    scene.kill(0);
    let killed = Instant::now();
    scene.topic.produce(&scene.second);
    let what = "one executor has all partitions";
    scene
        .cluster
        .wait_status(&scene.job, what, Duration::from_secs(10), |status| {
            let owner = &status.partitions[0].executor_id;
            let runs = |p: &kol_common::proto::PartitionStatus| {
                let state = p.report.as_ref().map(|r| r.state());
                p.executor_id == *owner
                    && matches!(
                        state,
                        Some(PartitionState::Running | PartitionState::Holding)
                    )
            };
            before.contains(owner) && status.partitions.iter().all(runs)
        });
    println!("all partitions run {:?} after the kill", killed.elapsed());
    scene.ends_as_the_fold();
}

#[test]
fn redis_away_for_twenty_seconds_and_back_empty_is_filled_again() {
    let mut scene = half_way(1, 4);
    scene
        .cluster
        .allow("REDIS_LOST_DATA", "Redis came back empty");
    scene.cluster.allow("SINK_PAUSED", "Redis was stopped");
    scene.redis.down();
    let down = Instant::now();
    scene.topic.produce(&scene.second);
    let what = "status says what is wrong";
    scene
        .cluster
        .wait_status(&scene.job, what, Duration::from_secs(15), |status| {
            status.state() == JobState::Degraded && !status.problems.is_empty()
        });
    std::thread::sleep(Duration::from_secs(20).saturating_sub(down.elapsed()));
    assert!(scene.cluster.executors[0].runs(), "the executor lives");
    assert!(
        scene.cluster.executors[0].rss() < 512 << 20,
        "memory stays bounded"
    );
    scene.redis.up();
    scene.ends_as_the_fold();
}

#[test]
fn redis_emptied_while_all_is_idle_is_filled_again() {
    let mut scene = half_way(1, 2);
    scene.cluster.allow("REDIS_LOST_DATA", "Redis was emptied");
    scene.redis.cli("FLUSHALL");
    wait_for("the ranking to come back", Duration::from_secs(10), || {
        let size = scene.redis.cli("ZCARD ranking:tiktok:trending");
        if size.trim() == "0" {
            Err("it is empty".to_owned())
        } else {
            Ok(())
        }
    });
    scene.ends_as_the_fold();
}

#[test]
fn a_master_killed_and_started_again_knows_its_jobs_and_continues() {
    let mut scene = half_way(2, 4);
    scene.cluster.allow("SESSION_LOST", "the master was killed");
    scene.cluster.restart_master();
    scene.topic.produce(&scene.second);
    scene.ends_as_the_fold();
}

#[test]
fn sigterm_hands_partitions_over_and_exits_with_zero() {
    let mut scene = half_way(2, 4);
    let term = Duration::from_secs(12);
    scene.cluster.executors[0].signal("TERM");
    let status = scene.cluster.executors[0].wait_exit(term);
    assert!(status.success(), "the executor ended with {status}");
    scene.topic.produce(&scene.second);
    scene.ends_as_the_fold();
    scene.cluster.executors[1].signal("TERM");
    let status = scene.cluster.executors[1].wait_exit(term);
    assert!(status.success(), "the last executor ended with {status}");
    scene.cluster.master.signal("TERM");
    let status = scene.cluster.master.wait_exit(term);
    assert!(status.success(), "the master ended with {status}");
    scene.cluster.assert_no_complaints();
}

#[test]
fn executors_that_join_are_given_partitions() {
    let mut scene = half_way(1, 4);
    scene.cluster.add_executor();
    scene.cluster.add_executor();
    let what = "three executors have partitions";
    let spread = Duration::from_secs(30);
    scene
        .cluster
        .wait_status(&scene.job, what, spread, |status| status.executors == 3);
    scene.topic.produce(&scene.second);
    scene.ends_as_the_fold();
}

#[test]
fn a_stopped_job_and_a_cancelled_one_can_be_submitted_again() {
    let mut scene = half_way(1, 2);
    let job = Scene::job();
    scene.cluster.stop(&scene.job);
    scene.topic.produce(&scene.second);
    scene.job = scene.cluster.submit(&job, &scene.topic, &scene.redis);
    scene.ends_as_the_fold();
    scene.cluster.cancel(&scene.job);
    scene.job = scene.cluster.submit(&job, &scene.topic, &scene.redis);
    scene.ends_as_the_fold();
}

#[test]
fn the_old_health_commands_work_word_for_word() {
    let scene = half_way(1, 2);
    let top = scene
        .redis
        .cli("ZREVRANGE ranking:tiktok:trending 0 9 WITHSCORES");
    let lines: Vec<_> = top.lines().collect();
    assert_eq!(lines.len(), 20, "{top}");
    let scores: Vec<f64> = lines
        .iter()
        .skip(1)
        .step_by(2)
        .map(|s| s.parse().unwrap())
        .collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{top}");
    let update = scene.redis.cli("GET streaming:last_update");
    assert!(update.trim().parse::<jiff::Timestamp>().is_ok(), "{update}");
}
