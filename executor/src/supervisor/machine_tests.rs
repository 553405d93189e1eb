use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn key(n: u32) -> Key {
    (JobId::from_wire("job_1"), SourcePartition::new("t", n))
}

fn assign(n: u32, assignment_epoch: u64) -> Event {
    Event::Assign {
        key: key(n),
        assignment_epoch,
        generation: 1,
    }
}

fn revoke(n: u32, assignment_epoch: u64, drain: bool) -> Event {
    Event::Revoke {
        key: key(n),
        assignment_epoch,
        drain,
    }
}

fn ended(n: u32) -> Event {
    Event::Ended {
        key: key(n),
        how: Ended::Released {
            position: 5,
            drained: true,
            stopped: Instant::now(),
        },
        now: Instant::now(),
    }
}

fn run(machine: &mut Machine, event: Event) -> Vec<Effect> {
    let mut out = Vec::new();
    machine.handle(event, &mut out);
    out
}

#[test]
fn an_assignment_that_is_repeated_starts_nothing() {
    let mut m = Machine::default();
    assert_eq!(run(&mut m, assign(0, 3)), vec![Effect::Start(key(0), 3)]);
    assert_eq!(run(&mut m, assign(0, 3)), vec![]);
    assert_eq!(run(&mut m, assign(0, 2)), vec![], "a delayed message");
}

#[test]
fn a_newer_assignment_replaces_the_running_one_after_it_has_ended() {
    let mut m = Machine::default();
    run(&mut m, assign(0, 3));
    assert_eq!(run(&mut m, assign(0, 4)), vec![Effect::StopNow(key(0))]);
    let out = run(&mut m, ended(0));
    assert!(matches!(&out[0], Effect::Send(Body::Released(r)) if r.assignment_epoch == 3));
    assert_eq!(out[1], Effect::Start(key(0), 4));
}

#[test]
fn a_revocation_of_something_that_does_not_run_is_answered() {
    let mut m = Machine::default();
    let out = run(&mut m, revoke(0, 3, true));
    assert!(matches!(&out[0], Effect::Send(Body::Released(r)) if r.assignment_epoch == 3));
}

#[test]
fn nothing_is_started_after_the_order_to_leave() {
    let mut m = Machine::default();
    run(&mut m, Event::Leave);
    let out = run(&mut m, assign(0, 1));
    assert!(matches!(&out[0], Effect::Send(Body::Released(_))));
    assert!(m.is_idle());
}

#[test]
fn a_state_is_read_ahead_only_of_what_does_not_run_and_not_after_the_order_to_leave() {
    let mut m = Machine::default();
    let prepare = |m: &mut Machine, n| run(m, Event::Prepare(key(n)));
    assert_eq!(prepare(&mut m, 0), vec![Effect::Prepare(key(0))]);
    assert_eq!(prepare(&mut m, 0), vec![Effect::Prepare(key(0))], "newer");
    assert!(m.is_idle() && m.serves(&key(0).0) && m.running().is_empty());
    // The assignment takes it over: there is nothing to discard any more.
    assert_eq!(run(&mut m, assign(0, 3)), vec![Effect::Start(key(0), 3)]);
    assert_eq!(run(&mut m, Event::Discard(key(0))), vec![]);
    assert_eq!(prepare(&mut m, 0), vec![], "it runs");
    prepare(&mut m, 1);
    assert_eq!(
        run(&mut m, Event::Leave),
        vec![Effect::Discard(key(1))],
        "nobody gets it here"
    );
    assert_eq!(prepare(&mut m, 2), vec![]);
}

#[test]
fn what_was_read_ahead_is_dropped_when_the_master_says_so_and_with_a_new_session() {
    let mut m = Machine::default();
    for n in 0..3 {
        run(&mut m, Event::Prepare(key(n)));
    }
    assert_eq!(
        run(&mut m, Event::Discard(key(1))),
        vec![Effect::Discard(key(1))]
    );
    assert_eq!(run(&mut m, Event::Discard(key(1))), vec![], "once");
    assert_eq!(
        run(&mut m, Event::Connected),
        vec![Effect::Discard(key(0)), Effect::Discard(key(2))]
    );
    assert!(!m.serves(&key(0).0));
    run(&mut m, assign(0, 1));
    assert_eq!(run(&mut m, Event::Connected), vec![], "what runs continues");
}

proptest! {
    /// Whatever order messages come in, a partition runs at most once at a time, never under an
    /// assignment epoch older than one it ran under before, and every end is reported.
    #[test]
    fn a_partition_never_runs_twice_and_never_under_an_older_epoch(
        steps in prop::collection::vec((0u32..3, 0u64..6, 0u8..7), 1..200)
    ) {
        let mut m = Machine::default();
        let mut alive: BTreeMap<Key, u64> = BTreeMap::new();
        let mut ahead: BTreeSet<Key> = BTreeSet::new();
        for (n, epoch, what) in steps {
            let event = match what {
                0 | 1 => assign(n, epoch),
                2 => revoke(n, epoch, epoch % 2 == 0),
                3 => Event::Prepare(key(n)),
                4 => Event::Discard(key(n)),
                5 if epoch == 0 => Event::Connected,
                _ if alive.contains_key(&key(n)) => ended(n),
                _ => continue,
            };
            let is_end = matches!(event, Event::Ended { .. });
            let before = alive.get(&key(n)).copied();
            if is_end {
                alive.remove(&key(n));
            }
            for effect in run(&mut m, event) {
                match effect {
                    Effect::Start(k, e) => {
                        prop_assert!(!alive.contains_key(&k), "runs twice");
                        if is_end {
                            prop_assert!(Some(e) > before);
                        }
                        ahead.remove(&k);
                        alive.insert(k, e);
                    }
                    Effect::Prepare(k) => {
                        prop_assert!(!alive.contains_key(&k), "it runs");
                        ahead.insert(k);
                    }
                    Effect::Discard(k) => prop_assert!(ahead.remove(&k), "nothing was read"),
                    Effect::Drain(k) | Effect::StopNow(k) => {
                        prop_assert!(alive.contains_key(&k));
                    }
                    Effect::Send(Body::Released(r)) if is_end => {
                        prop_assert_eq!(Some(r.assignment_epoch), before);
                    }
                    Effect::Send(_) => {}
                }
            }
            let reported: Vec<_> = m.running().into_iter().map(|r| r.assignment_epoch).collect();
            let really: Vec<_> = alive.values().copied().collect();
            prop_assert_eq!(reported, really);
            prop_assert_eq!(m.serves(&key(0).0), !(alive.is_empty() && ahead.is_empty()));
        }
    }
}
