//! What is judged of what was seen.

use kol_common::proto::PartitionStatus;

use super::super::evidence::{Master, Refused};
use super::super::rows::row;
use super::*;

const LEADS: &str = "http://a:7077";

fn master(url: &str, leads: bool) -> Master {
    let reply = LeadershipReply {
        leads,
        version: "0.1.0".into(),
        wall_ms: 1_000_000,
        ..LeadershipReply::default()
    };
    Master {
        url: url.into(),
        answer: Ok(reply),
    }
}

fn silent(url: &str) -> Master {
    let error = KolError::external("MASTER_UNREACHABLE", format!("no master answers at {url}"));
    Master {
        url: url.into(),
        answer: Err(error.to_info()),
    }
}

fn executor(id: &str) -> ExecutorStatus {
    ExecutorStatus {
        executor_id: id.into(),
        host: format!("host-{id}"),
        version: "0.1.0".into(),
        state: ExecutorState::Alive.into(),
        clock_ahead_ms: Some(3),
        registered_ms: 900_000,
        ..ExecutorStatus::default()
    }
}

/// A job with one partition in this state, and problems of these codes.
fn job(state: PartitionState, problems: &[&'static str]) -> JobStatus {
    let problem = |code: &&'static str| KolError::external(code, "it is").to_info();
    JobStatus {
        name: "kol".into(),
        state: JobState::Running.into(),
        partitions: vec![PartitionStatus {
            state: state.into(),
            ..PartitionStatus::default()
        }],
        problems: problems.iter().map(problem).collect(),
        ..JobStatus::default()
    }
}

fn look(area: Area, outcome: Result<&str, &'static str>) -> Look {
    let outcome = outcome.map(str::to_owned);
    Look {
        area,
        job: "kol".into(),
        what: area.word().into(),
        outcome: outcome.map_err(|code| KolError::external(code, "as seen here").to_info()),
    }
}

fn healthy() -> Evidence {
    Evidence {
        wall: Millis(1_000_000),
        masters: vec![master(LEADS, true), master("http://b:7077", false)],
        executors: Some(vec![executor("exe_1"), executor("exe_2")]),
        jobs: vec![job(PartitionState::Running, &[])],
        looks: vec![
            look(Area::Kafka, Ok("1 brokers")),
            look(Area::Redis, Ok("answers")),
        ],
        ..Evidence::default()
    }
}

/// Codes of troubles, in their order, and of notes.
fn codes(seen: &Evidence) -> (Vec<String>, Vec<String>) {
    let found = diagnose(seen);
    for trouble in found.troubles.iter().chain(&found.notes) {
        assert!(!trouble.places.is_empty(), "{trouble:?}");
        assert!(row(&trouble.error.code).is_some(), "{trouble:?}");
    }
    let codes = |all: &[Trouble]| all.iter().map(|t| t.error.code.clone()).collect();
    (codes(&found.troubles), codes(&found.notes))
}

fn troubles(seen: &Evidence) -> Vec<String> {
    codes(seen).0
}

#[test]
fn where_nothing_is_wrong_nothing_is_said_to_be() {
    let found = diagnose(&healthy());
    assert!(
        found.troubles.is_empty() && found.notes.is_empty(),
        "{found:?}"
    );
    let areas: Vec<Area> = found.well.iter().map(|well| well.area).collect();
    let wanted = [
        Area::Master,
        Area::Master,
        Area::Versions,
        Area::Clocks,
        Area::Executors,
        Area::Kafka,
        Area::Redis,
        Area::Job,
    ];
    assert_eq!(areas, wanted);
}

#[test]
fn what_stands_in_the_way_of_others_comes_first() {
    let mut seen = healthy();
    let problems = [
        "STATE_LOST",
        "CHECKPOINT_TIMEOUT",
        "SINK_UNREACHABLE",
        "SOURCE_UNREACHABLE",
        "CHECKPOINT_UNAVAILABLE",
    ];
    seen.jobs = vec![job(PartitionState::Running, &problems)];
    seen.masters.push(silent("http://c:7077"));
    let executors = seen.executors.as_mut().unwrap();
    executors[0].clock_ahead_ms = Some(7_200_000);
    executors[1].version = "0.2.0".into();
    let mut lost = executor("exe_3");
    lost.state = ExecutorState::Suspect.into();
    executors.push(lost);
    let error = KolError::external("MASTER_BUSY", "it did not answer").to_info();
    seen.refused.push(Refused {
        what: "jobs".into(),
        error,
    });
    let wanted = [
        "MASTER_BUSY",
        "VERSIONS_DIFFER",
        "CLOCKS_DIFFER",
        "EXECUTOR_SUSPECT",
        "CHECKPOINT_UNAVAILABLE",
        "SOURCE_UNREACHABLE",
        "SINK_UNREACHABLE",
        "STATE_LOST",
        "CHECKPOINT_TIMEOUT",
        "MASTER_UNREACHABLE",
    ];
    assert_eq!(
        troubles(&seen),
        wanted,
        "another master leads: it is the last"
    );
}

#[test]
fn without_a_master_its_absence_comes_first_and_this_host_says_how_the_rest_is() {
    let seen = Evidence {
        masters: vec![silent(LEADS)],
        looks: vec![
            look(Area::Redis, Err("SINK_UNREACHABLE")),
            look(Area::Kafka, Ok("1 brokers")),
            look(Area::Checkpoints, Err("CHECKPOINT_UNAVAILABLE")),
        ],
        ..Evidence::default()
    };
    let wanted = [
        "MASTER_UNREACHABLE",
        "CHECKPOINT_UNAVAILABLE",
        "SINK_UNREACHABLE",
    ];
    assert_eq!(troubles(&seen), wanted);
}

#[test]
fn masters_that_all_follow_have_no_leader_or_one_that_was_not_given_or_does_not_answer() {
    let of = |leader: &str, more: Option<Master>| {
        let mut follows = master(LEADS, false);
        follows.answer.as_mut().unwrap().leader = leader.into();
        let masters = [follows].into_iter().chain(more).collect();
        troubles(&Evidence {
            masters,
            ..Evidence::default()
        })
    };
    assert_eq!(of("", None), ["NO_LEADER"]);
    assert_eq!(of("http://c:7077", None), ["MASTER_FOLLOWS"]);
    let away = of("http://c:7077/", Some(silent("http://c:7077")));
    assert_eq!(away, ["MASTER_UNREACHABLE"]);
    let other = of("", Some(silent("http://c:7077")));
    assert_eq!(other, ["MASTER_UNREACHABLE", "NO_LEADER"]);
}

#[test]
fn what_only_this_host_cannot_reach_is_a_note_while_the_job_is_served_and_does_not_complain() {
    let of = |state, problems: &[&'static str], code| {
        let mut seen = healthy();
        seen.jobs = vec![job(state, problems)];
        seen.looks = vec![look(Area::Redis, Err(code))];
        codes(&seen)
    };
    let (none, one) = (Vec::<String>::new(), vec!["SINK_UNREACHABLE".to_owned()]);
    let served = PartitionState::Running;
    let waiting = PartitionState::Waiting;
    assert_eq!(
        of(served, &[], "SINK_UNREACHABLE"),
        (none.clone(), one.clone())
    );
    assert_eq!(
        of(waiting, &[], "SINK_UNREACHABLE"),
        (one.clone(), none.clone())
    );
    let both = of(served, &["SINK_UNREACHABLE"], "SINK_UNREACHABLE");
    assert_eq!(both, (one, none.clone()), "one trouble");
    for state in [served, waiting] {
        let missing = of(state, &[], "SECRET_MISSING");
        assert_eq!(missing, (none.clone(), vec!["SECRET_MISSING".to_owned()]));
    }
    let topic = of(served, &[], "TOPIC_NOT_FOUND");
    assert_eq!(topic, (vec!["TOPIC_NOT_FOUND".to_owned()], none));
}

#[test]
fn a_redis_that_this_host_cannot_reach_is_a_trouble_once_changes_have_waited_for_seconds() {
    let mut seen = healthy();
    seen.looks = vec![look(Area::Redis, Err("SINK_UNREACHABLE"))];
    let (none, one) = (Vec::<String>::new(), vec!["SINK_UNREACHABLE".to_owned()]);
    seen.jobs[0].staleness_ms = 2_000;
    assert_eq!(codes(&seen), (none.clone(), one.clone()), "as usual");
    seen.jobs[0].staleness_ms = 8_100;
    assert_eq!(codes(&seen), (one, none.clone()));
    seen.looks = vec![look(Area::Kafka, Err("SOURCE_UNREACHABLE"))];
    let kafka = codes(&seen);
    assert_eq!(kafka, (none, vec!["SOURCE_UNREACHABLE".to_owned()]));
}

#[test]
fn one_redis_is_one_trouble_however_many_jobs_and_databases_it_has() {
    let on = |name: &str, url: &str| {
        let spec = format!("name = \"{name}\"\n[sink]\nurl = \"{url}\"\n");
        let spec = kol_common::job::parse(&spec, "a").unwrap().spec;
        let mut job = job(PartitionState::Running, &["SINK_UNREACHABLE"]);
        job.problems[0].message = format!("{url} does not answer");
        job.name = name.to_owned();
        job.spec_json = serde_json::to_string(&spec).unwrap();
        job
    };
    let mut seen = healthy();
    seen.looks.clear();
    seen.jobs = vec![on("a", "redis://r:6379/0"), on("b", "redis://r:6379/1")];
    assert_eq!(troubles(&seen), ["SINK_UNREACHABLE"]);
    seen.jobs.push(on("c", "redis://other:6379/1"));
    assert_eq!(troubles(&seen), ["SINK_UNREACHABLE"; 2]);
    // What only this host says.
    seen.jobs.iter_mut().for_each(|job| job.problems.clear());
    let looks = ["a", "b", "c"].map(|name| Look {
        job: name.into(),
        what: format!("Redis of {name}"),
        ..look(Area::Redis, Err("SINK_UNREACHABLE"))
    });
    seen.looks = looks.into();
    let two = ["SINK_UNREACHABLE"; 2].map(str::to_owned).to_vec();
    assert_eq!(codes(&seen), (Vec::new(), two));
    seen.jobs[1].staleness_ms = 8_100;
    let one = vec!["SINK_UNREACHABLE".to_owned()];
    assert_eq!(
        codes(&seen),
        (one.clone(), one),
        "the other Redis is a note"
    );
}

#[test]
fn one_trouble_that_several_see_has_the_place_of_each() {
    let mut seen = healthy();
    seen.jobs = vec![job(PartitionState::Running, &["SINK_UNREACHABLE"]); 2];
    seen.jobs[1].name = "other".into();
    seen.looks = vec![look(Area::Redis, Err("SINK_UNREACHABLE"))];
    let found = diagnose(&seen);
    let places: Vec<_> = found.troubles.iter().map(|t| &t.places).collect();
    assert_eq!(
        places,
        [&["job kol", "job other", "redis, seen from this host"]]
    );
}

#[test]
fn no_executor_is_one_trouble_whoever_says_so_and_a_failed_job_says_why() {
    let of = |jobs: Vec<JobStatus>| {
        troubles(&Evidence {
            executors: Some(Vec::new()),
            jobs,
            looks: Vec::new(),
            ..healthy()
        })
    };
    assert_eq!(of(Vec::new()), ["NO_EXECUTOR"]);
    let waits = job(PartitionState::Waiting, &["NO_EXECUTOR"]);
    assert_eq!(of(vec![waits]), ["NO_EXECUTOR"]);
    let failed = JobStatus {
        state: JobState::Failed.into(),
        reason: "the topic is gone".into(),
        ..job(PartitionState::Over, &[])
    };
    assert_eq!(of(vec![failed]), ["NO_EXECUTOR", "JOB_FAILED"]);
}

#[test]
fn executors_that_left_have_neither_a_version_nor_a_clock_to_compare() {
    let mut seen = healthy();
    let mut left = executor("exe_3");
    left.state = ExecutorState::Left.into();
    left.version = "0.0.9".into();
    left.clock_ahead_ms = Some(-7_200_000);
    seen.executors.as_mut().unwrap().push(left);
    assert_eq!(troubles(&seen), [""; 0]);
    let reply = seen.masters[1].answer.as_mut().unwrap();
    reply.wall_ms += 3_600_000;
    assert_eq!(troubles(&seen), ["CLOCKS_DIFFER"], "a master that follows");
    let reply = seen.masters[1].answer.as_mut().unwrap();
    (reply.wall_ms, reply.version) = (0, String::new());
    assert_eq!(troubles(&seen), [""; 0], "one of the version before");
}
