use super::*;
use kol_common::KolError;

const MS: Duration = Duration::from_millis(1);

fn flusher(now: Instant) -> Flusher {
    let limits = FlushLimits { interval: 100 * MS };
    Flusher::new(limits, now)
}

/// Of a record that is new.
fn claimed() -> Claimed {
    Claimed {
        begun: 0,
        done: 0,
        shown: None,
        last: String::new(),
        raised: false,
        platforms: Vec::new(),
        refused: Vec::new(),
    }
}

fn held(now: Instant, shown: Option<(u64, u64)>) -> Flusher {
    let mut f = flusher(now);
    assert!(f.begin_claim(now));
    let claimed = Claimed {
        begun: 7,
        shown,
        ..claimed()
    };
    assert_eq!(f.claimed(now, &Ok(claimed)), Next::Continue);
    f
}

fn at(position: u64) -> Confirmed {
    Confirmed {
        position,
        window_end_ms: 1,
        market_version: 1,
        sequence: 0,
    }
}

fn flushed() -> Result<Flushed, SinkError> {
    Ok(Flushed::default())
}

fn away() -> SinkError {
    KolError::external("SINK_UNREACHABLE", "away").into()
}

#[test]
fn nothing_is_sent_before_the_claim_and_before_the_recorded_place_is_reached() {
    let now = Instant::now();
    let mut f = flusher(now);
    assert_eq!(f.next_at(), None);
    assert!(f.begin_claim(now));
    assert!(!f.begin_claim(now), "one claim at a time");
    let claimed = Claimed {
        begun: 7,
        shown: Some((500, 20)),
        ..claimed()
    };
    f.claimed(now, &Ok(claimed));
    assert_eq!(f.next_at(), None);
    f.reached(499, 30);
    f.reached(500, 19);
    assert_eq!(f.next_at(), None, "both must be reached");
    f.reached(500, 20);
    assert_eq!(f.next_at(), Some(now));
    assert_eq!(
        f.begin(now, 5, None),
        8,
        "sequences continue from the record"
    );
}

#[test]
fn only_a_flush_that_took_everything_confirms() {
    let now = Instant::now();
    let mut f = held(now, None);
    f.begin(now, 5, None);
    f.flushed(now, &flushed());
    assert_eq!(f.confirmed(), None);
    f.begin(now, 5, Some(at(42)));
    assert_eq!(f.confirmed(), None, "not before Redis answered");
    f.flushed(now, &flushed());
    assert_eq!(
        f.confirmed().map(|c| (c.position, c.sequence)),
        Some((42, 9))
    );
}

#[test]
fn flushes_begin_at_their_interval_and_at_once_where_redis_took_longer() {
    let now = Instant::now();
    let mut f = held(now, None);
    f.begin(now, 5, None);
    f.flushed(now + 10 * MS, &flushed());
    assert_eq!(f.next_at(), Some(now + 100 * MS));
    f.begin(now, 5, None);
    f.flushed(now + 800 * MS, &flushed());
    assert_eq!(f.next_at(), Some(now + 100 * MS));
}

#[test]
fn what_a_flush_could_not_take_follows_at_once() {
    let now = Instant::now();
    let mut f = held(now, None);
    f.begin(now, 5, None);
    f.flushed(now + 10 * MS, &flushed());
    f.continue_at_once(now + 10 * MS);
    assert_eq!(f.next_at(), Some(now + 10 * MS));
}

#[test]
fn a_flush_arrives_with_its_answer_whether_or_not_it_took_everything() {
    let now = Instant::now();
    let mut f = held(now, None);
    f.begin(now, 42, None);
    assert_eq!(f.arrived(), None, "not before Redis answered");
    f.flushed(now, &Err(away()));
    assert_eq!(f.arrived(), None);
    f.begin(now, 43, None);
    f.flushed(now, &flushed());
    assert_eq!((f.arrived(), f.confirmed()), (Some(43), None));
    f.nothing_to_send(50, None);
    assert_eq!((f.arrived(), f.confirmed()), (Some(50), None));
    f.begin(now, 60, None);
    f.release();
    f.flushed(now, &flushed());
    assert_eq!(f.arrived(), None, "of another log");
}

