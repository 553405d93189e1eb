//! What Redis may hold that this job did not put there, or put there once.

use std::time::Duration;

use kol_common::proto::JobState;
use kol_common::scoring::{Slot, unpack_slots};
use kol_fold::{Fold, Record};
use kol_harness::{
    Cluster, Job, Kafka, Key, RedisServer, Topic, compare, generated, scoring, wait_for,
};
use redis::Commands as _;

const LIMIT: Duration = Duration::from_secs(40);

struct Scene {
    topic: Topic,
    redis: RedisServer,
    cluster: Cluster,
    job: Job,
}

impl Scene {
    fn new(partitions: u32, key: Key) -> (Self, Vec<Record>) {
        let scene = Self {
            topic: Topic::create(Kafka::shared(), "redis", partitions),
            redis: RedisServer::start(),
            cluster: Cluster::start(1),
            job: Job::replay("window = \"24h\"\nslide = \"1h\""),
        };
        (scene, generated(key, 60, 3_000, 11))
    }

    fn submit(&self) -> String {
        self.cluster.submit(&self.job, &self.topic, &self.redis)
    }

    /// Waits until Redis holds exactly what the fold of `log` says: sweeps come after the rest.
    fn becomes(&self, job: &str, log: &[Record]) {
        self.becomes_beside(job, log, &[]);
    }

    /// The same, beside hashes of others.
    fn becomes_beside(&self, job: &str, log: &[Record], others: &[&str]) {
        let beside = |key: &&str| format!("{key} is in Redis, not in the fold");
        let mut wanted: Vec<_> = others.iter().map(beside).collect();
        wanted.sort();
        wait_for("Redis to equal the fold", LIMIT, || {
            let status = self.cluster.try_status(job).map_err(|e| e.to_string())?;
            let fold = Fold::of(&scoring(&status), log);
            let view = fold.view().ok_or("no events")?;
            let differences = compare(&mut self.redis.connect(), &view);
            if differences == wanted {
                return Ok(());
            }
            let first = differences.iter().find(|d| !wanted.contains(d));
            Err(format!("{} differences: {first:?}", differences.len()))
        });
    }

    /// Somebody does this, which Redis answers so; waits until it shows the same as before.
    fn comes_back(&self, deed: &str, says: &str, shows: &str) {
        let before = self.redis.cli(shows);
        assert_eq!(self.redis.cli(deed).trim(), says, "{deed}");
        wait_for(deed, LIMIT, || {
            let now = self.redis.cli(shows);
            (now == before).then_some(()).ok_or(now)
        });
    }

    /// The slots of a creator, by their partitions.
    fn slots_of(&self, kol: &str) -> Vec<Slot> {
        let key = "streaming:ranking:tiktok:trending:slots";
        let packed: Vec<u8> = self.redis.connect().hget(key, kol).unwrap();
        let mut slots = unpack_slots(&packed).unwrap();
        slots.sort_by_key(|slot| slot.partition);
        slots
    }
}

#[test]
fn creators_that_the_job_does_not_know_leave_the_ranking() {
    let (scene, records) = Scene::new(2, Key::Username);
    scene.topic.produce(&records);
    // As the system before this one wrote them.
    for n in 0..700 {
        scene
            .redis
            .cli(&format!("ZADD ranking:tiktok:trending 19.15 old_{n}"));
        scene.redis.cli(&format!(
            "HSET trending:tiktok:old_{n} trending_score 19.15"
        ));
    }
    let job = scene.submit();
    scene.becomes(&job, &scene.topic.read());
    scene.cluster.assert_no_complaints();
}

#[test]
fn creators_of_the_generation_before_leave_when_the_next_one_does_not_see_them() {
    let (mut scene, records) = Scene::new(2, Key::Username);
    let (job, log) = next_without_the_first(&mut scene, &records, |_| {});
    scene.becomes(&job, &log);
    scene.cluster.assert_no_complaints();
}

