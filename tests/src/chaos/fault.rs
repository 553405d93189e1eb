//! The faults that chaos chooses from.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::Scene;
use kol_common::checkpoint::marker::CLUSTER_FILE;
use kol_common::checkpoint::stamp::STAMPS;
use kol_fold::Record;
use kol_harness::{Link, hide_from, seen_by, show_copy_to, show_to, wait_for};

/// How far the master's wall clock is set ahead, in seconds.
const STEPS: [i64; 3] = [5, -3_600, 7_200];

/// Most records that Kafka loses.
const MOST_LOST: u64 = 1_000;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An executor dies; another one is started.
    KillExecutor,
    /// An executor is paused until after its partitions have moved, and wakes up.
    PauseExecutor,
    /// The master dies and is started again.
    KillMaster,
    /// Redis loses everything.
    EmptyRedis,
    /// Redis dies and comes back empty.
    KillRedis,
    /// The ranking is deleted.
    DeleteRanking,
    /// A creator's hash is in the way as a string, for a while.
    WrongType,
    /// The checkpoint folder is away for a while.
    TakeCheckpoints,
    /// The newest state file is damaged, and an executor dies.
    DamageState,
    /// The broker dies and is started again.
    KillBroker,
    /// All connections to Redis are cut, again and again.
    CutRedis,
    /// Nothing comes through to Redis; what was sent arrives late.
    SilentRedis,
    /// All streams between master and executors are cut.
    CutMaster,
    /// Nothing comes through between master and executors until all are given up.
    SilentMaster,
    /// The master's wall clock is set to another time, and back.
    StepMasterClock,
    /// A producer with a wrong clock writes a record of the year 2100.
    FutureRecord,
    /// Kafka loses the newest records of a partition, which were read.
    LoseTail,
    /// The checkpoint folder is not mounted for an executor, for a while.
    UnmountRoot,
    /// An executor sees an old copy of the checkpoint folder in its place, for a while.
    CopyRoot,
    /// A replica of Redis is promoted and Redis demoted; the name follows later, and connections stay.
    FailOverRedis,
}

/// All of them.
pub const ALL: [Fault; 20] = [
    Fault::KillExecutor,
    Fault::PauseExecutor,
    Fault::KillMaster,
    Fault::EmptyRedis,
    Fault::KillRedis,
    Fault::DeleteRanking,
    Fault::WrongType,
    Fault::TakeCheckpoints,
    Fault::DamageState,
    Fault::KillBroker,
    Fault::CutRedis,
    Fault::SilentRedis,
    Fault::CutMaster,
    Fault::SilentMaster,
    Fault::StepMasterClock,
    Fault::FutureRecord,
    Fault::LoseTail,
    Fault::UnmountRoot,
    Fault::CopyRoot,
    Fault::FailOverRedis,
];

/// Codes of lines at WARN or ERROR that these faults explain.
pub const EXPLAINED: [(&str, &str); 17] = [
    (
        "CLOCKS_DIFFER",
        "the master's clock was set to another time",
    ),
    ("EXECUTOR_SUSPECT", "an executor was killed or paused"),
    ("EXECUTOR_LOST", "an executor was killed or paused"),
    (
        "FENCED",
        "a paused executor woke up after its partitions had moved",
    ),
    ("SESSION_LOST", "the master was killed or cut off"),
    (
        "SESSION_ENDED",
        "the master was killed, or gave a paused executor up",
    ),
    ("MASTER_STALLED", "the master was killed"),
    ("EXECUTOR_STALLED", "an executor was paused"),
    ("REDIS_LOST_DATA", "Redis was emptied"),
    ("REDIS_REPAIRED", "keys of Redis were deleted"),
    ("SINK_PAUSED", "Redis was killed or cut off"),
    ("PARTITIONS_WAITING", "all executors were given up at once"),
    ("EPOCH_ABORTED", "the checkpoint folder was away"),
    ("CHECKPOINT_DAMAGED", "a state file was damaged"),
    ("CHECKPOINT_UNAVAILABLE", "the checkpoint folder was away"),
    ("DATA_LOSS", "Kafka lost the tail of a log"),
    ("PARTITION_ENDED", "see the executor's line"),
];

/// Whom a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// This executor of the cluster.
    Executor(usize),
    /// The cluster as a whole.
    All,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillExecutor => "an executor killed, another started",
            Self::PauseExecutor => "an executor paused for 7 s",
            Self::KillMaster => "the master killed and started again",
            Self::EmptyRedis => "Redis emptied",
            Self::KillRedis => "Redis killed, back empty after 2 s",
            Self::DeleteRanking => "the ranking deleted",
            Self::WrongType => "a creator's hash replaced by a string for 5 s",
            Self::TakeCheckpoints => "the checkpoint folder away for 5 s",
            Self::DamageState => "newest state damaged, an executor killed",
            Self::KillBroker => "the broker killed and started again",
            Self::CutRedis => "connections to Redis cut for 3 s",
            Self::SilentRedis => "the link to Redis silent for 4 s",
            Self::CutMaster => "streams to the master cut for 1 s",
            Self::SilentMaster => "links to the master silent for 6 s",
            Self::StepMasterClock => "the master's wall clock stepped, back after 5 s",
            Self::FutureRecord => "a record of the year 2100",
            Self::LoseTail => "Kafka loses the tail of a partition",
            Self::UnmountRoot => "checkpoints not mounted for an executor, 8 s",
            Self::CopyRoot => "an old copy of them for an executor, 8 s",
            Self::FailOverRedis => "Redis demoted, the name follows after 3 s",
        })
    }
}

