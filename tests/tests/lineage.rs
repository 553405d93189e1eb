//! One job name, several lives: stops, savepoints, upgrades, rewinds and rollbacks. Whatever a job begins
//! with, in the end Redis equals the fold of the log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support"
)]

use std::time::Duration;

use kol_common::proto::{JobState, JobStatus};
use kol_tests::fold::Record;
use kol_tests::harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, generated, wait_for};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const SCORING: &str = "window = \"24h\"\nslide = \"1h\"";

struct Scene {
    cluster: Cluster,
    topic: Topic,
    redis: RedisServer,
    first: Vec<Record>,
    second: Vec<Record>,
}

impl Scene {
    /// A topic with half of a log, and a job that has read it.
    fn half_way(executors: usize) -> (Self, String) {
        let topic = Topic::create(Kafka::shared(), "lineage", 4);
        let mut first = generated(Key::Username, 200, 12_000, 77);
        let second = first.split_off(first.len() / 2);
        topic.produce(&first);
        let scene = Self {
            cluster: Cluster::start(executors),
            redis: RedisServer::start(),
            topic,
            first,
            second,
        };
        let job = scene.submit("", &[]).unwrap();
        scene.caught_up(&job);
        (scene, job)
    }

    /// Writes the spec with more lines of `[scoring]`, and submits it as a person does.
    fn submit(&self, scoring: &str, flags: &[&str]) -> Result<String, String> {
        submit_to(&self.cluster, &self.topic, &self.redis, scoring, flags)
    }

    fn client(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        self.cluster.client(&arguments).json()
    }

    /// A job that took the place of another: its id.
    fn next(&self, arguments: &[&str]) -> String {
        let answer = self.client(&[arguments, &["--wait"]].concat());
        answer["job_id"].as_str().unwrap().to_owned()
    }

    fn caught_up(&self, job: &str) -> JobStatus {
        let read = self.first.len() as u64;
        self.cluster.wait_caught_up(job, read, LIMIT)
    }

    fn is_the_fold(&self, job: &str) -> JobStatus {
        let Self {
            cluster,
            topic,
            redis,
            ..
        } = self;
        cluster.assert_equals_fold(job, topic, redis, LIMIT);
        cluster.try_status(job).unwrap()
    }