#[test]
fn they_leave_although_somebody_deletes_their_ranking_and_slots_and_hashes_of_others_stay() {
    const OTHERS: [(&str, &str); 3] = [
        (
            "trending:tiktok:x:kol_1",
            "kol_id kol_1 platform tiktok generation 1",
        ),
        ("trending:tiktok:before", "trending_score 19.15"),
        (
            "trending:tiktok:newer",
            "kol_id newer platform tiktok generation 900",
        ),
    ];
    let (mut scene, records) = Scene::new(2, Key::Username);
    scene
        .cluster
        .allow("HASHES_FORGOTTEN", "nothing names the creators of before");
    let (job, log) = next_without_the_first(&mut scene, &records, |redis| {
        let slots = "streaming:ranking:tiktok:trending:slots";
        redis.cli(&format!("DEL ranking:tiktok:trending {slots}"));
        for (key, fields) in OTHERS {
            redis.cli(&format!("HSET {key} {fields}"));
        }
    });
    scene.becomes_beside(&job, &log, &OTHERS.map(|(key, _)| key));
    let what = "the hashes that were removed are counted";
    scene.cluster.wait_status(&job, what, LIMIT, |status| {
        status
            .totals
            .as_ref()
            .is_some_and(|totals| totals.repaired > 0)
    });
    scene.cluster.assert_no_complaints();
}

/// Runs a job on the first of these records, then does something to Redis, and then runs its next generation on the
/// others alone. Its id, and the log as it sees it.
fn next_without_the_first(
    scene: &mut Scene,
    records: &[Record],
    between: impl FnOnce(&RedisServer),
) -> (String, Vec<Record>) {
    let (old, new) = records.split_at(2_900);
    scene.topic.produce(old);
    let job = scene.submit();
    scene.cluster.wait_caught_up(&job, old.len() as u64, LIMIT);
    scene.cluster.stop(&job);
    between(&scene.redis);
    scene.job.starting_offsets = "\"latest\"".into();
    let job = scene
        .cluster
        .submit_discarding(&scene.job, &scene.topic, &scene.redis);
    scene.cluster.wait_state(&job, JobState::Running);
    let before = scene.topic.read().len();
    scene.topic.produce(new);
    let mut log = scene.topic.read();
    assert_eq!(log.len(), before + new.len());
    let ends: Vec<u64> = (0..2).map(|p| offset_after(&log, p, new)).collect();
    log.retain(|record| record.offset >= ends[record.partition as usize]);
    (job, log)
}

#[test]
fn a_redis_whose_keys_may_not_be_looked_through_is_a_problem_and_the_job_runs() {
    let (scene, records) = Scene::new(2, Key::Username);
    scene.redis.cli("ACL SETUSER default -scan");
    scene.topic.produce(&records);
    let job = scene.submit();
    scene.becomes(&job, &scene.topic.read());
    let what = "the status names the right that is missing";
    scene.cluster.wait_status(&job, what, LIMIT, |status| {
        let mut problems = status.problems.iter();
        problems.any(|p| p.code == "SINK_SCAN_REFUSED" && p.help.contains("+scan"))
    });
    scene.cluster.assert_no_complaints();
}

/// Offset of the first of `new` in a partition.
fn offset_after(log: &[Record], partition: u32, new: &[Record]) -> u64 {
    let first = log.iter().filter(|r| r.partition == partition).find(|r| {
        new.iter()
            .any(|n| n.value == r.value && n.timestamp_ms == r.timestamp_ms)
    });
    first.map_or(u64::MAX, |record| record.offset)
}

