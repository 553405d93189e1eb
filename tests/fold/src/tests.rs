//! Each rule with numbers that were computed by hand.

use kol_common::Millis;
use kol_common::job::{Counters, Profile, ScoringSpec};

use super::{Counts, Fold, KolView, Record};

pub(super) const MINUTE: u64 = 60_000;
pub(super) const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// A midnight in 2025.
pub(super) const T0: u64 = 1_750_636_800_000;

pub(super) fn cumulative() -> ScoringSpec {
    ScoringSpec::defaults(Profile::Default, Counters::Cumulative)
}

pub(super) fn delta() -> ScoringSpec {
    ScoringSpec::defaults(Profile::Default, Counters::Delta)
}

pub(super) fn record(partition: u32, time: u64, json: &str) -> Record {
    Record {
        partition,
        offset: 0,
        timestamp_ms: Some(time),
        key: None,
        value: Some(json.as_bytes().to_vec()),
    }
}

fn reading(partition: u32, time: u64, video: &str, likes: u64) -> Record {
    let json = format!(r#"{{"username":"an","video_id":"{video}","like_count":{likes}}}"#);
    record(partition, time, &json)
}

fn an(fold: &Fold, end: u64) -> KolView {
    fold.view_at(end).kols[&("tiktok".to_owned(), "an".to_owned())].clone()
}

pub(super) fn shown(view: &KolView, field: &str) -> String {
    let number = view.numbers.iter().find(|(name, _)| *name == field);
    number.unwrap().1.text()
}

pub(super) fn field(fold: &Fold, name: &str) -> String {
    shown(&an(fold, fold.window_end().unwrap()), name)
}

#[test]
fn a_first_reading_is_a_baseline_and_the_second_a_gain() {
    let fold = Fold::of(&cumulative(), [&reading(0, T0, "v", 1_000)]);
    assert_eq!(field(&fold, "total_engagement"), "0");
    assert_eq!(field(&fold, "event_count"), "1");
    let log = [
        reading(0, T0, "v", 1_000),
        reading(0, T0 + 2 * HOUR, "v", 1_300),
    ];
    let fold = Fold::of(&cumulative(), &log);
    assert_eq!(field(&fold, "total_engagement"), "300");
    assert_eq!(field(&fold, "event_count"), "2");
    // 300 engagements in 1,440 minutes.
    assert_eq!(field(&fold, "velocity"), "0.21");
}

#[test]
fn a_gain_is_spread_over_the_time_in_which_it_arose() {
    // Two days between readings: half of the gain lies in each of two windows.
    let log = [reading(0, T0, "v", 0), reading(0, T0 + 2 * DAY, "v", 4_800)];
    let fold = Fold::of(&cumulative(), &log);
    // The window holds 23 whole hours of it, 100 each, and the pane of the reading itself.
    assert_eq!(field(&fold, "total_engagement"), "2300");
    // v = 2300/1440, v' = 2400/1440: (v − v') / v'.
    assert_eq!(field(&fold, "momentum"), "-0.04");
}

#[test]
fn duplicates_have_no_effect_and_older_readings_only_count() {
    let log = [
        reading(0, T0, "v", 100),
        reading(0, T0, "v", 900),
        reading(0, T0 - HOUR, "v", 50),
        reading(0, T0 + HOUR, "v", 160),
    ];
    let fold = Fold::of(&cumulative(), &log);
    assert_eq!(field(&fold, "total_engagement"), "60");
    assert_eq!(field(&fold, "event_count"), "3");
    assert_eq!(fold.counts().events, 4);
}

#[test]
fn a_missing_counter_keeps_its_value_and_a_fall_is_no_gain() {
    let at = |hour: u64, counters: &str| {
        let json = format!(r#"{{"username":"an","video_id":"v",{counters}}}"#);
        record(0, T0 + hour * HOUR, &json)
    };
    let log = [
        at(0, r#""like_count":10,"share_count":5"#),
        at(1, r#""like_count":null,"share_count":3,"comment_count":7"#),
        at(2, r#""like_count":30,"share_count":4,"view_count":9999"#),
    ];
    // Likes 10 → 30, shares 5 → 3 (no gain) → 4, comments first seen later.
    let fold = Fold::of(&cumulative(), &log);
    assert_eq!(field(&fold, "total_engagement"), "21");
}

#[test]
fn a_profile_gains_followers_only() {
    let at = |hour: u64, n: u64| {
        let json = format!(
            r#"{{"username":"an","followers":{n},"like_count":{}}}"#,
            9 * n
        );
        record(0, T0 + hour * HOUR, &json)
    };
    let fold = Fold::of(&cumulative(), &[at(0, 10), at(1, 17)]);
    assert_eq!(field(&fold, "total_engagement"), "7");
}

#[test]
fn a_video_made_while_its_creator_was_watched_gains_from_zero() {
    let video = |made: u64, seen: u64| {
        let json = format!(
            r#"{{"username":"an","video_id":"new","like_count":40,"published_at":"{}"}}"#,
            Millis(made).iso()
        );
        record(0, seen, &json)
    };
    let gain = |made: u64| {
        let log = [reading(0, T0, "old", 1), video(made, T0 + 5 * HOUR)];
        field(&Fold::of(&cumulative(), &log), "total_engagement")
    };
    assert_eq!(gain(T0), "40");
    assert_eq!(gain(T0 + HOUR), "40");
    assert_eq!(gain(T0 - 1), "0");
    assert_eq!(gain(T0 + 5 * HOUR), "0");
}

#[test]
fn a_reading_after_the_lifetime_of_the_last_is_a_baseline_again() {
    let gain = |gap: u64| {
        let log = [reading(0, T0, "v", 0), reading(0, T0 + gap, "v", 720_000)];
        field(&Fold::of(&cumulative(), &log), "total_engagement")
    };
    // 1,000 an hour over 720 hours; the newest pane holds the reading alone.
    assert_eq!(gain(30 * DAY), "23000");
    assert_eq!(gain(30 * DAY + 1), "0");
}

#[test]
fn state_is_dropped_by_its_own_partitions_clock() {
    // The other video's reading, 38 days on, moves the clock past the lifetime and the lateness.
    let other = r#"{"username":"bo","video_id":"w","like_count":1}"#;
    let events = |partition: u32| {
        let log = [
            reading(0, T0, "v", 0),
            record(partition, T0 + 38 * DAY, other),
            reading(0, T0 + 36 * DAY, "v", 5),
        ];
        let fold = Fold::of(&cumulative(), &log);
        let slot = &fold.slots[&(0, ("tiktok".to_owned(), "an".to_owned()))];
        slot.events.values().sum::<u64>()
    };
    assert_eq!(events(0), 1);
    assert_eq!(events(1), 2);
}

#[test]
fn an_event_older_than_clock_less_lateness_is_late_and_has_no_effect() {
    let at = |time: u64| record(0, time, r#"{"username":"an","like_count":10}"#);
    let log = [
        at(T0 + 10 * MINUTE),
        at(T0 + 5 * MINUTE),
        at(T0 + 5 * MINUTE - 1),
    ];
    let fold = Fold::of(&delta(), &log);
    let counts = Counts {
        events: 3,
        late: 1,
        ..Counts::default()
    };
    assert_eq!(fold.counts(), counts);
    // Window [6, 11) holds the first only; the second lies in the window before.
    assert_eq!(field(&fold, "total_engagement"), "10");
}

#[test]
fn a_deep_fall_is_believed_when_the_next_reading_shows_it_again() {
    let gain = |likes: &[Option<u64>]| {
        let readings = likes.iter().enumerate().map(|(hour, likes)| {
            let counter = likes.map_or(String::new(), |n| format!(r#","like_count":{n}"#));
            let json = format!(r#"{{"username":"an","video_id":"v"{counter}}}"#);
            record(0, T0 + hour as u64 * HOUR, &json)
        });
        let log: Vec<_> = readings.collect();
        field(&Fold::of(&cumulative(), &log), "total_engagement")
    };
    let some = |likes: &[u64]| gain(&likes.iter().map(|n| Some(*n)).collect::<Vec<_>>());
    // A glitch.
    assert_eq!(some(&[600, 0, 607]), "7");
    assert_eq!(some(&[600, 299, 600, 299, 604]), "4");
    // A real fall: the second reading that is low is the new value.
    assert_eq!(some(&[600, 10, 12, 17]), "5");
    assert_eq!(some(&[600, 10, 290, 295]), "5");
    // Exactly half is a small fall, and real at once; so is one after a mark.
    assert_eq!(some(&[600, 300, 303]), "3");
    assert_eq!(some(&[600, 10, 400, 403]), "3");
    // After a small fall the next deep one is the first again.
    assert_eq!(some(&[600, 10, 400, 10, 404]), "4");
    // A reading without the counter neither confirms nor clears.
    assert_eq!(gain(&[Some(600), Some(0), None, Some(601)]), "1");
    assert_eq!(gain(&[Some(600), Some(5), None, Some(6), Some(9)]), "3");
    assert_eq!(some(&[1, 0, 3]), "2");
    assert_eq!(some(&[0, 0, 5]), "5");
}

#[test]
fn readings_that_do_not_count_neither_confirm_nor_clear_a_fall() {
    let log = [
        reading(0, T0, "v", 600),
        reading(0, T0 + 2 * HOUR, "v", 5),
        // A duplicate, and an older one.
        reading(0, T0 + 2 * HOUR, "v", 5),
        reading(0, T0 + HOUR, "v", 5),
        reading(0, T0 + 3 * HOUR, "v", 610),
    ];
    let fold = Fold::of(&cumulative(), &log);
    assert_eq!(field(&fold, "total_engagement"), "10");
}

#[test]
fn the_falls_of_one_counter_do_not_hide_the_gains_of_another() {
    let at = |hour: u64, likes: u64, comments: u64| {
        let json = format!(
            r#"{{"username":"an","video_id":"v","like_count":{likes},"comment_count":{comments}}}"#
        );
        record(0, T0 + hour * HOUR, &json)
    };
    let log = [at(0, 100, 10), at(1, 0, 14), at(2, 103, 15)];
    assert_eq!(
        field(&Fold::of(&cumulative(), &log), "total_engagement"),
        "8"
    );
}

#[test]
fn delta_counters_add_up_and_events_raise_the_velocity() {
    let json =
        r#"{"username":"an","like_count":300,"comment_count":"1K","share_count_raw":"Share"}"#;
    let fold = Fold::of(&delta(), &[record(0, T0, json), record(1, T0, json)]);
    assert_eq!(field(&fold, "total_engagement"), "2600");
    // 2600 / 5 · (1 + 0.1 · ln 3) = 577.13
    assert_eq!(field(&fold, "velocity"), "577.13");
    // v' = 0: the momentum is v / 1, held at 5.
    assert_eq!(field(&fold, "momentum"), "5.00");
}

#[test]
fn the_old_jobs_formula_has_constants_and_the_records_time() {
    let spec = ScoringSpec::defaults(Profile::SparkCompat, Counters::Delta);
    let json = r#"{"username":"an","event_time":"2020-01-01","video_likes":1000}"#;
    let fold = Fold::of(&spec, [&record(0, T0, json)]);
    assert_eq!(fold.clock(), Some(T0));
    // v = 1000/5 · (1 + 0.1 ln 2) = 213.86; raw = 0.8 · 2.1386 + 0.2 = 1.9109
    // score = 100 / (1 + exp(0.8 · 0.0891)) = 48.22
    assert_eq!(field(&fold, "velocity"), "213.86");
    assert_eq!(field(&fold, "raw_score"), "1.9109");
    assert_eq!(field(&fold, "trending_score"), "48.22");
    assert_eq!(field(&fold, "baseline"), "100.00");
    let view = an(&fold, fold.window_end().unwrap());
    assert_eq!(view.labels, ["Warm"]);
}

#[test]
fn the_market_is_the_mean_of_a_window_that_ends_two_panes_earlier() {
    let of = |kol: &str, minute: u64, likes: u64| {
        let json = format!(r#"{{"username":"{kol}","like_count":{likes}}}"#);
        record(0, T0 + minute * MINUTE, &json)
    };
    // At t = 8 the market's window is [1, 6): only "an" (500) and "bo" (300) have events in it.
    let log = [
        of("an", 1, 500),
        of("bo", 5, 300),
        of("chi", 6, 7_000),
        of("chi", 7, 7_000),
    ];
    let view = Fold::of(&delta(), &log).view().unwrap();
    // (100 + 60)/2 · (1 + 0.1 ln 2) = 85.545
    assert_eq!(view.market["tiktok"], 85.5);
    assert_eq!(view.window_end_ms, T0 + 8 * MINUTE);
}

#[test]
fn a_steady_creator_with_three_windows_of_history_has_its_own_baseline() {
    // 600 an hour for 40 days: b = v = 600/60.
    let log: Vec<_> = (0..=40)
        .map(|day| reading(0, T0 + day * DAY, "v", day * 14_400))
        .collect();
    let fold = Fold::of(&cumulative(), &log);
    assert_eq!(field(&fold, "baseline"), "10.00");
    // Of the newest hour nothing is known yet: 23 of 24 hours.
    assert_eq!(field(&fold, "velocity"), "9.58");
    assert_eq!(field(&fold, "personal_growth"), "0.96");
    // Five days: history begins three windows before the two that are kept, less one pane or not.
    let young = |days: u64| {
        let log: Vec<_> = (0..=days)
            .map(|day| reading(0, T0 + day * DAY, "v", day * 14_400))
            .collect();
        field(&Fold::of(&cumulative(), &log), "baseline")
    };
    assert_eq!(young(4), "0.00");
    assert_eq!(young(5), "10.00");
}

#[test]
fn a_quiet_creator_stays_as_it_was_when_it_became_empty_and_then_leaves() {
    let mut spec = delta();
    spec.retire_after = Millis(HOUR);
    let quiet = record(0, T0 + 30_000, r#"{"username":"an","like_count":100}"#);
    let fold = Fold::of(&spec, [&quiet]);
    // Its pane ends at minute 1, two windows of five minutes later it is empty.
    let view = an(&fold, T0 + 20 * MINUTE);
    assert_eq!(view.window_end, Millis(T0 + 11 * MINUTE).iso());
    assert_eq!(shown(&view, "event_count"), "0");
    assert!(!fold.view_at(T0 + 60 * MINUTE).kols.is_empty());
    assert!(fold.view_at(T0 + 61 * MINUTE).kols.is_empty());
}

#[test]
fn slots_of_several_partitions_add_up_and_a_retired_one_does_not_count() {
    let mut spec = delta();
    spec.lateness = Millis(2 * HOUR);
    let at = |partition: u32, minute: u64| {
        record(
            partition,
            T0 + minute * MINUTE,
            r#"{"username":"an","like_count":10}"#,
        )
    };
    let fold = Fold::of(&spec, &[at(0, 59), at(1, 60), at(2, 0)]);
    let kol = an(&fold, T0 + 61 * MINUTE);
    assert_eq!(shown(&kol, "event_count"), "2");
    assert_eq!(shown(&kol, "total_engagement"), "20");
}

#[test]
fn a_number_on_a_rounding_edge_may_be_shown_on_either_side() {
    let number = super::Number {
        value: 2.125,
        decimals: 2,
    };
    assert!(number.accepts("2.12") && number.accepts("2.13"));
    assert!(!number.accepts("2.14") && !number.accepts("2.1"));
    let number = super::Number {
        value: 2.126,
        decimals: 2,
    };
    assert!(number.accepts("2.13") && !number.accepts("2.12"));
}

/// An event of this platform, so many hours after the first.
fn of_platform(partition: u32, hours: u64, platform: &str) -> Record {
    let json = format!(r#"{{"username":"an","platform":"{platform}","like_count":1}}"#);
    record(partition, T0 + hours * HOUR, &json)
}

#[test]
fn a_partition_has_at_most_a_thousand_platforms_beside_those_that_always_count() {
    let mut spec = cumulative();
    spec.platforms = vec!["youtube".into()];
    let mut fold = Fold::new(&spec);
    for i in 0..1_000 {
        fold.apply(&of_platform(0, 0, &format!("invented {i}")));
    }
    assert_eq!(fold.counts().dead_letter, 0);
    assert!(fold.rejects(&of_platform(0, 0, "instagram")));
    for platform in ["invented 7", "tiktok", "youtube"] {
        assert!(!fold.rejects(&of_platform(0, 0, platform)), "{platform}");
    }
    assert!(
        !fold.rejects(&of_platform(1, 0, "instagram")),
        "of another partition"
    );
}

#[test]
fn a_platform_makes_room_when_it_is_silent_for_as_long_as_creators_stay() {
    let mut fold = Fold::new(&cumulative());
    for i in 0..1_000 {
        fold.apply(&of_platform(0, 0, &format!("invented {i}")));
    }
    // Three windows of a day. An event that is rejected moves the clock as any other does.
    assert!(fold.rejects(&of_platform(0, 71, "instagram")));
    assert!(!fold.rejects(&of_platform(0, 72, "instagram")));
    assert!(
        !fold.rejects(&of_platform(0, 72, "invented 7")),
        "there is room"
    );
    assert_eq!(fold.counts().dead_letter, 1);
}
