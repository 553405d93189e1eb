use kol_common::proto::{
    ExecutorState, PartitionCounters, PartitionReport, Placement, SourcePartition,
};

use super::*;

fn executor(id: &str, state: ExecutorState, registered: u64, silent: u64) -> ExecutorStatus {
    ExecutorStatus {
        executor_id: id.into(),
        incarnation: id.into(),
        host: format!("host-of-{id}"),
        state: state as i32,
        registered_ms: registered,
        heartbeat_age_ms: silent,
        ..ExecutorStatus::default()
    }
}

fn job(name: &str, state: JobState) -> JobStatus {
    JobStatus {
        job_id: format!("job_{name}"),
        name: name.into(),
        state: state as i32,
        ..JobStatus::default()
    }
}

/// A partition that was read up to `position`, of a log that ends at `end`.
fn read(owner: &str, position: u64, end: Option<u64>) -> PartitionStatus {
    PartitionStatus {
        partition: Some(SourcePartition {
            topic: "t".into(),
            partition: 3,
        }),
        executor_id: owner.into(),
        report: Some(PartitionReport {
            position,
            end_offset: end,
            counters: Some(PartitionCounters {
                events: position * 2,
                ..PartitionCounters::default()
            }),
            ..PartitionReport::default()
        }),
        lag_records: end.map(|end| end.saturating_sub(position)),
        placement: Some(Placement {
            since_ms: Some(77),
            why: "it was free".into(),
            ..Placement::default()
        }),
        ..PartitionStatus::default()
    }
}

fn codes(seen: &Seen) -> Vec<String> {
    let problems = problems(seen).into_iter();
    let codes = problems.map(|problem| problem["code"].as_str().unwrap_or_default().to_owned());
    codes.collect()
}

#[test]
fn a_lost_executor_is_a_problem_until_another_one_has_registered_since() {
    use ExecutorState::{Alive, Left, Lost, Suspect};
    let wall = Millis(100_000);
    let of = |executors: Vec<ExecutorStatus>| Seen {
        wall,
        executors: Some(executors),
        ..Seen::default()
    };
    let old = executor("a", Alive, 1_000, 500);
    let lost = executor("b", Lost, 1_000, 20_000);
    assert_eq!(codes(&of(vec![old.clone()])), [""; 0]);
    assert_eq!(
        codes(&of(vec![old.clone(), lost.clone()])),
        ["EXECUTOR_LOST"]
    );
    let new = executor("c", Alive, 90_000, 0);
    assert_eq!(
        codes(&of(vec![old.clone(), lost.clone(), new.clone()])),
        [""; 0]
    );
    // One more replaces one only.
    let later = executor("d", Lost, 1_000, 5_000);
    let both = of(vec![lost.clone(), new.clone(), later]);
    assert_eq!(
        codes(&both),
        ["EXECUTOR_LOST"],
        "the newer one is lost since {new:?} came"
    );
    let earlier = executor("d", Lost, 1_000, 15_000);
    let two = of(vec![lost.clone(), new.clone(), earlier]);
    assert_eq!(codes(&two), ["EXECUTOR_LOST"], "one came for two");
    let newer = executor("e", Alive, 99_000, 0);
    let second = executor("d", Lost, 1_000, 5_000);
    assert_eq!(codes(&of(vec![lost.clone(), new, second, newer])), [""; 0]);
    let silent = executor("f", Suspect, 1_000, 3_500);
    assert_eq!(codes(&of(vec![silent])), ["EXECUTOR_SUSPECT"]);
    assert_eq!(codes(&of(vec![executor("g", Left, 1_000, 9_000)])), [""; 0]);
    let shown = &problems(&of(vec![lost]))[0];
    assert_eq!(shown["since_ms"], 80_000);
    assert!(
        shown["message"].as_str().unwrap().contains("host-of-b"),
        "{shown}"
    );
    assert_ne!(shown["help"], "");
}

#[test]
fn problems_of_all_jobs_and_of_the_master_itself_are_on_top_with_what_to_do() {
    let broken =
        KolError::external("SINK_UNREACHABLE", "Redis cannot be reached").help("Start Redis.");
    let mut degraded = job("live", JobState::Degraded);
    degraded.problems = vec![broken.to_info()];
    degraded.warnings = vec!["clocks differ".into()];
    let mut other = job("other", JobState::Running);
    other.warnings = vec!["clocks differ".into()];
    let mut failed = job("dead", JobState::Failed);
    failed.reason = "SOURCE_AUTH: the login was refused".into();
    let mut replaced = job("live", JobState::Failed);
    replaced.reason = "long ago".into();
    let seen = Seen {
        jobs: vec![degraded, other, failed, replaced],
        warnings: vec!["INSECURE: anybody".into()],
        failure: Some(KolError::external("MASTER_BUSY", "no answer")),
        ..Seen::default()
    };
    assert_eq!(codes(&seen), ["MASTER_BUSY", "SINK_UNREACHABLE", "failed"]);
    let shown = problems(&seen);
    assert_eq!(shown[1]["job"], "live");
    assert_eq!(shown[1]["help"], "Start Redis.");
    assert_eq!(shown[2]["message"], "SOURCE_AUTH: the login was refused");
    let warned = json!([
        {"message": "INSECURE: anybody", "jobs": []},
        {"message": "clocks differ", "jobs": ["live", "other"]},
    ]);
    assert_eq!(json!(warnings(&seen)), warned);
}