#[test]
fn a_redis_that_comes_back_from_an_old_backup_is_brought_up_to_date() {
    let (mut scene, records) = Scene::new(2, Key::VideoId);
    scene
        .cluster
        .allow("REDIS_LOST_DATA", "it went back to a backup");
    scene.cluster.allow("SINK_PAUSED", "it was away");
    let (first, rest) = records.split_at(1_000);
    let (second, third) = rest.split_at(1_900);
    scene.topic.produce(first);
    let job = scene.submit();
    scene.cluster.wait_caught_up(&job, 1_000, LIMIT);
    assert!(scene.redis.cli("SAVE").starts_with("OK"));
    scene.topic.produce(second);
    scene.cluster.wait_caught_up(&job, 2_900, LIMIT);
    scene.redis.down();
    scene.redis.up();
    scene.topic.produce(third);
    scene.becomes(&job, &scene.topic.read());
    scene.cluster.assert_no_complaints();
}

#[test]
fn rankings_that_are_late_because_redis_hangs_are_a_problem_until_it_has_what_it_lacks() {
    let (mut scene, records) = Scene::new(2, Key::Username);
    scene.cluster.allow("SINK_PAUSED", "Redis hangs");
    scene.job.sink = "max_staleness = \"1s\"".into();
    let (first, second) = records.split_at(2_000);
    scene.topic.produce(first);
    let job = scene.submit();
    let read = first.len() as u64;
    scene.cluster.wait_caught_up(&job, read, LIMIT);
    scene.redis.signal("STOP");
    scene.topic.produce(second);
    let what = "the status says that rankings are late";
    let stale = |status: &kol_common::proto::JobStatus| {
        let mut problems = status.problems.iter();
        problems.any(|p| p.code == "SINK_STALE" && p.message.contains("max_staleness (1s)"))
    };
    let late = scene.cluster.wait_status(&job, what, LIMIT, stale);
    assert!(late.staleness_ms > 1_000, "{}", late.staleness_ms);
    scene.redis.signal("CONT");
    let read = records.len() as u64;
    let status = scene.cluster.wait_caught_up(&job, read, LIMIT);
    assert_eq!(status.staleness_ms, 0);
    let what = "no problem is left";
    scene.cluster.wait_status(&job, what, LIMIT, |status| {
        status.problems.is_empty() && status.state() == JobState::Running
    });
    scene.becomes(&job, &scene.topic.read());
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_key_of_a_wrong_type_is_named_and_holds_up_neither_epochs_nor_anybody_else() {
    let (mut scene, records) = Scene::new(2, Key::Username);
    scene
        .cluster
        .allow("REDIS_REPAIRED", "the creator comes back");
    scene.redis.cli("SET trending:tiktok:kol_3 mine");
    scene.topic.produce(&records);
    let job = scene.submit();
    let named = |status: &kol_common::proto::JobStatus| {
        let text = |p: &kol_common::proto::ErrorInfo| p.message.contains("trending:tiktok:kol_3");
        status.problems.iter().any(text)
    };
    let what = "the status names the key";
    scene.cluster.wait_status(&job, what, LIMIT, named);
    let epoch = |status: &kol_common::proto::JobStatus| status.checkpoint.map_or(0, |c| c.epoch);
    let what = "three more epochs, each of a record more, while the key is still named";
    for record in &records[..3] {
        let before = epoch(&scene.cluster.try_status(&job).unwrap());
        scene.topic.produce(std::slice::from_ref(record));
        scene.cluster.wait_status(&job, what, LIMIT, |status| {
            named(status) && epoch(status) > before
        });
    }
    let shown = scene.redis.cli("ZCARD ranking:tiktok:trending");
    assert_eq!(shown.trim(), "59", "everybody else");
    assert_eq!(scene.redis.cli("GET trending:tiktok:kol_3").trim(), "mine");
    scene.redis.cli("DEL trending:tiktok:kol_3");
    scene.becomes(&job, &scene.topic.read());
    let what = "no key is named any more";
    scene
        .cluster
        .wait_status(&job, what, LIMIT, |status| !named(status));
    scene.cluster.assert_no_complaints();
}

#[test]
fn whatever_redis_loses_comes_back_by_itself() {
    let (mut scene, records) = Scene::new(2, Key::VideoId);
    scene.cluster.allow("REDIS_REPAIRED", "keys are deleted");
    scene.topic.produce(&records);
    let job = scene.submit();
    let log = scene.topic.read();
    scene
        .cluster
        .wait_caught_up(&job, records.len() as u64, LIMIT);
    scene.becomes(&job, &log);
    let slots = "streaming:ranking:tiktok:trending:slots";
    let platforms = "streaming:ranking:*:trending:platforms";
    let record = "streaming:ranking:tiktok:trending:generation";
    for (lost, shows) in [
        (
            "DEL ranking:tiktok:trending".to_owned(),
            "ZCARD ranking:tiktok:trending".to_owned(),
        ),
        (
            "DEL trending:tiktok:kol_3".to_owned(),
            "EXISTS trending:tiktok:kol_3".to_owned(),
        ),
        (
            "ZREM ranking:tiktok:trending kol_4".to_owned(),
            "ZSCORE ranking:tiktok:trending kol_4".to_owned(),
        ),
        (format!("DEL {slots}"), format!("HSTRLEN {slots} kol_5")),
        (
            format!("HDEL {slots} kol_5"),
            format!("HSTRLEN {slots} kol_5"),
        ),
        (
            "HDEL trending:tiktok:kol_6 velocity".to_owned(),
            "HGET trending:tiktok:kol_6 velocity".to_owned(),
        ),
        (format!("DEL {record}"), format!("GET {record}")),
        (format!("DEL {platforms}"), format!("SMEMBERS {platforms}")),
        (
            "DEL streaming:last_update".to_owned(),
            "EXISTS streaming:last_update".to_owned(),
        ),
        (
            "DEL streaming:last_event".to_owned(),
            "GET streaming:last_event".to_owned(),
        ),
    ] {
        scene.comes_back(&lost, "1", &shows);
        scene.becomes(&job, &log);
    }
    // What somebody writes over counts as lost.
    for (over, says, shows) in [
        (
            "RENAME trending:tiktok:kol_7 trending:tiktok:kol_8".to_owned(),
            "OK",
            "HMGET trending:tiktok:kol_8 kol_id trending_score".to_owned(),
        ),
        (
            "ZADD ranking:tiktok:trending 1 kol_4".to_owned(),
            "0",
            "ZSCORE ranking:tiktok:trending kol_4".to_owned(),
        ),
        (
            "HSET trending:tiktok:kol_4 kol_id kol_9 trending_score 0.00".to_owned(),
            "0",
            "HMGET trending:tiktok:kol_4 kol_id trending_score".to_owned(),
        ),
        (
            "EVAL redis.call('HDEL',KEYS[1],'velocity')return(redis.call('HSET',KEYS[1],'x','1')) 1 trending:tiktok:kol_6"
                .to_owned(),
            "1",
            "HGET trending:tiktok:kol_6 velocity".to_owned(),
        ),
    ] {
        scene.comes_back(&over, says, &shows);
        // A field that the job does not write stays.
        scene.redis.cli("HDEL trending:tiktok:kol_6 x");
        scene.becomes(&job, &log);
    }
    let before = scene.slots_of("kol_5");
    assert_ne!(before, scene.slots_of("kol_7"));
    let copied: Vec<u8> = scene.redis.connect().hget(slots, "kol_7").unwrap();
    let _: () = scene.redis.connect().hset(slots, "kol_5", copied).unwrap();
    wait_for("slots that somebody wrote over", LIMIT, || {
        let now = scene.slots_of("kol_5");
        (now == before).then_some(()).ok_or(format!("{now:?}"))
    });
    scene.becomes(&job, &log);
    let status = scene.cluster.try_status(&job).unwrap();
    assert!(status.totals.unwrap_or_default().repaired > 60);
    scene.cluster.assert_no_complaints();
}
