//! Going back, and what readers see of it.

use std::time::Instant;

use super::*;

/// A job that keeps its epochs long enough to be there when they are requested.
fn keeps_epochs(scene: &Scene) -> String {
    let keep = ["--set", "checkpoint.retain=1000", "--replace", "--wait"];
    scene.submit("", &keep).unwrap()
}

/// The newest epoch of its own that a job keeps, once it holds so many records.
fn kept_epoch(scene: &Scene, records: usize) -> Value {
    wait_for("an epoch of all", LIMIT, || {
        let kept = scene.client(&["checkpoints", "scenario"])["checkpoints"].take();
        let newest = &kept[0];
        let parts = newest["partitions"].as_array().into_iter().flatten();
        let read = parts.map(|p| p["offset"].as_u64().unwrap() as usize);
        if newest["origin"] == "" && read.sum::<usize>() == records {
            Ok(newest.clone())
        } else {
            Err(newest.to_string())
        }
    })
}

#[test]
fn a_time_means_the_newest_kept_epoch_of_before_it() {
    let (scene, _) = Scene::half_way(2);
    let job = keeps_epochs(&scene);
    let kept = kept_epoch(&scene, scene.first.len());
    scene.topic.produce(&scene.second);
    kept_epoch(&scene, scene.first.len() + scene.second.len());
    let begun = kept["begun_ms"].as_u64().unwrap();
    let time = kol_common::Millis(begun).iso();
    let next = scene.next(&["rewind", &job, "--to-timestamp", &time]);
    let status = scene.is_the_fold(&next);
    let origin = format!("epoch {} ", kept["epoch"]);
    assert!(
        status.origin.contains(&origin),
        "{} for {origin}",
        status.origin
    );
    assert_eq!(total(&scene.starts(&next)), scene.first.len());
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_job_is_rewound_to_an_epoch_to_a_time_and_to_the_beginning() {
    let (scene, _) = Scene::half_way(2);
    let job = keeps_epochs(&scene);
    let kept = kept_epoch(&scene, scene.first.len());
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
    let (firsts, rest) = since(&log, middle);
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
    let mut seen: Vec<Look> = Vec::new();
    let begun = Instant::now();
    loop {
        let last = seen.last();
        assert!(begun.elapsed() < LIMIT, "not shown in {LIMIT:?}: {last:?}");
        let (size, old): (u64, Option<f64>) = redis::pipe()
            .atomic()
            .zcard("ranking:tiktok:trending")
            .zscore("ranking:tiktok:trending", "only_before")
            .query(&mut connection)
            .unwrap();
        let status = scene.cluster.try_status(job).unwrap();
        let old = old.is_some();
        let lag = status.lag_records.unwrap_or_default();
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

/// Where the partitions of a log begin when it is read from a time on, and what is read then.
fn since(log: &[Record], time: u64) -> (Vec<u64>, Vec<Record>) {
    let first_of = |partition: u32| {
        let mut of = log.iter().filter(|r| r.partition == partition);
        of.find(|r| r.timestamp_ms >= Some(time))
            .map_or(u64::MAX, |r| r.offset)
    };
    let firsts: Vec<u64> = (0..4).map(first_of).collect();
    let read = |r: &&Record| r.offset >= firsts[r.partition as usize];
    let rest = log.iter().filter(read).cloned().collect();
    (firsts, rest)
}

/// The same reading, but of another platform.
fn elsewhere(record: &Record) -> Option<Record> {
    let mut event: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
    event["platform"] = "youtube".into();
    Some(Record {
        value: Some(event.to_string().into_bytes()),
        ..record.clone()
    })
}

#[test]
fn a_platform_that_only_the_generation_before_had_leaves_redis() {
    let (scene, job) = Scene::half_way(2);
    let readings = scene.first.iter().rev().take(200);
    let others: Vec<Record> = readings.rev().filter_map(elsewhere).collect();
    scene.topic.produce(&others);
    scene.is_the_fold(&job);
    let shown = || {
        let hashes = scene.redis.cli("KEYS trending:youtube:*");
        let ranking = scene.redis.cli("ZCARD ranking:youtube:trending");
        (ranking.trim().to_owned(), hashes.lines().count())
    };
    let later = scene.second.iter().filter_map(|r| r.timestamp_ms).min();
    let time = kol_common::Millis(later.unwrap()).iso();
    assert_ne!(shown().0, "0");
    let next = scene.next(&["rewind", &job, "--to-timestamp", &time]);
    // Only now: the job before would have seen them go quiet.
    scene.topic.produce(&scene.second);
    let (_, rest) = since(&scene.topic.read(), later.unwrap());
    wait_for("the other platform to leave", LIMIT, || match shown() {
        (ranking, 0 | 1) if ranking == "0" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let (cluster, redis) = (&scene.cluster, &scene.redis);
    cluster.assert_equals_fold_of(&next, &rest, redis, LIMIT);
    scene.cluster.assert_no_complaints();
}

#[test]
fn a_generation_without_any_event_takes_the_ranking_down() {
    let (scene, job) = Scene::half_way(2);
    let shown = || {
        let hashes = scene.redis.cli("KEYS trending:tiktok:*");
        let ranking = scene.redis.cli("ZCARD ranking:tiktok:trending");
        (ranking.trim().to_owned(), hashes.split_whitespace().count())
    };
    assert_ne!(shown().0, "0");
    let last = scene.first.iter().filter_map(|r| r.timestamp_ms).max();
    let after = kol_common::Millis(last.unwrap() + 60_000).iso();
    let next = scene.next(&["rewind", &job, "--to-timestamp", &after]);
    wait_for("the ranking to be empty", LIMIT, || match shown() {
        (ranking, 0) if ranking == "0" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let status = scene.cluster.try_status(&next).unwrap();
    assert_eq!(status.totals.map(|totals| totals.events), Some(0));
    scene.cluster.assert_no_complaints();
}
