//! The disk below checkpoints and below the state folder: away, full, read-only, or not mounted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use kol_common::proto::{JobState, JobStatus};
use kol_harness::{
    Cluster, IN_OWN_NAMESPACE, Job, Process, Scene, binary, may_mount, mount, seen_by, show_to,
    wait_for,
};

use super::{LIMIT, checkpoints, half_way, kill, walk};

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

/// Its partitions start elsewhere from the newest epoch there is, and read the rest again.
#[test]
fn an_executor_gives_its_partitions_away_while_the_checkpoint_disk_is_full() {
    let cluster = Cluster::start(2);
    let Some(disk) = SmallDisk::over(cluster.folder().join("state/checkpoints")) else {
        return;
    };
    let mut scene = Scene::half_way(cluster, "recovery", 4);
    // Unmounted first: the folder around it goes with the scene.
    let disk = disk;
    scene.wait_checkpoint(scene.first.len() as u64);
    scene.cluster.allow("EPOCH_ABORTED", "the disk is full");
    let (third, rest) = scene.second.split_at(2_000);
    let filler = disk.fill();
    scene.topic.produce(third);
    let full = |status: &JobStatus| {
        let mut problems = status.problems.iter();
        problems.any(|p| p.code == "CHECKPOINT_FAILED" && p.message.contains("No space left"))
    };
    let what = "the disk is full";
    scene.cluster.wait_status(&scene.job, what, LIMIT, full);

    let before = scene.cluster.executors[1].log().len();
    scene.cluster.client(&["drain", "executor-0"]).done();
    scene.topic.produce(rest);
    let alone = |status: &JobStatus| full(status) && status.executors == 1 && status.caught_up;
    let what = "the other one has everything, and the disk is still full";
    scene.cluster.wait_status(&scene.job, what, LIMIT, alone);
    assert_eq!(scene.starts(1, before).len(), 2);
    let log = scene.cluster.executors[1].log();
    let ahead = log[before..].matches("ahead=true").count();
    assert_eq!(ahead, 2, "no partition paused for its state");

    std::fs::remove_file(filler).unwrap();
    scene.wait_checkpoint(scene.all());
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
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

/// One executor has a copy of the checkpoint folder in its place, as from a backup: with the marker of the cluster and
/// with epochs, but not with the newest.
#[test]
fn an_executor_with_a_copy_of_the_checkpoint_folder_is_named_damages_nothing_and_serves_once_it_has_the_folder()
 {
    let mut scene = half_way(1, 4);
    let root = checkpoints(&scene);
    let place = root.to_str().unwrap();
    if !may_mount("a copy of the checkpoint folder") {
        return;
    }
    for code in ["CHECKPOINT_UNAVAILABLE", "PARTITION_ENDED"] {
        scene.cluster.allow(code, "the folder is a copy there");
    }
    let copy = scene.cluster.folder().join("copy");
    let copied = Command::new("cp").arg("-a").args([&root, &copy]).status();
    assert!(copied.unwrap().success());
    let (third, rest) = scene.second.split_at(2_000);
    scene.topic.produce(third);
    scene.wait_checkpoint((scene.first.len() + third.len()) as u64);
    let stamps = |root: &Path| names(&root.join("kol-stamps"));
    let before = stamps(&copy);
    wait_for("two newer stamps", LIMIT, || {
        let newer = stamps(&root).into_iter().filter(|s| !before.contains(s));
        let newer = newer.count();
        // The one before the newest is what executors are held to.
        if newer > 1 {
            Ok(())
        } else {
            Err(newer.to_string())
        }
    });
    let mut kept = Vec::new();
    walk(&copy, &mut kept);

    let bound = format!(
        "mount --bind {} {place} && exec \"$0\" \"$@\"",
        copy.display()
    );
    let command = [&IN_OWN_NAMESPACE[..], &["sh", "-c", &bound]].concat();
    let misled = scene.cluster.add_executor_by(&command);
    let pid = scene.cluster.executors[misled].pid();
    let named = |status: &JobStatus| {
        let is_named = |p: &kol_common::proto::ErrorInfo| {
            p.code == "CHECKPOINT_UNAVAILABLE"
                && p.message.contains("executor-1")
                && p.message.contains("copy")
                && p.help.contains("Mount")
        };
        status.problems.iter().any(is_named)
    };
    let alone = |status: &JobStatus| named(status) && status.executors == 1 && status.caught_up;
    scene.topic.produce(rest);
    let what = "it is named, and the other one has everything";
    scene.cluster.wait_status(&scene.job, what, LIMIT, alone);
    scene.wait_checkpoint(scene.all());
    let mut left = Vec::new();
    walk(&copy, &mut left);
    assert_eq!(left, kept, "nothing is written there");

    show_to(pid, &root);
    let both = |status: &JobStatus| status.executors == 2 && status.problems.is_empty();
    let what = "it has partitions once it has the folder";
    scene.cluster.wait_status(&scene.job, what, LIMIT, both);
    kill(&mut scene, 0);
    let status = scene.ends_as_the_fold();
    scene.counted_once(&status);
}

/// The names in a folder, none where it does not exist.
fn names(folder: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
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
    let (third, rest) = scene.second.split_at(2_000);

    let (filler, from) = (disk.fill(), scene.cluster.master.log().len());
    let _answered_later = submit(&scene, "large");
    scene.cluster.master.wait_code("STATE_STORE", from, LIMIT);
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