#[test]
fn pace_and_lag_in_time_are_measured_and_null_where_they_are_not_known() {
    let at = |second: u64, owner: &str, end: Option<u64>| {
        let mut running = job("live", JobState::Running);
        let position = second * 100;
        running.totals = Some(PartitionCounters {
            events: position * 2,
            ..PartitionCounters::default()
        });
        running.partitions = vec![read(owner, position, end)];
        let mut cpu = executor("a", ExecutorState::Alive, 0, 0);
        cpu.cpu_ms = second * 1_500;
        Seen {
            jobs: vec![running, job("over", JobState::Stopped)],
            executors: Some(vec![cpu]),
            ..Seen::default()
        }
    };
    let mut pace = Pace::default();
    let first = overview(&at(0, "a", Some(500)), &pace);
    assert!(first["jobs"][0]["events_per_second"].is_null(), "{first}");
    assert!(first["jobs"][0]["lag_ms"].is_null(), "{first}");
    assert!(first["executors"][0]["cores_busy"].is_null(), "{first}");
    for second in 0..5 {
        pace.note(
            Millis(second * 1_000),
            counters(&at(second, "a", Some(500))),
        );
    }
    let shown = overview(&at(4, "a", Some(650)), &pace);
    assert_eq!(shown["jobs"][0]["events_per_second"], 200.0, "{shown}");
    assert_eq!(shown["jobs"][0]["lag_ms"], 2_500, "{shown}");
    assert_eq!(shown["executors"][0]["cores_busy"], 1.5, "{shown}");
    assert!(shown["jobs"][1]["events_per_second"].is_null(), "{shown}");
    assert!(
        shown["leader"].is_null() && shown["term"].is_null(),
        "{shown}"
    );
    let lag = |owner, end| {
        let seen = at(4, owner, end);
        let shown = detail(&seen.jobs[0], &[], &ListCheckpointsReply::default(), &pace);
        let part = &shown["partition_list"][0];
        assert_eq!(part["lag_ms"], shown["lag_ms"], "{shown}");
        assert_eq!(part["since_ms"], 77);
        assert_eq!(part["why"], "it was free");
        assert_eq!(part["events_per_second"], 200.0);
        part["lag_ms"].clone()
    };
    assert_eq!(lag("a", Some(400)), json!(0));
    assert_eq!(
        lag("", Some(400)),
        Value::Null,
        "nobody knows whether that is still the end"
    );
    assert_eq!(lag("a", None), Value::Null);
}

#[test]
fn a_master_that_follows_shows_who_leads_and_no_executors() {
    let seen = Seen {
        leadership: LeadershipReply {
            leads: false,
            leader: "https://other:7077".into(),
            ..LeadershipReply::default()
        },
        ..Seen::default()
    };
    let shown = overview(&seen, &Pace::default());
    assert_eq!(shown["leads"], false);
    assert_eq!(shown["leader"], "https://other:7077");
    assert!(shown["executors"].is_null(), "{shown}");
}

#[test]
fn jobs_that_are_over_are_shown_up_to_a_number_and_live_ones_all() {
    let over = |count: usize| (0..count).map(|n| job(&n.to_string(), JobState::Stopped));
    let mut jobs: Vec<_> = over(MOST_OVER + 5).collect();
    jobs.push(job("live", JobState::Running));
    let shown: Vec<_> = shown_jobs(&jobs).collect();
    assert_eq!(shown.len(), MOST_OVER + 1);
    assert_eq!(shown.last().unwrap().name, "live");
}

#[test]
fn a_job_shows_in_what_its_spec_differs_from_the_one_before_of_that_name() {
    let submitted = |id: &str, name: &str, window: u64| {
        let mut spec = crate::testing::spec(name);
        spec.scoring.window = Millis(window);
        JobStatus {
            job_id: id.into(),
            spec_json: serde_json::to_string(&spec).unwrap(),
            ..job(name, JobState::Stopped)
        }
    };
    let hour = 3_600_000;
    let all = [
        submitted("4", "a", 3 * hour),
        submitted("3", "b", hour),
        submitted("2", "a", 2 * hour),
        submitted("1", "a", hour),
    ];
    let differences = |at: usize| before(&all[at], &all)["differences"].clone();
    let from_to = |was, is| json!([format!("scoring.window was {was} and is now {is}")]);
    assert_eq!(differences(0), from_to("2h", "3h"));
    assert_eq!(differences(2), from_to("1h", "2h"));
    assert_eq!(before(&all[0], &all)["job_id"], "2");
    for first in [1, 3] {
        assert_eq!(before(&all[first], &all), Value::Null);
    }
    let mut foreign = all.clone();
    foreign[2].spec_json = "{}".into();
    assert_eq!(before(&foreign[0], &foreign)["differences"], Value::Null);
}
