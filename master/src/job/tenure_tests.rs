//! What the ownership of its keys means for a job.

use kol_common::proto::{JobState, RevokeMode};
use kol_common::redis::owner::{KEYS_OWNED, TAKEN_OVER};
use kol_common::redis::{EVICTS, RIGHTS_MISSING, UNREACHABLE_CODE};
use kol_common::{KolError, Millis};

use super::effect::Event;
use super::record::{End, Phase};
use super::tenure::Owned;
use super::testing::{Rig, revoked};

fn held(code: &'static str) -> Event {
    Event::Owned(Err(KolError::user(
        code,
        "job `b` of cluster clu_2 has them",
    )))
}

#[test]
fn a_job_whose_keys_were_taken_fails_with_the_reason_and_gives_its_partitions_up_at_once() {
    let (mut rig, first) = Rig::running(&[1], 2);
    rig.report_all(&first);
    let out = rig.event(held(TAKEN_OVER));
    assert!(out.persist);
    let revokes = revoked(&out);
    assert_eq!(revokes.len(), 2);
    assert!(revokes.iter().all(|(_, r)| r.mode() == RevokeMode::Now));
    for (_, revoke) in &revokes {
        rig.release(1, revoke, false);
    }
    let (state, reason) = rig.state();
    assert_eq!(state, JobState::Failed);
    assert_eq!(rig.job.header().phase, Phase::Over(End::Failed));
    assert!(
        reason.contains("SINK_TAKEN_OVER: job `b` of cluster clu_2"),
        "{reason}"
    );
}

#[test]
fn a_job_that_never_got_its_keys_fails_without_having_read() {
    let mut rig = Rig::starting(&[1]);
    rig.tick();
    rig.event(held(KEYS_OWNED));
    assert_eq!(rig.state().0, JobState::Failed);
    assert!(!rig.job.has_read());
}

#[test]
fn a_job_that_stops_while_its_keys_are_taken_ends_stopped() {
    let (mut rig, first) = Rig::running(&[1], 1);
    rig.report_all(&first);
    rig.event(Event::End(End::Stopped, String::new()));
    rig.event(held(TAKEN_OVER));
    let revokes = revoked(&rig.after(10_000));
    rig.release(1, &revokes[0].1, false);
    assert_eq!(rig.state().0, JobState::Stopped);
}

#[test]
fn a_redis_that_the_master_does_not_reach_ends_no_job() {
    let (mut rig, first) = Rig::running(&[1], 1);
    rig.report_all(&first);
    let away = KolError::external(UNREACHABLE_CODE, "away");
    let out = rig.event(Event::Owned(Err(away)));
    assert!(!out.persist);
    assert_eq!(rig.state(), (JobState::Running, String::new()));
}

#[test]
fn a_redis_that_may_evict_is_a_problem_of_the_job_until_it_is_right() {
    let (mut rig, first) = Rig::running(&[1], 1);
    rig.report_all(&first);
    let evicts = KolError::external(EVICTS, "Redis may evict");
    let owned = |evicts| {
        let owned = Owned {
            evicts,
            ..Owned::default()
        };
        Event::Owned(Ok(owned))
    };
    rig.event(owned(Some(evicts)));
    assert_eq!(rig.state(), (JobState::Degraded, "Redis may evict".into()));
    rig.event(owned(None));
    assert_eq!(rig.state().0, JobState::Running);
}

#[test]
fn a_take_over_is_done_once_and_the_former_owner_is_kept_for_people() {
    let mut record = Rig::record();
    record.take_over = true;
    let mut rig = Rig::with(record, &[1]);
    let owned = Owned {
        displaced: vec!["from job `b`".into()],
        ..Owned::default()
    };
    let out = rig.event(Event::Owned(Ok(owned)));
    assert!(out.persist);
    assert!(!rig.job.record().take_over);
    assert_eq!(rig.job.record().warnings, ["from job `b`"]);
    let out = rig.event(Event::Owned(Ok(Owned::default())));
    assert!(!out.persist, "a renewal changes nothing");
}

#[test]
fn rights_that_the_redis_user_lacks_are_one_problem_whoever_notices() {
    let mut rig = Rig::starting(&[1]);
    rig.tick();
    let lacks = |what: &str| KolError::external(RIGHTS_MISSING, what);
    rig.event(Event::Owned(Err(lacks("evalsha; missing: +evalsha"))));
    rig.event(Event::Discovered(
        Err(lacks("hget; missing: +evalsha")),
        None,
    ));
    let status = rig.job.status(Millis(rig.now), &rig.fleet);
    let problems: Vec<_> = status.problems.iter().map(|p| &p.message).collect();
    assert_eq!(problems, ["evalsha; missing: +evalsha"]);
}
