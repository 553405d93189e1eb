use kol_common::Millis;
use kol_common::proto::JobTick;
use redis::Arg;

use super::*;
use crate::partition::delivery::encode::Encoder;
use crate::partition::delivery::outcome::Scope;
use crate::partition::testing::event;

const T0: Millis = Millis(485_000 * 3_600_000);

#[test]
fn a_member_of_a_ranking_that_nobody_sent_is_taken_out_after_more_than_a_round_and_counted() {
    let assignment = Arc::new(Assignment::with_source(""));
    let begun = Instant::now();
    let mut state = State::new(Arc::clone(&assignment.scoring));
    state.apply(&event("ann"), T0);
    let encoder = Encoder::new(&assignment.spec.sink, &assignment.spec.scoring, 0);
    let mut fill = Fill::new(encoder, Duration::ZERO, begun);
    let fence = Fence {
        key: "fence".into(),
        generation: 1,
        assignment_epoch: 1,
    };
    let tick = JobTick::default();
    let scoring = Arc::clone(&assignment.scoring);
    let mut calls = Calls {
        job: "x",
        scoring: &scoring,
        fence: &fence,
        tick: &tick,
        sequence: 1,
        now: "now",
        merges: Vec::new(),
        clock: None,
        alerts: Vec::new(),
    };
    fill.collect(begun, &mut state, Scope::Everything, 100, &mut calls);
    assert_eq!(fill.confirm(), 1, "Redis has it");
    calls.merges.clear();

    let mut upkeep = Upkeep::new(assignment, begun);
    let strange = ["ann", "stranger"].map(str::to_owned).to_vec();
    let found = Compared {
        pieces: vec![Present {
            strange: Some(strange),
            ..Present::default()
        }],
        ..Compared::default()
    };
    let mut found_at = None;
    for second in 1..90 {
        let now = begun + Duration::from_secs(second);
        let compares = upkeep.compare(now, 1, &state, &fill, (&fence, 0));
        assert_eq!(compares.len(), 1, "{second} s");
        upkeep.compared(now, &mut state, &mut fill, &fence, Some(&found));
        if upkeep.has_orphans() && found_at.is_none() {
            found_at = Some(second);
            assert_eq!(upkeep.repaired(), 1);
            upkeep.remove(&state, &mut fill, &mut calls);
            assert!(!upkeep.has_orphans());
        }
    }
    assert_eq!(found_at, Some(76), "it might have been another partition's");
    let [merge] = calls.merges.as_slice() else {
        panic!("{} merges", calls.merges.len());
    };
    assert_eq!(
        merge.args_iter().last(),
        Some(Arg::Simple(&b"stranger"[..]))
    );
}

#[test]
fn hashes_that_nothing_names_are_removed_by_a_flush_and_counted() {
    let assignment = Arc::new(Assignment::with_source(""));
    let now = Instant::now();
    let state = State::new(Arc::clone(&assignment.scoring));
    let encoder = Encoder::new(&assignment.spec.sink, &assignment.spec.scoring, 0);
    let mut fill = Fill::new(encoder, Duration::ZERO, now);
    let fence = Fence {
        key: "fence".into(),
        generation: 7,
        assignment_epoch: 1,
    };
    let scoring = Arc::clone(&assignment.scoring);
    let mut upkeep = Upkeep::new(assignment, now);
    let sweep_listings = |upkeep: &mut Upkeep, fill: &mut Fill| {
        assert!(upkeep.look_for_hashes(now, &fence).is_none(), "later");
        let mut state = State::new(Arc::clone(&scoring));
        while upkeep.scan(now + RECHECK, Vec::new).is_some() {
            upkeep.scanned(now, &mut state, fill, Some(&Scanned::default()));
        }
        upkeep.look_for_hashes(now + RECHECK, &fence).unwrap()
    };
    let request = sweep_listings(&mut upkeep, &mut fill);
    assert_eq!((request.fence.as_str(), request.generation), ("fence", 7));
    let found = Hashes {
        lone: vec![("tiktok".into(), "left".into())],
        ..Hashes::default()
    };
    upkeep.hashes_read(now, &state, Some(&found));
    assert_eq!((upkeep.repaired(), upkeep.has_orphans()), (1, true));
    for answered in [false, true] {
        let mut calls = Calls {
            job: "x",
            scoring: &scoring,
            fence: &fence,
            tick: &JobTick::default(),
            sequence: 1,
            now: "now",
            merges: Vec::new(),
            clock: None,
            alerts: Vec::new(),
        };
        upkeep.remove(&state, &mut fill, &mut calls);
        let [call] = calls.merges.as_slice() else {
            panic!("{} calls", calls.merges.len());
        };
        let words: Vec<_> = call.args_iter().collect();
        let hash = crate::sink::script::FORGET.get_hash();
        assert_eq!(words[1], Arg::Simple(hash.as_bytes()));
        assert_eq!(words.last(), Some(&Arg::Simple(&b"left"[..])));
        let flushed = Flushed::default();
        upkeep.flushed(now, &state, &fill, answered.then_some(&flushed));
    }
    assert!(!upkeep.has_orphans());
    upkeep.sweep_again(now);
    sweep_listings(&mut upkeep, &mut fill);
}
