use std::sync::Arc;

use kol_common::Millis;
use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::scoring::Scoring;

use super::*;
use crate::partition::testing::event;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// An hour border far from 1970.
const T0: u64 = 485_000 * HOUR;

fn state() -> State {
    let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
    State::new(Arc::new(Scoring::new(&spec)))
}

fn apply(state: &mut State, kol: &str, time: u64) {
    state.apply(&event(kol), Millis(time));
}

fn sends(ledger: &mut Ledger, state: &State, kol: KolIndex, market_version: u64) -> Outgoing {
    let outgoing = ledger.outgoing(state, kol).unwrap();
    ledger.sending(kol, &outgoing, market_version);
    outgoing
}

#[test]
fn a_quiet_slot_is_sent_once_as_it_became_empty_and_then_removed() {
    let (mut s, mut ledger) = (state(), Ledger::default());
    apply(&mut s, "a", T0);
    assert!(!ledger.holds(0));
    sends(&mut ledger, &s, 0, 1);
    assert!(ledger.holds(0), "it is in flight");
    assert_eq!(ledger.confirm(), 1);
    assert!(ledger.holds(0), "Redis has it");
    assert!(!ledger.is_outdated(&s, 0, 1));
    assert!(ledger.is_outdated(&s, 0, 2), "the market changed");
    // Two windows after the pane of its event it is empty, whenever that is noticed.
    s.raise_clock(Millis(T0 + 2 * DAY + 5 * HOUR));
    assert!(ledger.is_outdated(&s, 0, 1));
    let empty = sends(&mut ledger, &s, 0, 1);
    assert!(
        matches!(empty, Outgoing::Change(p) if p.window_end == T0 / HOUR + 1 + 48 && p.events == 0)
    );
    ledger.confirm();
    assert!(
        !ledger.is_outdated(&s, 0, 2),
        "an empty slot does not depend on the market"
    );
    s.raise_clock(Millis(T0 + 3 * DAY));
    assert!(ledger.is_outdated(&s, 0, 2));
    assert_eq!(sends(&mut ledger, &s, 0, 2), Outgoing::Remove);
    assert!(ledger.holds(0), "its removal is in flight");
    ledger.confirm();
    assert_eq!(ledger.outgoing(&s, 0), None);
    assert!(!ledger.holds(0));
    assert!(!ledger.is_outdated(&s, 0, 3));
}

#[test]
fn a_kol_that_redis_never_had_is_not_removed_when_it_retires() {
    let (mut s, ledger) = (state(), Ledger::default());
    apply(&mut s, "a", T0);
    apply(&mut s, "b", T0 + 10 * DAY);
    assert_eq!(ledger.outgoing(&s, 0), None);
    assert!(!ledger.is_outdated(&s, 0, 1));
}

#[test]
fn a_failed_flush_leaves_its_kols_to_be_sent_again_and_redis_may_have_them() {
    let (mut s, mut ledger) = (state(), Ledger::default());
    apply(&mut s, "a", T0);
    apply(&mut s, "b", T0);
    sends(&mut ledger, &s, 0, 1);
    sends(&mut ledger, &s, 1, 1);
    let mut again = Vec::new();
    ledger.fail(|kol| again.push(kol));
    assert_eq!(again, [0, 1]);
    assert_eq!(ledger.in_flight(), 0);
    assert!(ledger.is_outdated(&s, 0, 1));
    assert!(ledger.holds(0));
    s.raise_clock(Millis(T0 + 3 * DAY));
    assert_eq!(ledger.outgoing(&s, 0), Some(Outgoing::Remove));
}