#[test]
fn a_failed_flush_is_sent_again_under_a_new_sequence_after_a_growing_wait() {
    let now = Instant::now();
    let mut f = held(now, None);
    let first = f.begin(now, 5, Some(at(1)));
    assert_eq!(f.flushed(now, &Err(away())), Next::SendAgain);
    // Between half of the wait and all of it.
    let waits = |f: &Flusher, most: u32| {
        let wait = f.next_at().unwrap() - now;
        assert!(
            wait >= most * MS / 2 && wait <= most * MS,
            "{wait:?} {most}"
        );
    };
    waits(&f, 50);
    assert_eq!(f.confirmed(), None);
    assert_eq!(f.begin(now, 5, None), first + 1);
    f.flushed(now, &Err(away()));
    waits(&f, 100);
    for _ in 0..20 {
        f.begin(now, 5, None);
        f.flushed(now, &Err(away()));
    }
    waits(&f, 2_000);
}

#[test]
fn a_lost_fence_is_claimed_again_without_holding_and_everything_is_sent_again() {
    let now = Instant::now();
    let mut f = held(now, None);
    f.begin(now, 5, Some(at(9)));
    f.flushed(now, &flushed());
    let later = now + 2_000 * MS;
    assert!(f.begin_look(later));
    assert_eq!(
        f.looked(later, &Ok(7)),
        Next::SendEverything,
        "restored from an old dump"
    );
    assert_eq!(f.confirmed(), None);
    assert_eq!(f.next_at(), None);
    assert!(f.begin_claim(later));
    let old = Claimed {
        begun: 3,
        done: 3,
        shown: Some((10_000, 99)),
        ..claimed()
    };
    f.claimed(later, &Ok(old));
    assert_eq!(f.holding(), None);
    assert!(f.begin(later, 5, None) > 8, "sequences never go back");
}

#[test]
fn a_newer_owner_stops_this_one_whatever_it_was_doing() {
    let now = Instant::now();
    let mut f = flusher(now);
    f.begin_claim(now);
    assert_eq!(f.claimed(now, &Err(SinkError::Fenced)), Next::Stop);
    let mut f = held(now, None);
    f.begin(now, 5, None);
    assert_eq!(f.flushed(now, &Err(SinkError::Fenced)), Next::Stop);
    let mut f = held(now, None);
    assert_eq!(f.looked(now, &Err(SinkError::Fenced)), Next::Stop);
}

#[test]
fn a_look_that_fails_changes_nothing() {
    let now = Instant::now();
    let mut f = held(now, None);
    assert_eq!(f.looked(now, &Err(away())), Next::Continue);
    assert!(f.next_at().is_some());
}

#[test]
fn a_record_that_knows_less_than_the_checkpoint_makes_everything_be_sent_again() {
    let now = Instant::now();
    let claim = |known: u64, raised: bool| {
        let mut f = flusher(now);
        f.restored(9);
        assert!(f.begin_claim(now));
        let claimed = Claimed {
            begun: known,
            done: known,
            raised,
            ..claimed()
        };
        (f.claimed(now, &Ok(claimed)), f.next_sequence())
    };
    assert_eq!(claim(9, false), (Next::Continue, 10));
    assert_eq!(claim(12, false), (Next::Continue, 13));
    let old = claim(8, false);
    assert_eq!(old, (Next::SendEverything, 10), "an older backup");
    assert_eq!(claim(0, false), (Next::SendEverything, 10), "emptied");
    let raised = claim(0, true);
    assert_eq!(raised, (Next::BeginGeneration, 10), "nothing was lost");
}
