use std::collections::BTreeMap;

use kol_common::proto::{ExecutorState, Register};
use kol_common::{ExecutorId, Millis};
use proptest::prelude::*;

use super::members::{Beat, Effect, Input, Limits, Members, SessionId};

fn register(incarnation: u8) -> Register {
    Register {
        incarnation: format!("inc_{incarnation}"),
        ..Register::default()
    }
}

fn step(members: &mut Members, now: u64, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    members.handle(Millis(now), input, &mut out);
    out
}

#[test]
fn a_broken_stream_loses_the_executor_only_when_no_new_one_comes_in_time() {
    let mut members = Members::new(Limits::default(), BTreeMap::new());
    let id = Members::id_of("inc_1");
    step(
        &mut members,
        0,
        Input::Registered(SessionId(1), register(1)),
    );
    let out = step(&mut members, 100, Input::Closed(SessionId(1)));
    assert_eq!(out, [Effect::Suspected(id.clone())]);
    assert_eq!(step(&mut members, 3_000, Input::Tick), []);
    step(
        &mut members,
        3_050,
        Input::Registered(SessionId(2), register(1)),
    );
    assert_eq!(step(&mut members, 3_200, Input::Tick), []);
    step(&mut members, 3_300, Input::Closed(SessionId(2)));
    let out = step(&mut members, 6_300, Input::Tick);
    assert_eq!(out, [Effect::Lost(id, None)]);
}

#[test]
fn a_silent_executor_is_suspect_first_and_lost_when_its_lease_ends() {
    let mut members = Members::new(Limits::default(), BTreeMap::new());
    let id = Members::id_of("inc_1");
    step(
        &mut members,
        0,
        Input::Registered(SessionId(1), register(1)),
    );
    let suspected = step(&mut members, 3_000, Input::Tick);
    assert_eq!(suspected, [Effect::Suspected(id.clone())]);
    let heard = step(&mut members, 4_000, Input::Heard(SessionId(1), None));
    assert_eq!(heard, [Effect::Recovered(id.clone())]);
    step(&mut members, 7_000, Input::Tick);
    let lost = step(&mut members, 9_000, Input::Tick);
    assert_eq!(lost, [Effect::Lost(id, Some(SessionId(1)))]);
}

#[test]
fn the_end_of_a_replaced_stream_means_nothing() {
    let mut members = Members::new(Limits::default(), BTreeMap::new());
    step(
        &mut members,
        0,
        Input::Registered(SessionId(1), register(1)),
    );
    step(
        &mut members,
        10,
        Input::Registered(SessionId(2), register(1)),
    );
    assert_eq!(step(&mut members, 20, Input::Closed(SessionId(1))), []);
    let id = Members::id_of("inc_1");
    assert_eq!(members.get(&id).unwrap().state, ExecutorState::Alive);
}

#[test]
fn an_executor_remembers_that_it_drains_and_the_word_of_a_person_to_this_master_counts() {
    let mut members = Members::new(Limits::default(), BTreeMap::new());
    let id = Members::id_of("inc_1");
    let says = |session, draining| {
        let register = Register {
            draining,
            ..register(1)
        };
        Input::Registered(SessionId(session), register)
    };
    let connected = |out: &[Effect]| matches!(out, [Effect::Connected { .. }]);
    // A master that was started since learns it.
    assert!(connected(&step(&mut members, 0, says(1, true))));
    assert!(members.get(&id).unwrap().is_draining());
    let sent = step(&mut members, 1, Input::Drain(id.clone(), false));
    assert_eq!(sent, [Effect::Drain(id.clone(), false)]);
    assert!(!members.get(&id).unwrap().is_draining());
    // The word was lost with the stream.
    let out = step(&mut members, 2, says(2, true));
    assert_eq!(out[1..], [Effect::Drain(id.clone(), false)]);
    assert!(!members.get(&id).unwrap().is_draining());
    assert!(
        connected(&step(&mut members, 3, says(3, false))),
        "it knows"
    );
    assert_eq!(
        step(&mut members, 4, Input::Drain(Members::id_of("inc_2"), true)),
        []
    );
}

