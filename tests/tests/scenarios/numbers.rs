//! The numbers that people and Prometheus see, while something is wrong.
#![allow(
    clippy::unwrap_used,
    reason = "a scenario fails by panicking, also in its helpers"
)]

use std::time::Duration;

use kol_common::proto::{JobState, PartitionState};
use kol_harness::http::page;
use kol_harness::{Cluster, Scene, wait_for};

const LIMIT: Duration = Duration::from_secs(30);

/// The series of a page whose names begin so, with their values.
fn series(address: &str, begin: &str) -> Vec<String> {
    let text = page(address, "/metrics");
    let lines = text.lines().filter(|line| line.starts_with(begin));
    lines.map(str::to_owned).collect()
}

/// The address of the first executor's pages.
fn executor(scene: &Scene) -> String {
    let executors = scene.cluster.client(&["executors", "-o", "json"]).json();
    executors[0]["http"].as_str().unwrap().to_owned()
}

#[test]
fn a_paused_executor_does_not_hide_what_is_not_read_and_a_job_that_is_over_has_no_series() {
    let mut scene = Scene::half_way(Cluster::start(1), "numbers", 3);
    let (job, master) = (scene.job.clone(), scene.cluster.http().to_owned());
    for (code, reason) in [
        ("EXECUTOR_SUSPECT", "it is paused"),
        ("EXECUTOR_LOST", "it is paused"),
        ("SESSION_ENDED", "it was given up"),
        ("SESSION_LOST", "it was given up"),
        ("FENCED", "its partitions were given up"),
        ("EPOCH_ABORTED", "it is paused"),
        ("SINK_PAUSED", "what it had sent had no answer meanwhile"),
    ] {
        scene.cluster.allow(code, reason);
    }
    let own = executor(&scene);
    assert_eq!(series(&own, "kol_partition_lag_records{").len(), 3);
    let name = scene.cluster.client(&["status", &job, "-o", "json"]).json()["name"].clone();
    let name = name.as_str().unwrap();
    scene.cluster.wait_status(&job, "live", LIMIT, |s| s.live);

    scene.cluster.executors[0].signal("STOP");
    scene.topic.produce(&scene.second);
    let unread = scene.second.len() as u64;
    let waiting = scene
        .cluster
        .wait_status(&job, "the lag is known", LIMIT, |s| {
            let waits =
                |p: &kol_common::proto::PartitionStatus| p.state() == PartitionState::Waiting;
            s.lag_records == Some(unread) && s.partitions.iter().all(waits)
        });
    assert!(!waiting.caught_up);
    assert!(waiting.partitions.iter().all(|p| !p.last_host.is_empty()));
    scene
        .cluster
        .wait_status(&job, "no longer live", LIMIT, |s| !s.live);
    let lag = format!("kol_master_job_lag_records{{job_name=\"{name}\"}} {unread}");
    assert_eq!(series(&master, "kol_master_job_lag_records"), [lag]);
    let shown = scene.cluster.client(&["status", &job]).done().to_owned();
    assert!(shown.contains("live        not yet"), "{shown}");
    let shown = scene
        .cluster
        .client(&["partitions", &job])
        .done()
        .to_owned();
    assert!(
        shown.contains("waiting") && !shown.contains("running"),
        "{shown}"
    );
    scene.cluster.master.wait_line("NO_EXECUTOR", 0, LIMIT);

    scene.cluster.executors[0].signal("CONT");
    let wait = ["status", &job, "--wait", "caught-up", "--timeout", "60s"];
    let answer = scene.cluster.client(&wait);
    assert!(answer.done().contains("0 records"), "{}", answer.done());
    scene.ends_as_the_fold();

    scene.cluster.cancel(&job);
    scene.cluster.wait_state(&job, JobState::Cancelled);
    let of_the_job = format!("job_name=\"{name}\"");
    wait_for("no series of the job is left", LIMIT, || {
        let pages = [&master, &executor(&scene)].map(|at| page(at, "/metrics"));
        let left: Vec<_> = pages
            .iter()
            .flat_map(|page| page.lines())
            .filter(|line| line.contains(&of_the_job))
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:#?}"))
        }
    });
}