#[test]
fn only_of_a_kol_that_redis_has_as_it_was_sent_what_did_not_change_may_be_left_out() {
    let (mut s, mut ledger) = (state(), Ledger::default());
    apply(&mut s, "a", T0);
    let whole = |ledger: &Ledger| match ledger.outgoing(&s, 0) {
        Some(Outgoing::Put(_)) => true,
        Some(Outgoing::Change(_)) => false,
        other => panic!("{other:?}"),
    };
    let sent = |ledger: &mut Ledger| {
        let outgoing = ledger.outgoing(&s, 0).unwrap();
        ledger.sending(0, &outgoing, 1);
    };
    assert!(whole(&ledger), "Redis never had it");
    sent(&mut ledger);
    assert!(whole(&ledger), "it is in flight");
    ledger.confirm();
    assert!(!whole(&ledger));
    sent(&mut ledger);
    ledger.fail(|_| {});
    assert!(whole(&ledger), "nobody knows what Redis has");
    sent(&mut ledger);
    ledger.confirm();
    ledger.lost(0);
    assert!(whole(&ledger), "Redis lost it");
    sent(&mut ledger);
    ledger.confirm();
    ledger.forget_sent();
    assert!(whole(&ledger), "Redis lost everything");
}

#[test]
fn the_slot_that_redis_has_is_known_until_an_event_or_the_window_changes_it() {
    let (mut s, mut ledger) = (state(), Ledger::default());
    let send = |s: &mut State, ledger: &mut Ledger| {
        while s.take_changed(Consumer::Delivery).is_some() {}
        sends(ledger, s, 0, 1);
        ledger.confirm();
        ledger.as_sent(s, 0)
    };
    apply(&mut s, "a", T0);
    assert_eq!(ledger.as_sent(&s, 0), None, "it was never sent");
    assert_eq!(send(&mut s, &mut ledger), s.share(0));
    // An event that changes its numbers, at the same window end.
    apply(&mut s, "a", T0 + 1);
    assert_eq!(ledger.as_sent(&s, 0), None, "it waits");
    assert_eq!(send(&mut s, &mut ledger), s.share(0));
    s.raise_clock(Millis(T0 + HOUR));
    assert_eq!(ledger.as_sent(&s, 0), None, "it is rescored soon");
    assert_eq!(send(&mut s, &mut ledger), s.share(0));
    ledger.lost(0);
    assert_eq!(ledger.as_sent(&s, 0), None);
    s.raise_clock(Millis(T0 + 3 * DAY));
    assert_eq!(ledger.as_sent(&s, 0), None, "it leaves");
}

#[test]
fn what_redis_lost_is_outdated_and_what_it_has_too_much_is_removed() {
    let (mut s, mut ledger) = (state(), Ledger::default());
    apply(&mut s, "a", T0);
    sends(&mut ledger, &s, 0, 1);
    ledger.confirm();
    ledger.forget_sent();
    assert!(ledger.is_outdated(&s, 0, 1));
    apply(&mut s, "b", T0);
    s.raise_clock(Millis(T0 + 3 * DAY));
    assert_eq!(ledger.outgoing(&s, 1), None);
    ledger.found(1);
    assert_eq!(ledger.outgoing(&s, 1), Some(Outgoing::Remove));
    assert!(ledger.holds(1));
}

#[test]
fn what_was_confirmed_before_a_restore_is_sent_again_only_when_window_or_market_moved() {
    let mut s = state();
    for kol in 0..50 {
        apply(&mut s, &format!("kol_{kol}"), T0 + kol);
    }
    apply(&mut s, "retired", T0 - 4 * DAY);
    let sent = Sent {
        window_end: s.window_end(),
        market_version: 3,
    };
    let ledger = Ledger::of_confirmed(&s, sent);
    let outdated = |version| {
        let kols = 0..s.bound() as KolIndex;
        kols.filter(|kol| ledger.is_outdated(&s, *kol, version))
            .count()
    };
    assert_eq!(outdated(3), 0);
    assert_eq!(outdated(4), 50);
    assert!(ledger.holds(0));
    assert!(!ledger.holds(50), "it was retired then");
    s.raise_clock(Millis(T0 + HOUR));
    let outdated = (0..50).filter(|kol| ledger.is_outdated(&s, *kol, 3));
    assert_eq!(outdated.count(), 50);
}
