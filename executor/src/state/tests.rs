use std::borrow::Cow;

use kol_common::event::Event;
use kol_common::job::{Counters, Profile, ScoringSpec};
use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// An hour border far from 1970.
const T0: u64 = 485_000 * HOUR;

fn state(counters: Counters) -> State {
    let spec = ScoringSpec::defaults(Profile::Default, counters);
    State::new(Arc::new(Scoring::new(&spec)))
}

fn video<'a>(kol: &'a str, id: &'a str, likes: u64) -> Event<'a> {
    Event {
        platform: Cow::Borrowed("tiktok"),
        kol: Cow::Borrowed(kol),
        video_id: Some(Cow::Borrowed(id)),
        event_time: None,
        time_unreadable: false,
        published: None,
        likes: Some(likes),
        comments: None,
        shares: None,
        views: Some(9),
        followers: None,
    }
}

fn put(state: &State, kol: KolIndex) -> kol_common::scoring::Slot {
    state.share(kol).unwrap()
}

#[test]
fn the_gain_of_two_readings_counts_and_lifetime_totals_do_not() {
    let mut s = state(Counters::Cumulative);
    s.apply(&video("a", "v", 1_000), Millis(T0));
    assert_eq!(put(&s, 0).engagement_e6, 0.0);
    s.apply(&video("a", "v", 1_050), Millis(T0 + 2 * HOUR));
    let slot = put(&s, 0);
    assert_eq!(slot.engagement_e6, 50e6);
    assert_eq!(slot.events, 2);
}

#[test]
fn a_repeated_reading_has_no_effect_and_an_older_one_counts_as_an_event_only() {
    let mut s = state(Counters::Cumulative);
    s.apply(&video("a", "v", 1_000), Millis(T0 + 2 * HOUR));
    s.apply(&video("a", "v", 7_000), Millis(T0 + 2 * HOUR));
    assert_eq!(put(&s, 0).events, 1);
    s.apply(&video("a", "v", 500), Millis(T0 + HOUR));
    let slot = put(&s, 0);
    assert_eq!((slot.events, slot.engagement_e6), (2, 0.0));
}

#[test]
fn a_missing_counter_keeps_its_last_value_and_a_fall_is_no_loss() {
    let mut s = state(Counters::Cumulative);
    s.apply(&video("a", "v", 1_000), Millis(T0));
    let mut missing = video("a", "v", 0);
    missing.likes = None;
    s.apply(&missing, Millis(T0 + 60_000));
    s.apply(&video("a", "v", 900), Millis(T0 + 120_000));
    s.apply(&video("a", "v", 1_010), Millis(T0 + 180_000));
    assert_eq!(put(&s, 0).engagement_e6, 110e6);
}

#[test]
fn a_counter_that_is_hidden_for_a_day_gains_what_it_grew_and_not_all_of_it() {
    let mut s = state(Counters::Cumulative);
    for (hour, likes) in [50_000, 0, 50_010].into_iter().enumerate() {
        s.apply(&video("a", "v", likes), Millis(T0 + hour as u64 * HOUR));
    }
    let slot = put(&s, 0);
    assert_eq!((slot.events, slot.engagement_e6), (3, 10e6));
    // A baseline after a long gap forgets that a value was not believed.
    let mut s = state(Counters::Cumulative);
    s.apply(&video("a", "v", 50_000), Millis(T0));
    s.apply(&video("a", "v", 0), Millis(T0 + HOUR));
    s.apply(&video("a", "v", 1_000), Millis(T0 + 40 * DAY));
    s.apply(&video("a", "v", 400), Millis(T0 + 40 * DAY + HOUR));
    s.apply(&video("a", "v", 1_001), Millis(T0 + 40 * DAY + 2 * HOUR));
    assert_eq!(put(&s, 0).engagement_e6, 1e6);
}

#[test]
fn a_video_made_while_its_creator_was_watched_gains_from_zero() {
    let mut s = state(Counters::Cumulative);
    s.apply(&video("a", "old", 1), Millis(T0));
    let mut new = video("a", "new", 40);
    new.published = Some(Millis(T0 + HOUR));
    s.apply(&new, Millis(T0 + 2 * HOUR));
    assert_eq!(put(&s, 0).engagement_e6, 40e6);
    let mut before = video("a", "before", 40);
    before.published = Some(Millis(T0 - 1));
    s.apply(&before, Millis(T0 + 2 * HOUR));
    assert_eq!(
        put(&s, 0).engagement_e6,
        40e6,
        "published before the first event"
    );
}

#[test]
fn a_late_event_has_no_effect_and_the_clock_decides_record_by_record() {
    let mut s = state(Counters::Delta);
    let minute = 60_000;
    assert_eq!(s.apply(&video("a", "v", 1), Millis(T0)), Applied::Counted);
    s.apply(&video("a", "v", 1), Millis(T0 + 6 * minute));
    assert_eq!(s.apply(&video("b", "v", 1), Millis(T0)), Applied::Late);
    assert_eq!(
        s.apply(&video("b", "v", 1), Millis(T0 + minute)),
        Applied::Counted
    );
    assert_eq!(s.size().0, 2);
}

