//! An executor that wakes up long after it was given up must not change Redis: only the fence keeps it
//! from that, because it does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, generated, wait_for};

const LIMIT: Duration = Duration::from_secs(60);
const PARTITIONS: usize = 4;

/// Every key of Redis with all it holds; but not the owner records, which every executor of the job renews.
fn dump(redis: &RedisServer) -> BTreeMap<String, String> {
    let mut connection = redis.connect();
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    keys.retain(|key| !key.ends_with(":owner") && !key.ends_with(":holder"));
    let value = |key: &String| -> String {
        let mut query =
            |command: &mut redis::Cmd| -> redis::Value { command.query(&mut connection).unwrap() };
        let kind = query(redis::cmd("TYPE").arg(key));
        let held = match kind {
            redis::Value::SimpleString(kind) if kind == "hash" => {
                query(redis::cmd("HGETALL").arg(key))
            }
            redis::Value::SimpleString(kind) if kind == "set" => {
                query(redis::cmd("SMEMBERS").arg(key))
            }
            redis::Value::SimpleString(kind) if kind == "zset" => query(
                redis::cmd("ZRANGE")
                    .arg(key)
                    .arg(&["0", "-1", "WITHSCORES"]),
            ),
            _ => query(redis::cmd("GET").arg(key)),
        };
        format!("{held:?}")
    };
    let mut value = value;
    keys.into_iter()
        .map(|key| {
            let held = value(&key);
            (key, held)
        })
        .collect()
}

#[test]
fn a_zombie_that_slept_through_three_reassignments_never_changes_redis() {
    let topic = Topic::create(Kafka::shared(), "zombie", PARTITIONS as u32);
    let mut records = generated(Key::Username, 300, 16_000, 5);
    let rest = records.split_off(4_000);
    topic.produce(&records);
    let redis = RedisServer::start();
    let mut cluster = Cluster::start(1);
    for (code, reason) in [
        ("EXECUTOR_SUSPECT", "executors were paused and killed"),
        ("EXECUTOR_LOST", "they were given up"),
        ("SESSION_LOST", "the master was killed"),
        (
            "SESSION_ENDED",
            "it was given up, and then the master was killed",
        ),
        ("FENCED", "the zombie was refused"),
        (
            "SINK_PAUSED",
            "what the zombie had sent had no answer while it slept",
        ),
    ] {
        cluster.allow(code, reason);
    }
    let job = cluster.submit(
        &Job::replay("window = \"24h\"\nslide = \"1h\""),
        &topic,
        &redis,
    );
    cluster.wait_caught_up(&job, 4_000, LIMIT);
    cluster.executors[0].signal("STOP");
    // Given up before anybody else is there: no one revokes a partition of it.
    let gone = "EXECUTOR_LOST";
    cluster.master.wait_code(gone, 0, LIMIT);

    // Each owner reads on, so that the zombie has much to say that is not true any more.
    let mut epochs = vec![epochs_of(&cluster, &job)];
    let pieces: Vec<_> = rest.chunks(rest.len() / 3).collect();
    let mut read = 4_000;
    for piece in pieces.iter().take(3) {
        let owner = cluster.add_executor();
        topic.produce(piece);
        read += piece.len();
        cluster.wait_caught_up(&job, read as u64, LIMIT);
        epochs.push(epochs_of(&cluster, &job));
        if owner < 3 {
            cluster.executors[owner].kill();
        }
    }
    let moved = |pair: &[Vec<u64>]| pair[0].iter().zip(&pair[1]).all(|(a, b)| a < b);
    assert!(epochs.windows(2).all(moved), "three times: {epochs:?}");
    cluster.assert_equals_fold(&job, &topic, &redis, LIMIT);

    // Without a master nobody tells the zombie, and no one else has a reason to write.
    cluster.master.kill();
    std::thread::sleep(Duration::from_secs(1));
    let before = dump(&redis);
    cluster.executors[0].signal("CONT");
    wait_for("the zombie to be refused", LIMIT, || {
        let log = cluster.executors[0].log();
        let refused = log.lines().filter(|l| l.contains("FENCED")).count();
        if refused >= PARTITIONS {
            Ok(())
        } else {
            Err(format!("{refused} of {PARTITIONS} partitions were"))
        }
    });
    assert_eq!(dump(&redis), before);
    cluster.assert_no_complaints();
}

/// Assignment epoch of each partition.
fn epochs_of(cluster: &Cluster, job: &str) -> Vec<u64> {
    let status = cluster.try_status(job).unwrap();
    let reports = status.partitions.into_iter().map(|p| p.report.unwrap());
    reports.map(|r| r.assignment_epoch).collect()
}