impl Fault {
    /// Does it; what lasts is ended by `mend`, after [`Fault::lasts`].
    pub fn provoke(self, scene: &mut Scene, chance: &mut StdRng) -> Victim {
        let place = living(scene, chance);
        let executor = Victim::Executor(place);
        match self {
            Self::KillExecutor => {
                scene.cluster.executors[place].kill();
                scene.add_executor();
                return executor;
            }
            Self::PauseExecutor => {
                scene.cluster.executors[place].signal("STOP");
                return executor;
            }
            Self::DamageState => {
                damage_newest(scene);
                scene.cluster.executors[place].kill();
                scene.add_executor();
                return executor;
            }
            Self::UnmountRoot => {
                let pid = scene.cluster.executors[place].pid();
                hide_from(pid, &checkpoints(scene));
                return executor;
            }
            Self::CopyRoot => {
                let pid = scene.cluster.executors[place].pid();
                copy_root(scene);
                show_copy_to(pid, &checkpoints(scene), &copied(scene));
                return executor;
            }
            Self::KillMaster => scene.cluster.restart_master(),
            Self::EmptyRedis => {
                scene.redis.cli("FLUSHALL");
            }
            Self::KillRedis => scene.redis.down(),
            Self::DeleteRanking => {
                scene.redis.cli("DEL ranking:tiktok:trending");
            }
            Self::WrongType => {
                let first = scene.redis.cli("ZRANGE ranking:tiktok:trending 0 0");
                let key = format!("trending:tiktok:{}", first.trim());
                scene.redis.cli(&format!("SET {key} mine"));
            }
            Self::TakeCheckpoints => {
                let folder = checkpoints(scene);
                std::fs::rename(&folder, aside(scene)).expect("the folder moves");
                std::fs::write(&folder, "in the way").expect("a file in its place");
            }
            Self::KillBroker => {
                scene.kafka.down();
                scene.kafka.up();
            }
            Self::CutRedis => scene.to_redis.set(Link::Cut),
            Self::SilentRedis => scene.to_redis.set(Link::Silent),
            Self::CutMaster => scene.to_master.set(Link::Cut),
            Self::SilentMaster => scene.to_master.set(Link::Silent),
            Self::StepMasterClock => scene.clock.set(*STEPS.choose(chance).expect("a step")),
            Self::FutureRecord => scene.topic.produce(&[of_2100()]),
            Self::LoseTail => lose_tail(scene, chance),
            Self::FailOverRedis => fail_over(scene, chance),
        }
        Victim::All
    }

    /// Whether records or writes are lost by it: then a reader may see rankings go back.
    pub fn takes_back(self) -> bool {
        matches!(self, Self::LoseTail | Self::FailOverRedis)
    }

    /// How long it lasts.
    pub fn lasts(self) -> Duration {
        Duration::from_secs(match self {
            Self::UnmountRoot | Self::CopyRoot => 8,
            Self::PauseExecutor => 7,
            Self::SilentMaster => 6,
            Self::TakeCheckpoints | Self::StepMasterClock | Self::WrongType => 5,
            Self::SilentRedis => 4,
            Self::CutRedis | Self::FailOverRedis => 3,
            Self::KillRedis => 2,
            Self::CutMaster => 1,
            _ => 0,
        })
    }

    /// Ends a fault that does not end by itself.
    pub fn mend(self, scene: &mut Scene, victim: Victim) {
        match (self, victim) {
            (Self::PauseExecutor, Victim::Executor(place)) => {
                scene.cluster.executors[place].signal("CONT");
            }
            (Self::UnmountRoot, Victim::Executor(place)) => {
                let pid = scene.cluster.executors[place].pid();
                let folder = checkpoints(scene);
                let written = seen_by(pid, &folder);
                assert_eq!(written, 0, "files in a folder that is not mounted");
                show_to(pid, &folder);
            }
            (Self::CopyRoot, Victim::Executor(place)) => {
                let pid = scene.cluster.executors[place].pid();
                let folder = checkpoints(scene);
                assert_eq!(
                    seen_by(pid, &folder),
                    1,
                    "files in a copy, beside its marker"
                );
                show_to(pid, &folder);
            }
            (Self::FailOverRedis, _) => scene.to_redis.lead_to(&scene.redis.address()),
            (Self::KillRedis, _) => scene.redis.up(),
            (Self::WrongType, _) => {
                for key in scene.redis.cli("KEYS trending:*").lines() {
                    if scene.redis.cli(&format!("TYPE {key}")).trim() == "string" {
                        scene.redis.cli(&format!("DEL {key}"));
                    }
                }
            }
            (Self::CutRedis | Self::SilentRedis, _) => scene.to_redis.set(Link::Open),
            (Self::CutMaster | Self::SilentMaster, _) => scene.to_master.set(Link::Open),
            (Self::StepMasterClock, _) => scene.clock.set(0),
            (Self::TakeCheckpoints, _) => {
                let folder = checkpoints(scene);
                std::fs::remove_file(&folder).expect("the file goes");
                std::fs::rename(aside(scene), &folder).expect("the folder is back");
            }
            _ => {}
        }
    }
}