#[test]
fn a_quiet_slot_becomes_empty_at_a_fixed_window_end_and_then_retires() {
    let mut s = state(Counters::Cumulative);
    s.apply(&video("a", "v", 1), Millis(T0));
    assert_eq!(s.phase(0), Some(Phase::Live));
    let empty_from = T0 / HOUR + 1 + 48;
    // Two windows after the pane of its event it is empty, whenever that is noticed.
    s.raise_clock(Millis(T0 + 2 * DAY + 5 * HOUR));
    assert_eq!(s.phase(0), Some(Phase::Empty { since: empty_from }));
    let slot = put(&s, 0);
    assert_eq!((slot.window_end, slot.events), (empty_from, 0));
    s.raise_clock(Millis(T0 + 3 * DAY));
    assert_eq!(s.phase(0), Some(Phase::Retired));
    assert_eq!(s.share(0), None);
}

#[test]
fn a_creator_who_returns_after_retirement_has_its_baseline_again() {
    let mut s = state(Counters::Cumulative);
    for day in 0..6 {
        s.apply(&video("a", "v", 1_440 * day), Millis(T0 + day * DAY));
    }
    s.apply(&video("b", "v", 1), Millis(T0 + 10 * DAY));
    assert_eq!(s.share(0), None, "retired");
    s.apply(&video("a", "w", 1), Millis(T0 + 10 * DAY));
    let slot = put(&s, 0);
    assert!(slot.baseline_engagement_e6 > 0.0);
    assert_eq!(slot.first_pane, T0 / HOUR);
}

#[test]
fn sweeping_or_not_gives_the_same_result() {
    let run = |sweep: bool| {
        let mut s = state(Counters::Cumulative);
        s.apply(&video("a", "v", 100), Millis(T0));
        s.apply(&video("a", "w", 5), Millis(T0 + DAY));
        s.apply(&video("b", "v", 100), Millis(T0 + 50 * DAY));
        if sweep {
            s.refresh_market();
            while s.take_changed(Consumer::Delivery).is_some() {}
            s.sweep(1_000, |_| true);
            assert_eq!((s.size().0, s.size().1), (1, 1));
        }
        let mut new = video("a", "v", 160);
        new.published = Some(Millis(T0 + 49 * DAY));
        s.apply(&new, Millis(T0 + 50 * DAY));
        s.apply(&video("a", "v", 170), Millis(T0 + 50 * DAY + 1));
        let kol = s.kols.find("tiktok", "a").unwrap();
        put(&s, kol)
    };
    assert_eq!(run(true), run(false));
    assert_eq!(run(true).engagement_e6, 10e6);
}

#[test]
fn the_market_sums_follow_every_change() {
    let mut s = state(Counters::Cumulative);
    s.apply(&video("a", "v", 0), Millis(T0));
    s.apply(&video("a", "v", 1_440), Millis(T0 + HOUR));
    s.apply(&video("b", "v", 0), Millis(T0 + 3 * HOUR));
    s.refresh_market();
    assert_eq!(s.market().0, s.window_end());
    // At T−2 panes: a gained 1,440 in 24 h, which is velocity 1; b's event is too new.
    assert_eq!(s.market().1[0].slots, 1);
    assert_eq!(s.market().1[0].velocity_e4, 10_000);
    s.apply(&video("a", "w", 0), Millis(T0 + HOUR));
    s.apply(&video("a", "w", 1_440), Millis(T0 + HOUR + 1));
    assert_eq!(s.market().1[0].velocity_e4, 10_000, "not refreshed yet");
    s.refresh_market();
    assert_eq!(s.market().1[0].velocity_e4, 20_000);
    s.raise_clock(Millis(T0 + 4 * HOUR));
    s.refresh_market();
    assert_eq!(s.market().1[0].slots, 1);
    s.raise_clock(Millis(T0 + 5 * HOUR));
    s.refresh_market();
    assert_eq!(
        s.market().1[0].slots,
        2,
        "b's event has come into the market's window"
    );
}

/// An event of one of a few creators and videos, some of them late, some of a platform of its own.
fn any_event() -> impl Strategy<Value = (u64, u64, u64)> {
    let step = prop_oneof![8 => 0..20 * 60_000_u64, 1 => 0..2 * DAY, 1 => Just(20 * DAY)];
    (any::<u64>(), step, 0..8 * HOUR)
}

/// Takes events, as many at a time as `together` says in turn.
fn take_all(s: &mut State, events: &[(u64, u64, u64)], together: &[usize]) -> Vec<Applied> {
    let (mut time, mut outcomes, mut left) = (T0, Vec::new(), events);
    for size in together.iter().cycle() {
        let (now, later) = left.split_at((*size).min(left.len()));
        let mut batch = s.batch();
        for &(seed, step, late) in now {
            time += step;
            let (kol, id) = (format!("kol_{}", seed % 11), seed / 11 % 17);
            let id = match id % 3 {
                0 => id.to_string(),
                1 => format!("short_{id}"),
                _ => format!("an id that is longer than the others {id}"),
            };
            let mut event = video(&kol, &id, seed / 1_000 % 100_000);
            if seed % 7 == 0 {
                event.platform = "youtube".into();
            }
            if seed % 5 == 0 {
                (event.video_id, event.followers) = (None, event.likes);
            }
            event.published = Some(Millis(time - late));
            let late = if seed % 4 == 0 { late } else { 0 };
            outcomes.push(batch.take(&event, Millis(time - late)));
        }
        drop(batch);
        left = later;
        if left.is_empty() {
            return outcomes;
        }
    }
    outcomes
}

