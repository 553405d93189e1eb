//! What the profile `rising` keeps beside the panes: rates that are carried on, and rises that are not decided yet.

use std::borrow::Cow;

use kol_common::checkpoint::frame::Encoder;
use kol_common::event::Event;
use kol_common::job::{Counters, Profile, ScoringSpec};

use super::*;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
const T0: u64 = 485_000 * HOUR;

fn scoring() -> Arc<Scoring> {
    let spec = ScoringSpec::defaults(Profile::Rising, Counters::Cumulative);
    Arc::new(Scoring::new(&spec))
}

fn read(state: &mut State, likes: Option<u64>, time: u64) {
    let event = Event {
        platform: Cow::Borrowed("tiktok"),
        kol: Cow::Borrowed("a"),
        video_id: Some(Cow::Borrowed("7")),
        event_time: None,
        time_unreadable: false,
        published: None,
        likes,
        comments: None,
        shares: None,
        views: Some(9),
        followers: None,
    };
    state.apply(&event, Millis(time));
}

/// The state as its file brings it back.
fn restored(state: &mut State) -> State {
    state.begin_capture(Capture::Savepoint);
    while state.capture_some(100) {}
    state.keep_capture();
    let (mut encoder, mut file) = (Encoder::of(state.file_version()), Vec::new());
    encoder.header(&mut file);
    encoder.frame(&state.take_copies(), &mut file);
    encoder.trailer(&mut file);
    let mut restorer = Restorer::new(scoring());
    restorer.file(&file).unwrap();
    restorer.finish().unwrap()
}

/// What hourly readings gain in all, and what is left of it in panes and beside them, with a restore before each.
fn gained(likes: &[Option<u64>]) -> f64 {
    let mut state = State::new(scoring());
    for (likes, hour) in likes.iter().zip(0..) {
        read(&mut state, *likes, T0 + hour * HOUR);
        state = restored(&mut state);
    }
    state.share(0).unwrap().engagement_e6 / 1e6
}

#[test]
fn a_false_rise_is_taken_back_and_the_value_before_counts_again() {
    let chains: &[(&[u64], f64)] = &[
        (&[4_830, 4_938, 42_200, 5_069], 239.0),
        (&[1_000, 50_000, 1_010, 1_020], 20.0),
        (&[1_000, 50_000, 25_000, 1_010, 1_020], 49_000.0),
        (&[1_000, 50_000, 24_999], 23_999.0),
        (&[1_000, 8_000, 1_001], 7_000.0),
        (&[1_000, 8_001, 1_001], 1.0),
        (&[999, 50_000, 1_000, 1_010], 49_001.0),
        (&[1_000, 50_000, 0, 50_010, 50_020], 49_020.0),
        (&[1_000, 50_000, 0, 1_010, 1_020], 20.0),
        (&[1_000, 50_000, 20_000, 20_010], 19_010.0),
        (&[1_000, 50_000, 50_000, 1_010, 1_020], 49_000.0),
        (&[50_000, 1_000, 1_010, 50_020, 1_020], 10.0),
        (&[1_000, 50_000, 300, 320, 330], 10.0),
    ];
    for (likes, gain) in chains {
        let likes: Vec<_> = likes.iter().map(|n| Some(*n)).collect();
        assert_eq!(gained(&likes), *gain, "{likes:?}");
    }
    let hidden = [Some(1_000), Some(50_000), None, Some(1_010)];
    assert_eq!(gained(&hidden), 10.0);
}

#[test]
fn what_is_taken_back_leaves_no_trace_in_a_baseline_that_it_had_joined() {
    let run = |leaps: bool| {
        let mut state = State::new(scoring());
        for day in 0..12 {
            read(&mut state, Some(3_000 + day * 7), T0 + day * DAY);
        }
        let top = if leaps { 999_999_999_999 } else { 3_077 };
        read(&mut state, Some(top), T0 + 12 * DAY);
        read(&mut state, None, T0 + 20 * DAY);
        read(&mut state, Some(3_100), T0 + 21 * DAY);
        state.share(0).unwrap()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn the_rate_of_a_reading_is_carried_on_until_the_next_one() {
    let mut state = State::new(scoring());
    read(&mut state, Some(0), T0);
    read(&mut state, Some(2_400), T0 + DAY);
    assert_eq!(state.share(0).unwrap().provisional_e6, 100e6);
    let mut later = restored(&mut state);
    later.raise_clock(Millis(T0 + 2 * DAY - 1));
    assert_eq!(later.share(0).unwrap().provisional_e6, 2_400e6);
    later.raise_clock(Millis(T0 + 2 * DAY + 12 * HOUR - 1));
    assert_eq!(later.share(0).unwrap().provisional_e6, 1_200e6);
    read(&mut later, Some(2_400), T0 + 2 * DAY);
    assert_eq!(later.share(0).unwrap().provisional_e6, 0.0);
}

#[test]
fn a_slot_is_empty_only_when_nothing_is_carried_into_its_window() {
    let mut spec = scoring().spec.clone();
    spec.retire_after = Millis(5 * DAY);
    let mut state = State::new(Arc::new(Scoring::new(&spec)));
    read(&mut state, Some(1), T0);
    // The last pane to which a rate of then can be carried on, and a window.
    let since = T0 / HOUR + 47 + 1 + 24;
    state.raise_clock(Millis(T0 + 70 * HOUR));
    assert_eq!(state.phase(0), Some(Phase::Live));
    state.raise_clock(Millis(T0 + 90 * HOUR));
    assert_eq!(state.phase(0), Some(Phase::Empty { since }));
}