    /// Offsets at which the partitions of a job were started.
    fn starts(&self, job: &str) -> Vec<u64> {
        let logs = self.cluster.executors.iter().map(|e| e.log());
        let started = |line: &&str| line.contains("a partition starts") && line.contains(job);
        let offset = |line: &str| -> u64 {
            let rest = line.split_once("offset=").unwrap().1;
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        let of = |log: String| log.lines().filter(started).map(offset).collect::<Vec<_>>();
        logs.flat_map(of).collect()
    }

    fn state(&self, job: &str) -> JobState {
        self.cluster.try_status(job).unwrap().state()
    }
}

fn submit_to(
    cluster: &Cluster,
    topic: &Topic,
    redis: &RedisServer,
    scoring: &str,
    flags: &[&str],
) -> Result<String, String> {
    let job = Job::replay(&format!("{SCORING}\n{scoring}"));
    let toml = job.toml(topic.kafka().bootstrap(), &[&topic.name], &redis.url());
    std::fs::write(cluster.folder().join("job.toml"), toml).unwrap();
    let arguments = [&["submit", "job.toml", "-o", "json"], flags].concat();
    let answer = cluster.client(&arguments);
    if answer.code != Some(0) {
        return Err(answer.err);
    }
    Ok(answer.json()["job_id"].as_str().unwrap().to_owned())
}

fn total(offsets: &[u64]) -> usize {
    offsets.iter().sum::<u64>() as usize
}

#[test]
fn an_upgrade_by_savepoint_goes_on_with_twice_the_executors_and_equals_the_fold() {
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
    assert_eq!(status.totals.unwrap().events, all);
    assert_eq!(status.executors, 2);
    assert!(
        status.generation > 1 && status.origin.contains(id),
        "{status:?}"
    );
    scene.cluster.assert_no_complaints();
}

#[test]
fn what_was_stopped_goes_on_when_it_is_submitted_again_unless_its_state_does_not_fit() {
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
    let anew = scene
        .submit("half_life = \"1d\"", &["--discard-state"])
        .unwrap();
    scene.is_the_fold(&anew);
    assert_eq!(total(&scene.starts(&anew)), 0, "the whole log");
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
    assert_eq!(total(&scene.starts(&back)), all, "the state went on");
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_job_is_rewound_to_an_epoch_to_a_time_and_to_the_beginning() {
    let (scene, _) = Scene::half_way(2);
    // Long enough to be there when it is asked for.
    let keep = ["--set", "checkpoint.retain=1000", "--replace", "--wait"];
    let job = scene.submit("", &keep).unwrap();
    let epoch = || scene.client(&["checkpoints", "scenario"])["checkpoints"][0].clone();
    let read = |epoch: &Value| -> usize {
        let parts = epoch["partitions"].as_array().into_iter().flatten();
        parts.map(|p| p["offset"].as_u64().unwrap() as usize).sum()
    };
    let kept = wait_for("an epoch of all", LIMIT, || {
        let newest = epoch();
        let own = newest["origin"] == "";
        if own && read(&newest) == scene.first.len() {
            Ok(newest)
        } else {
            Err(newest.to_string())
        }
    });
    scene.topic.produce(&scene.second);
    let number = kept["epoch"].to_string();
    let wrong = scene
        .cluster
        .client(&["rewind", &job, "--to-epoch", "999999"]);
    assert!(wrong.fails(3).contains("Kept are"), "{wrong:?}");
    let to_epoch = scene.next(&["rewind", &job, "--to-epoch", &number]);
    scene.is_the_fold(&to_epoch);
    assert_eq!(scene.state(&job), JobState::Cancelled);
    assert_eq!(total(&scene.starts(&to_epoch)), scene.first.len());

    let earliest = scene.next(&["rewind", &to_epoch, "--to-earliest"]);
    let status = scene.is_the_fold(&earliest);
    assert_eq!(total(&scene.starts(&earliest)), 0);
    assert!(status.origin.contains("the whole log"), "{}", status.origin);

    let log = scene.topic.read();
    let mut times: Vec<u64> = log.iter().filter_map(|r| r.timestamp_ms).collect();
    times.sort_unstable();
    let middle = times[times.len() * 3 / 4];
    let time = kol_common::Millis(middle).iso();
    let late = scene.next(&["rewind", &earliest, "--to-timestamp", &time]);
    let first_of = |partition: u32| {
        let mut of = log.iter().filter(|r| r.partition == partition);
        of.find(|r| r.timestamp_ms >= Some(middle))
            .map_or(u64::MAX, |r| r.offset)
    };
    let firsts: Vec<u64> = (0..4).map(first_of).collect();
    let rest: Vec<Record> = log
        .iter()
        .filter(|r| r.offset >= firsts[r.partition as usize])
        .cloned()
        .collect();
    assert!(!rest.is_empty() && rest.len() < log.len() / 2);
    let (cluster, redis) = (&scene.cluster, &scene.redis);
    cluster.assert_equals_fold_of(&late, &rest, redis, LIMIT);
    let mut starts = scene.starts(&late);
    starts.sort_unstable();
    let mut wanted = firsts;
    wanted.sort_unstable();
    assert_eq!(starts, wanted);
    scene.cluster.assert_no_complaints();
}

/// What a dashboard sees, and how far the job is then.
#[derive(Debug)]
struct Look {
    size: u64,
    /// One that only the generation before had is among them.
    old: bool,
    lag: u64,
}

/// Looks at the ranking until the job has caught up and its generation is shown.
fn looks(scene: &Scene, job: &str) -> Vec<Look> {
    let mut connection = scene.redis.connect();
    let mut seen = Vec::new();
    loop {
        let (size, old): (u64, Option<f64>) = redis::pipe()
            .atomic()
            .zcard("ranking:tiktok:trending")
            .zscore("ranking:tiktok:trending", "only_before")
            .query(&mut connection)
            .unwrap();
        let status = scene.cluster.try_status(job).unwrap();
        let old = old.is_some();
        let lag = status.lag_records;
        seen.push(Look { size, old, lag });
        if status.caught_up && !old {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_rewind_shows_one_generation_or_the_other_and_never_both_in_one_ranking() {
    let (scene, _) = Scene::half_way(2);
    let slow = [
        "--set",
        "source.max_rate_per_partition=500",
        "--replace",
        "--wait",
    ];
    let mut job = scene.submit("", &slow).unwrap();
    let whole = scene.caught_up(&job).kols;
    for at_once in [false, true] {
        scene
            .redis
            .cli("ZADD ranking:tiktok:trending 50 only_before");
        let flags: &[&str] = if at_once { &["--at-once"] } else { &[] };
        job = scene.next(&[&["rewind", &job, "--to-earliest"], flags].concat());
        let seen = looks(&scene, &job);
        let flip = seen.iter().position(|look| !look.old).unwrap();
        let (before, after) = seen.split_at(flip);
        assert!(before.iter().all(|l| l.size == whole + 1), "{before:?}");
        assert!(after.iter().all(|l| !l.old), "one or the other: {after:?}");
        let early = after.iter().any(|l| l.lag > 0);
        assert_eq!(early, at_once, "{before:?} {after:?}");
        assert!(
            at_once || after.iter().all(|l| l.size == whole),
            "{after:?}"
        );
        scene.is_the_fold(&job);
    }
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_savepoint_begins_a_job_in_another_cluster_and_is_verified_without_one() {
    let (scene, job) = Scene::half_way(2);
    let elsewhere = tempfile::tempdir().unwrap();
    let to = format!("file://{}", elsewhere.path().display());
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

    let other = Cluster::start(1);
    let redis = RedisServer::start();
    let flags = ["--from-savepoint", &*folder];
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
fn a_master_that_lost_its_own_store_goes_on_from_the_folder_of_checkpoints() {
    let (mut scene, job) = Scene::half_way(1);
    scene.cluster.stop(&job);
    let state = scene.cluster.folder().join("state");
    std::fs::remove_file(state.join("meta.redb")).unwrap();
    scene
        .cluster
        .allow("no session with the master", "it was killed");
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
    let (scene, job) = Scene::half_way(1);
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

fn walkdir(folder: &str) -> Vec<String> {
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