/// Everything that a file has of a state.
fn whole(s: &mut State) -> Vec<u8> {
    s.begin_capture(Capture::Savepoint);
    while s.capture_some(100) {}
    s.keep_capture();
    s.take_copies()
}

proptest! {
    #[test]
    fn events_that_are_taken_together_have_the_effect_of_each_alone(
        events in prop::collection::vec(any_event(), 1..400),
        together in prop::collection::vec(1..200_usize, 1..6),
        is_cumulative in any::<bool>(),
    ) {
        let counters = if is_cumulative { Counters::Cumulative } else { Counters::Delta };
        let (mut one, mut many) = (state(counters), state(counters));
        let alone = take_all(&mut one, &events, &[1]);
        prop_assert_eq!(take_all(&mut many, &events, &together), alone);
        prop_assert_eq!(whole(&mut many), whole(&mut one));
        for consumer in [Consumer::Market, Consumer::Delivery] {
            let line = |s: &mut State| {
                std::iter::from_fn(|| s.take_changed(consumer)).collect::<Vec<_>>()
            };
            prop_assert_eq!(line(&mut many), line(&mut one));
        }
    }

    #[test]
    fn the_market_sums_are_what_adding_up_all_slots_gives(
        events in prop::collection::vec((any_event(), any::<bool>()), 1..200),
        is_cumulative in any::<bool>(),
    ) {
        let counters = if is_cumulative { Counters::Cumulative } else { Counters::Delta };
        let mut s = state(counters);
        for piece in events.chunk_by(|(_, refreshes), _| !refreshes) {
            let piece: Vec<_> = piece.iter().map(|(event, _)| *event).collect();
            take_all(&mut s, &piece, &[7]);
            s.refresh_market();
            let kept = s.market().1.to_vec();
            // As if the window end had moved.
            s.market_at = 0;
            s.refresh_market();
            prop_assert_eq!(kept, s.market().1);
        }
    }
}

#[test]
fn a_kol_is_not_forgotten_while_a_consumer_has_not_taken_it_or_its_caller_holds_it() {
    let mut s = state(Counters::Cumulative);
    s.apply(&video("a", "v", 100), Millis(T0));
    s.apply(&video("b", "v", 100), Millis(T0 + 50 * DAY));
    s.refresh_market();
    s.sweep(1_000, |_| true);
    assert_eq!(s.size().0, 2, "delivery has not taken it");
    while s.take_changed(Consumer::Delivery).is_some() {}
    s.sweep(1_000, |_| false);
    assert_eq!(s.size().0, 2, "the caller holds it");
    s.put_back(Consumer::Delivery, 0);
    s.sweep(1_000, |_| true);
    assert_eq!(s.size().0, 2, "it waits again");
    assert_eq!(s.take_changed(Consumer::Delivery), Some(0));
    s.sweep(1_000, |_| true);
    assert_eq!(s.size().0, 1);
    assert_eq!(s.name(0), None);
}

#[test]
fn a_creator_and_a_video_take_what_cluster_plans_count_for_them() {
    use kol_common::sizing::{CREATOR_BYTES, VIDEO_BYTES};
    // So many videos of each, and all of them so often, every hour.
    let bytes = |kols: u64, videos: u64, times: u64| {
        let mut s = state(Counters::Cumulative);
        for n in 0..kols * videos * times {
            let (kol, entity, time) = (n % kols, n % (kols * videos), n / (kols * videos));
            let id = 7_518_376_794_681_000_000 + entity;
            let (kol, id) = (format!("creator_{kol}"), id.to_string());
            let event = video(&kol, &id, 1_000 + time * 100);
            s.apply(&event, Millis(T0 + time * HOUR + n % kols));
        }
        let (known, entities, bytes) = s.size();
        assert_eq!((known as u64, entities as u64), (kols, kols * videos));
        bytes as u64 / kols
    };
    let new = bytes(24_000, 1, 1);
    let of_video = (bytes(24_000, 20, 1) - new) / 19;
    let of_new = new - of_video;
    let of_creator = bytes(6_000, 1, 50) - of_video;
    // Tables grow by doubling: what is counted must not be far from any of their sizes.
    let is_near = |counted: u64, is: u64| (is * 7 / 10..=is * 3 / 2).contains(&counted);
    assert!(of_video <= 64, "{of_video} bytes a video");
    assert!(is_near(VIDEO_BYTES, of_video), "{of_video} bytes a video");
    assert!(of_new <= 200, "{of_new} bytes a creator with one event");
    let shown = format!("{of_creator} bytes a creator with two windows of events");
    assert!(is_near(CREATOR_BYTES, of_creator), "{shown}");
}
