//! Checkpoints, and what is left after something died: state comes back from the last committed
//! epoch, only what came after it is read again, and in the end Redis equals the fold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kol_common::proto::{JobState, JobStatus};
use kol_harness::{
    Cluster, IN_OWN_NAMESPACE, Job, Process, RedisServer, Scene, binary, may_mount, mount, seen_by,
    show_to, wait_for,
};
use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

const LIMIT: Duration = Duration::from_secs(60);

/// A job that has read half of a generated log, all of it in a committed epoch.
fn half_way(executors: usize, partitions: u32) -> Scene {
    let scene = Scene::half_way(Cluster::start(executors), "recovery", partitions);
    scene.wait_checkpoint(scene.first.len() as u64);
    scene
}

/// Kills an executor, and waits until the master has noticed.
fn kill(scene: &mut Scene, executor: usize) {
    scene.kill(executor);
    scene.wait_noticed();
}

fn checkpoints(scene: &Scene) -> PathBuf {
    scene.cluster.folder().join("state/checkpoints")
}

fn state_files(scene: &Scene) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&checkpoints(scene), &mut files);
    // Not the manifest, and not the marker of the root.
    files.retain(|file| file.extension().is_some_and(|e| e == "state"));
    files.sort();
    files
}

/// Reads the ranking all the time, as a dashboard does.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u64, u64)>,
}