#[test]
fn what_was_said_to_a_master_before_counts_where_the_executor_does_not_know() {
    let said = |id: &str, drains| (Members::id_of(id), drains);
    let record = [said("inc_1", true), said("inc_2", false)];
    let mut members = Members::new(Limits::default(), record.into());
    for (session, draining) in [(1, false), (2, true)] {
        let register = Register {
            draining,
            ..register(session)
        };
        let registered = Input::Registered(SessionId(session.into()), register);
        let out = step(&mut members, 0, registered);
        let id = Members::id_of(&format!("inc_{session}"));
        assert_eq!(out[1..], [Effect::Drain(id.clone(), !draining)]);
        assert_eq!(members.get(&id).unwrap().is_draining(), !draining);
    }
}

#[test]
fn a_leaving_executor_is_gone_when_its_stream_ends() {
    let mut members = Members::new(Limits::default(), BTreeMap::new());
    let id = Members::id_of("inc_1");
    step(
        &mut members,
        0,
        Input::Registered(SessionId(1), register(1)),
    );
    let leaving = step(
        &mut members,
        1,
        Input::Leaving(SessionId(1), Millis(10_000)),
    );
    assert_eq!(leaving, [Effect::Leaving(id.clone())]);
    let at = members.get(&id).unwrap().drains_at;
    assert_eq!(at, Some(Millis(7_001)), "3 s before it ends");
    let left = step(&mut members, 2, Input::Closed(SessionId(1)));
    assert_eq!(left, [Effect::Left(id.clone())]);
    let state = members
        .get(&id)
        .unwrap()
        .status(Millis(3), Millis(3), 0)
        .state();
    assert_eq!(state, ExecutorState::Left, "and is not called lost");
}

fn input() -> impl Strategy<Value = (u64, u8, u8)> {
    (0u64..2_500, 0u8..6, 0u8..4)
}

proptest! {
    /// Whatever happens: a member that is alive was heard within its lease, one is lost once
    /// for each time it came, and sessions point only to members that have them.
    #[test]
    fn leases_hold_under_any_interleaving(steps in prop::collection::vec(input(), 1..200)) {
        let mut members = Members::new(Limits::default(), BTreeMap::new());
        let (mut now, mut next, mut lost) = (0, 0, BTreeMap::<ExecutorId, bool>::new());
        for (wait, kind, who) in steps {
            now += wait;
            let mut out = step(&mut members, now, Input::Tick);
            let session = members.by_id.get(&Members::id_of(&format!("inc_{who}")))
                .and_then(|m| m.session).unwrap_or(SessionId(u64::MAX));
            out.extend(step(&mut members, now, match kind {
                0 => { next += 1; Input::Registered(SessionId(next), register(who)) }
                1 | 2 => Input::Heard(session, Some(Beat::default())),
                3 => Input::Leaving(session, Millis(10_000)),
                4 => Input::Drain(Members::id_of(&format!("inc_{who}")), now % 2 == 0),
                _ => Input::Closed(session),
            }));
            for change in out {
                match change {
                    Effect::Connected { id, .. } => { lost.insert(id, false); }
                    Effect::Lost(id, _) | Effect::Left(id) => prop_assert_eq!(lost.insert(id, true), Some(false)),
                    Effect::Suspected(id) | Effect::Recovered(id) | Effect::Leaving(id) =>
                        prop_assert_eq!(lost.get(&id), Some(&false)),
                    Effect::Drain(id, _) => prop_assert!(lost.contains_key(&id)),
                }
            }
            for member in members.all().filter(|m| m.state == ExecutorState::Alive) {
                prop_assert!(now - member.heard.0 < 3_000);
                prop_assert!(member.session.is_some());
            }
            for (session, id) in &members.by_session {
                prop_assert_eq!(members.by_id[id].session, Some(*session));
            }
        }
    }
}
