//! A log that lost its newest records, as Kafka does after an unclean election of a leader.

use kol_common::proto::{JobState, JobStatus};
use kol_harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, generated};

use super::{LIMIT, SCORING, Scene, knows_its_topic, scene_of, wait_epoch_of};

/// Epochs come each second, also while the broker starts again: this one keeps those from before that.
fn keeps_many_epochs() -> Job {
    Job {
        sink: "[checkpoint]\nretain = 100".into(),
        ..Job::replay(SCORING)
    }
}

/// What a broker that was killed explains.
fn allow_lost_tail(cluster: &mut Cluster) {
    for (code, reason) in [
        ("DATA_LOSS", "the broker lost the tail of a log"),
        ("EPOCH_ABORTED", "a partition went back"),
        ("PARTITION_ENDED", "see the executor's line"),
    ] {
        cluster.allow(code, reason);
    }
}

#[test]
fn a_log_that_lost_its_tail_is_read_again_from_a_checkpoint_before_the_cut() {
    loses_its_tail(&keeps_many_epochs());
}

#[test]
fn a_log_that_lost_more_than_all_kept_checkpoints_have_is_read_again_from_its_first_record() {
    loses_its_tail(&Job {
        sink: "[checkpoint]\nretain = 1\nretain_minutes = 0\nretain_hours = 0".into(),
        ..Job::replay(SCORING)
    });
}

fn loses_its_tail(job: &Job) {
    let Some(kafka) = Kafka::own() else { return };
    let records = generated(Key::Username, 40, 2_000, 17);
    let mut scene = scene_of(job, kafka, 1, &records[..1_000]);
    allow_lost_tail(&mut scene.cluster);
    scene.cluster.wait_caught_up(&scene.job, 1_000, LIMIT);
    knows_its_topic(&scene.cluster, &scene.job);
    // Creators that the log will not have: they must leave.
    scene.topic.produce(&records[1_000..1_400]);
    scene.cluster.wait_caught_up(&scene.job, 1_400, LIMIT);
    wait_epoch_of(&scene, 1_400);
    let end = kafka.lose_tail(&scene.topic.name, 0, 1_000);
    assert_eq!(end, 1_000);
    scene.becomes(&scene.topic.read());
    let runs = |status: &JobStatus| status.state() == JobState::Running;
    let status = scene
        .cluster
        .wait_status(&scene.job, "runs again", LIMIT, runs);
    let loss = status.warnings.iter().find(|w| w.starts_with("DATA_LOSS"));
    let loss = loss.expect("a warning");
    assert!(loss.contains("offsets 1000 to 1399"), "{loss}");
    assert!(loss.contains("the log as it is now"), "{loss}");
    let totals = status.totals.unwrap();
    assert_eq!((totals.truncated, totals.new_logs), (400, 0));
    scene.topic.produce(&records[1_400..]);
    scene.becomes(&scene.topic.read());
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_log_that_lost_its_tail_and_has_grown_past_the_position_again_is_noticed() {
    let Some(kafka) = Kafka::own() else { return };
    let records = generated(Key::Username, 40, 2_600, 18);
    let mut scene = scene_of(&keeps_many_epochs(), kafka, 1, &records[..1_000]);
    allow_lost_tail(&mut scene.cluster);
    scene.cluster.allow("EXECUTOR_SUSPECT", "it was killed");
    scene.cluster.allow("EXECUTOR_LOST", "it was killed");
    scene.cluster.wait_caught_up(&scene.job, 1_000, LIMIT);
    knows_its_topic(&scene.cluster, &scene.job);
    scene.topic.produce(&records[1_000..1_400]);
    scene.cluster.wait_caught_up(&scene.job, 1_400, LIMIT);
    // An epoch that has the records which will be lost, and then nobody who reads.
    wait_epoch_of(&scene, 1_400);
    scene.cluster.executors[0].kill();
    kafka.lose_tail(&scene.topic.name, 0, 1_000);
    kafka.lose_session();
    scene.topic.produce(&records[1_400..]);
    scene.cluster.add_executor();
    scene.becomes(&scene.topic.read());
    let status = scene.cluster.try_status(&scene.job).unwrap();
    let loss = status.warnings.iter().find(|w| w.starts_with("DATA_LOSS"));
    let loss = loss.expect("a warning");
    assert!(loss.contains("offsets 1000 to 1399"), "{loss}");
    assert_eq!(status.totals.unwrap().truncated, 400);
    scene.cluster.assert_no_complaints();
}

/// One broker loses power, and stays the leader. No leader epoch shows what it lost.
#[test]
fn a_log_that_has_grown_again_under_the_same_leader_epoch_is_known_by_its_last_record() {
    let Some(kafka) = Kafka::own() else { return };
    let records = generated(Key::Username, 40, 4_000, 20);
    let mut scene = scene_of(&keeps_many_epochs(), kafka, 1, &records[..1_000]);
    allow_lost_tail(&mut scene.cluster);
    for code in ["EXECUTOR_SUSPECT", "EXECUTOR_LOST"] {
        scene.cluster.allow(code, "it was killed");
    }
    scene.cluster.wait_caught_up(&scene.job, 1_000, LIMIT);
    knows_its_topic(&scene.cluster, &scene.job);
    wait_epoch_of(&scene, 1_000);
    let lost = |scene: &Scene, range: &str| {
        let status = scene.cluster.try_status(&scene.job).unwrap();
        let loss = status.warnings.iter().find(|w| w.starts_with("DATA_LOSS"));
        let loss = loss.unwrap_or_else(|| panic!("{:?}", status.warnings));
        assert!(loss.contains(range), "{loss}");
    };
    // Under the eyes of a reader, whose connection is lost.
    scene.topic.produce(&records[1_000..1_400]);
    scene.cluster.wait_caught_up(&scene.job, 1_400, LIMIT);
    kafka.lose_tail(&scene.topic.name, 0, 1_000);
    scene.topic.produce(&records[1_400..2_600]);
    scene.becomes(&scene.topic.read());
    lost(&scene, "offsets 1000 to 1399");
    // While nobody looks, behind an epoch that has what is lost.
    wait_epoch_of(&scene, 2_200);
    scene.topic.produce(&records[2_600..3_000]);
    scene
        .cluster
        .wait_status(&scene.job, "all is read", LIMIT, |status| {
            let reports = status.partitions.iter().filter_map(|p| p.report.as_ref());
            reports.map(|r| r.position).sum::<u64>() == 2_600
        });
    wait_epoch_of(&scene, 2_600);
    scene.cluster.executors[0].kill();
    kafka.lose_tail(&scene.topic.name, 0, 2_200);
    scene.topic.produce(&records[3_000..]);
    scene.cluster.add_executor();
    scene.becomes(&scene.topic.read());
    lost(
        &scene,
        "2200 to 2599 (not all of them; 2599 is another record now)",
    );
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_job_that_must_not_lose_data_fails_with_the_range_when_its_log_lost_its_tail() {
    let Some(kafka) = Kafka::own() else { return };
    let records = generated(Key::Username, 40, 500, 19);
    let topic = Topic::create(kafka, "tail", 1);
    topic.produce(&records);
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let job = Job {
        source: "on_data_loss = \"fail\"".into(),
        ..Job::replay(SCORING)
    };
    let id = cluster.submit(&job, &topic, &redis);
    cluster.wait_caught_up(&id, 500, LIMIT);
    let end = kafka.lose_tail(&topic.name, 0, 300);
    let status = cluster.wait_state(&id, JobState::Failed);
    let range = format!("records {end} to 499 were read and no longer exist");
    assert!(status.reason.contains(&range), "{}", status.reason);
}