impl Reader {
    fn start(redis: &RedisServer) -> Self {
        let mut connection = redis.connect();
        let mut size = move || -> u64 {
            let asked = redis::cmd("ZCARD")
                .arg("ranking:tiktok:trending")
                .query(&mut connection);
            asked.unwrap()
        };
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let first = size();
            let (mut least, mut looks) = (first, 0);
            while !told.load(Ordering::Relaxed) {
                least = least.min(size());
                looks += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            (first, least, looks)
        });
        Self { stop, thread }
    }

    /// The generated log has no creator that goes quiet for long enough to leave.
    fn saw_nobody_leave(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (first, least, looks) = self.thread.join().unwrap();
        assert!(first > 0 && looks > 100, "{first} creators, {looks} looks");
        assert_eq!(least, first, "the ranking fell apart");
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn partitions_of_a_killed_executor_go_on_from_the_last_checkpoint() {
    let mut scene = half_way(2, 4);
    let from = scene.cluster.executors[1].log().len();
    let reader = Reader::start(&scene.redis);
    kill(&mut scene, 0);
    // A few hours of events while the reader looks. Of days at once, partitions that are read later
    // would have creators who are quiet for days by the clock of the others.
    let (few, rest) = scene.second.split_at(500);
    scene.topic.produce(few);
    let read = (scene.first.len() + few.len()) as u64;
    scene.cluster.wait_caught_up(&scene.job, read, LIMIT);
    reader.saw_nobody_leave();
    scene.topic.produce(rest);
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(1, from);
    assert_eq!(starts.len(), 2, "only those of the dead one: {starts:?}");
    let least = scene.first.len() as u64 / 4 / 2;
    assert!(starts.iter().all(|offset| *offset > least), "{starts:?}");
}

#[test]
fn a_cluster_that_died_as_a_whole_goes_on_from_the_last_checkpoint() {
    let mut scene = half_way(2, 4);
    scene.cluster.allow("SESSION_LOST", "the master was killed");
    for executor in 0..2 {
        scene.kill(executor);
    }
    scene.cluster.restart_master();
    let executor = scene.cluster.add_executor();
    scene.topic.produce(&scene.second);
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(executor, 0);
    assert_eq!(starts.iter().sum::<u64>(), scene.first.len() as u64);
}

#[test]
fn a_redis_that_lost_everything_while_nobody_wrote_is_filled_from_the_checkpoint() {
    let mut scene = half_way(1, 4);
    scene.cluster.allow("REDIS_LOST_DATA", "it was emptied");
    kill(&mut scene, 0);
    scene.redis.cli("FLUSHALL");
    scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    assert_eq!(status.totals.unwrap().events, scene.first.len() as u64);
}

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

#[test]
fn a_checkpoint_folder_that_is_away_degrades_the_job_and_nothing_else() {
    let mut scene = half_way(1, 2);
    for code in ["EPOCH_ABORTED", "CHECKPOINT_UNAVAILABLE"] {
        scene.cluster.allow(code, "the folder is away");
    }
    let folder = checkpoints(&scene);
    let aside = folder.with_file_name("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "not a folder").unwrap();
    let what = "the status names the checkpoints";
    scene.topic.produce(&scene.second[..1_000]);
    scene
        .cluster
        .wait_status(&scene.job, what, LIMIT, |status| {
            let named = |p: &kol_common::proto::ErrorInfo| p.code == "CHECKPOINT_FAILED";
            status.state() == JobState::Degraded && status.problems.iter().any(named)
        });
    let read = (scene.first.len() + 1_000) as u64;
    scene.cluster.wait_caught_up(&scene.job, read, LIMIT);
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    scene.topic.produce(&scene.second[1_000..]);
    let all = scene.all();
    scene.wait_checkpoint(all);
    let status = scene.ends_as_the_fold();
    assert_eq!(status.state(), JobState::Running, "{}", status.reason);
    kill(&mut scene, 0);
    scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
}

/// A small file system of its own over a folder.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, loudly, where nobody may mount.
    fn over(folder: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], &folder);
        if !mounted {
            eprintln!(
                "NOT TESTED: a disk that is full or read-only, because mounting is not allowed"
            );
        }
        mounted.then_some(Self(folder))
    }

    fn set(&self, option: &str) {
        let option = format!("remount,{option}");
        assert!(mount(&["-o", &option], &self.0));
    }

    fn fill(&self) -> PathBuf {
        let file = self.0.join("filler");
        let written = std::fs::write(&file, vec![1; 4 << 20]);
        assert!(written.is_err(), "there is room for more");
        file
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_checkpoint_disk_that_is_full_or_read_only_degrades_the_job_until_it_is_not() {
    let cluster = Cluster::start(1);
    let Some(disk) = SmallDisk::over(cluster.folder().join("state/checkpoints")) else {
        return;
    };
    let mut scene = Scene::half_way(cluster, "recovery", 2);
    // Unmounted first: the folder around it goes with the scene.
    let disk = disk;
    scene.wait_checkpoint(scene.first.len() as u64);
    scene
        .cluster
        .allow("EPOCH_ABORTED", "the disk takes nothing");
    let (third, rest) = scene.second.split_at(2_000);
    for (records, words) in [(third, "Read-only file system"), (rest, "No space left")] {
        let filler = if words.starts_with("No") {
            Some(disk.fill())
        } else {
            disk.set("ro");
            None
        };
        scene.topic.produce(records);
        let named = |status: &JobStatus| {
            let mut problems = status.problems.iter();
            problems.any(|p| p.code == "CHECKPOINT_FAILED" && p.message.contains(words))
        };
        scene.cluster.wait_status(&scene.job, words, LIMIT, named);
        match filler {
            Some(file) => std::fs::remove_file(file).unwrap(),
            None => disk.set("rw"),
        }
        let well = |status: &JobStatus| status.state() == JobState::Running;
        scene.cluster.wait_status(&scene.job, "well", LIMIT, well);
    }
    scene.wait_checkpoint(scene.all());
    kill(&mut scene, 0);
    let executor = scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(executor, 0);
    assert_eq!(starts.iter().sum::<u64>(), scene.all(), "from the disk");
}

/// One executor has the checkpoint folder not mounted: an empty one is there.
#[test]
fn an_executor_without_the_checkpoint_folder_is_named_damages_nothing_and_serves_once_it_is_mounted()
 {
    let mut scene = half_way(1, 4);
    let root = checkpoints(&scene);
    let place = root.to_str().unwrap();
    if !may_mount("a folder that is not mounted") {
        return;
    }
    for code in ["CHECKPOINT_UNAVAILABLE", "PARTITION_ENDED"] {
        scene.cluster.allow(code, "the folder is not mounted there");
    }
    let hidden = format!("mount -t tmpfs tmpfs {place} && exec \"$0\" \"$@\"");
    let command = [&IN_OWN_NAMESPACE[..], &["sh", "-c", &hidden]].concat();
    let blind = scene.cluster.add_executor_by(&command);
    let pid = scene.cluster.executors[blind].pid();
    let named = |status: &JobStatus| {
        let is_named = |p: &kol_common::proto::ErrorInfo| {
            p.code == "CHECKPOINT_UNAVAILABLE"
                && p.message.contains("executor-1")
                && p.message.contains(place)
        };
        status.problems.iter().any(is_named)
    };
    let alone = |status: &JobStatus| named(status) && status.executors == 1 && status.caught_up;
    scene.topic.produce(&scene.second);
    let what = "it is named, and the other one has everything";
    scene.cluster.wait_status(&scene.job, what, LIMIT, alone);
    scene.wait_checkpoint(scene.all());
    assert_eq!(seen_by(pid, &root), 0);

    show_to(pid, &root);
    let both = |status: &JobStatus| status.executors == 2 && status.problems.is_empty();
    let what = "it has partitions once the folder is there";
    scene.cluster.wait_status(&scene.job, what, LIMIT, both);
    kill(&mut scene, 0);
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
}

/// All checkpoints are lost, and the log no longer has what came first.
#[test]
fn a_job_whose_state_and_first_records_are_gone_fails_and_says_how_to_go_on() {
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
    let what = "it goes on";
    let runs = |status: &JobStatus| status.state() == JobState::Running && status.caught_up;
    scene.cluster.wait_status("scenario", what, LIMIT, runs);
    scene.cluster.assert_no_complaints();
}

/// A spec that needs more room in the state store than is left in its file.
fn large_spec(scene: &Scene, name: &str) -> PathBuf {
    let topics: Vec<_> = (0..2_000).map(|i| format!("{i:0200}")).collect();
    let topics: Vec<_> = topics.iter().map(String::as_str).collect();
    let job = Job {
        name: name.to_owned(),
        sink: format!("[sink.keys]\nranking = \"{name}:{{platform}}\""),
        ..Scene::job()
    };
    let file = scene.cluster.folder().join(format!("{name}.toml"));
    let toml = job.toml(scene.topic.kafka().bootstrap(), &topics, &scene.redis.url());
    std::fs::write(&file, toml).unwrap();
    file
}

/// The store takes no write for a moment, then for so long that the master ends; both times it resumes with
/// the same job once there is room.
#[test]
fn a_full_disk_below_the_state_folder_costs_no_job() {
    let roomy = tempfile::tempdir().unwrap();
    let root = roomy.path().to_str().unwrap();
    let mut cluster = Cluster::start_with(1, &[("KOL_MASTER_CHECKPOINT_ROOT", root)]);
    let Some(disk) = SmallDisk::over(cluster.folder().join("state")) else {
        return;
    };
    for code in ["SESSION_LOST", "SESSION_ENDED"] {
        cluster.allow(code, "the master is started again");
    }
    cluster.allow("STATE_STORE", "the disk is full");
    cluster.restart_master();
    let mut scene = Scene::half_way(cluster, "recovery", 2);
    // Unmounted first: the folder around it goes with the scene.
    let disk = disk;
    scene.wait_checkpoint(scene.first.len() as u64);
    let master = format!("http://{}", scene.cluster.grpc());
    let submit = |scene: &Scene, name: &str| {
        let file = large_spec(scene, name);
        let arguments = ["--master", &master, "submit", file.to_str().unwrap()];
        let folder = scene.cluster.folder();
        Process::start(name, folder, &binary("kol-client"), &arguments)
    };
    let refused = "the state store does not take a write";
    let (third, rest) = scene.second.split_at(2_000);

    let (filler, from) = (disk.fill(), scene.cluster.master.log().len());
    let _answered_later = submit(&scene, "large");
    scene.cluster.master.wait_line(refused, from, LIMIT);
    std::fs::remove_file(filler).unwrap();
    scene.topic.produce(third);
    scene.wait_checkpoint((scene.first.len() + third.len()) as u64);

    let filler = disk.fill();
    let _never_answered = submit(&scene, "larger");
    scene.cluster.master.wait_exit(LIMIT);
    let said = scene.cluster.master.log();
    assert!(said.contains("No space left on device"), "{said}");
    std::fs::remove_file(filler).unwrap();
    scene.cluster.restart_master();
    scene.topic.produce(rest);
    scene.wait_checkpoint(scene.all());
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
}

#[test]
fn lag_tools_see_the_offsets_of_committed_epochs() {
    let scene = half_way(1, 4);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", scene.topic.kafka().bootstrap())
        .set("group.id", "kol-streaming-consumer")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range(&scene.topic.name, 0, 3);
    wait_for("the group's offsets", LIMIT, || {
        let committed = consumer
            .committed_offsets(list.clone(), Duration::from_secs(5))
            .map_err(|e| e.to_string())?;
        let offsets = committed.elements().into_iter();
        let sum: i64 = offsets.filter_map(|e| e.offset().to_raw()).sum();
        if sum == scene.first.len() as i64 {
            Ok(())
        } else {
            Err(format!("{committed:?}"))
        }
    });
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
    let kept = answer.json()["checkpoints"].as_array().unwrap().len();
    assert_eq!(kept, 3, "as many epochs as the spec says");
    kill(&mut scene, 0);
    let executor = scene.cluster.add_executor();
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
    let starts = scene.starts(executor, 0);
    assert_eq!(starts.iter().sum::<u64>(), all, "nothing was read again");
}