/// Kafka loses records that were read, as after a power loss; what is written from then on has a newer leader
/// epoch, as after an election, or the same.
fn lose_tail(scene: &mut Scene, chance: &mut StdRng) {
    scene.feed.pause();
    let partition = chance.random_range(0..scene.topic.partitions);
    let position = wait_for("a position", Duration::from_secs(30), || {
        let status = scene.cluster.try_status(&scene.job);
        let status = status.map_err(|e| e.to_string())?;
        let mut reports = status.partitions.iter().filter_map(|p| {
            let number = p.partition.as_ref()?.partition;
            (number == partition).then_some(p.report.as_ref()?.position)
        });
        let position = reports.next().filter(|read| *read > 0);
        position.ok_or_else(|| "nothing was read".to_owned())
    });
    let lost = chance.random_range(1..=MOST_LOST).min(position.div_ceil(2));
    let from = position - lost;
    scene.kafka.lose_tail(&scene.topic.name, partition, from);
    if chance.random() {
        scene.kafka.lose_session();
    }
    scene.feed.resume();
}

/// A replica of Redis is promoted, and a moment later, of which the writes are lost, Redis is its replica.
fn fail_over(scene: &mut Scene, chance: &mut StdRng) {
    scene.replica.replicate(&scene.redis);
    scene.replica.promote();
    std::thread::sleep(Duration::from_millis(chance.random_range(0..500)));
    scene.redis.follow(&scene.replica);
    std::mem::swap(&mut scene.redis, &mut scene.replica);
}

/// A record whose producer set both times by a wrong clock.
fn of_2100() -> Record {
    let value = r#"{"username":"kol_of_2100","event_time":"2100-01-01T00:00:00Z","like_count":1}"#;
    Record {
        key: Some(b"kol_of_2100".to_vec()),
        timestamp_ms: Some(4_102_444_800_000),
        value: Some(value.into()),
        ..Record::default()
    }
}

fn living(scene: &mut Scene, chance: &mut StdRng) -> usize {
    let executors = &mut scene.cluster.executors;
    let runs: Vec<usize> = (0..executors.len())
        .filter(|n| executors[*n].runs())
        .collect();
    runs[chance.random_range(0..runs.len())]
}

fn checkpoints(scene: &Scene) -> PathBuf {
    scene.cluster.folder().join("state/checkpoints")
}

fn aside(scene: &Scene) -> PathBuf {
    checkpoints(scene).with_file_name("aside")
}

fn copied(scene: &Scene) -> PathBuf {
    checkpoints(scene).with_file_name("copied")
}

/// A copy of the checkpoints as they were at the very beginning, once executors know what it has not got.
fn copy_root(scene: &Scene) {
    let (root, copy) = (checkpoints(scene), copied(scene));
    wait_for("two stamps", Duration::from_secs(60), || {
        let stamps = std::fs::read_dir(root.join(STAMPS)).map_or(0, Iterator::count);
        if stamps > 1 {
            Ok(())
        } else {
            Err(format!("{stamps} stamps"))
        }
    });
    std::fs::create_dir_all(&copy).expect("a folder");
    std::fs::copy(root.join(CLUSTER_FILE), copy.join(CLUSTER_FILE)).expect("the marker");
}

/// Flips a bit in the newest file of every partition.
fn damage_newest(scene: &Scene) {
    let answer = scene
        .cluster
        .client(&["checkpoints", &scene.job, "-o", "json"]);
    let newest = answer.json()["checkpoints"][0]["partitions"].clone();
    for partition in newest.as_array().into_iter().flatten() {
        let file = partition["files"]
            .as_array()
            .and_then(|f| f.last())
            .cloned();
        let Some(path) = file.as_ref().and_then(|f| f["path"].as_str()) else {
            continue;
        };
        let path = checkpoints(scene).join(path);
        // It may have been collected meanwhile.
        let Ok(mut content) = std::fs::read(&path) else {
            continue;
        };
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(&path, content).expect("the file is written");
    }
}
