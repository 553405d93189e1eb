//! What becomes of records before they count: their time, their parts, their names.

use kol_common::Millis;

use super::tests::{HOUR, MINUTE, T0, cumulative, delta, field, record, shown};
use super::{Counts, Explode, Fold, Input, KolView, Record};

#[test]
fn an_event_time_after_the_record_or_unreadable_is_replaced_by_the_records() {
    let time = |own: &str, kafka: Option<u64>| {
        let json = format!(r#"{{"username":"an","event_time":"{own}"}}"#);
        let mut record = record(0, 0, &json);
        record.timestamp_ms = kafka;
        let fold = Fold::of(&delta(), [&record]);
        (fold.clock(), fold.counts().dead_letter)
    };
    let iso = |ms: u64| Millis(ms).iso();
    assert_eq!(time(&iso(T0 - 1_000), Some(T0)), (Some(T0 - 1_000), 0));
    assert_eq!(time(&iso(T0 + 1_000), Some(T0)), (Some(T0), 0));
    assert_eq!(time("2100-01-01", Some(T0)), (Some(T0), 0));
    assert_eq!(time("soon", Some(T0)), (Some(T0), 0));
    assert_eq!(time(&iso(T0), None), (Some(T0), 0));
    assert_eq!(time("soon", None), (None, 1));
    // A timestamp in seconds or microseconds says nothing.
    assert_eq!(time(&iso(T0), Some(T0 / 1_000)), (Some(T0), 0));
    assert_eq!(time("soon", Some(T0 / 1_000)), (None, 1));
    let year_2005 = 1_104_537_600_000;
    assert_eq!(time("soon", Some(year_2005)), (Some(year_2005), 0));
    assert_eq!(time("soon", Some(year_2005 - 1)), (None, 1));
}

#[test]
fn an_event_ahead_of_the_present_is_rejected_and_moves_no_clock() {
    let at = |own: u64, kafka: Option<u64>| {
        let json = format!(r#"{{"username":"an","event_time":{own},"like_count":1}}"#);
        let mut fold = Fold::new(&delta());
        fold.set_present(T0);
        let first = record(0, T0 - MINUTE, r#"{"username":"an","like_count":5}"#);
        fold.apply(&first);
        let timestamp_ms = kafka;
        fold.apply(&Record {
            timestamp_ms,
            ..record(0, 0, &json)
        });
        (
            fold.clock().unwrap(),
            fold.counts().ahead,
            fold.counts().dead_letter,
        )
    };
    let bound = T0 + 10 * MINUTE;
    assert_eq!(at(bound, Some(bound)), (bound, 0, 0));
    assert_eq!(at(bound + 1, Some(bound + 1)), (T0 - MINUTE, 1, 1));
    assert_eq!(at(bound + 1, None), (T0 - MINUTE, 1, 1));
    // The record's own time is sensible, and before the event's.
    assert_eq!(at(bound + 1, Some(T0)), (T0, 0, 0));
    // The record's time is in microseconds: the event's counts.
    assert_eq!(at(T0 - 1_000, Some(T0 * 1_000)), (T0 - 1_000, 0, 0));
}

#[test]
fn without_any_sensible_time_a_record_is_a_dead_letter() {
    let mut fold = Fold::new(&delta());
    fold.set_present(T0);
    fold.apply(&record(0, T0 + HOUR, r#"{"username":"an"}"#));
    fold.apply(&record(0, T0 / 1_000, r#"{"username":"an"}"#));
    let counts = Counts {
        events: 2,
        dead_letter: 2,
        ..Counts::default()
    };
    assert_eq!(fold.counts(), counts);
}

#[test]
fn a_rejected_event_of_a_record_leaves_the_others_alone() {
    let input = Input {
        explode: Explode::Path("items".into()),
        ..Input::default()
    };
    let mut fold = Fold::new(&delta()).with_input(input);
    fold.set_present(T0);
    let event = |likes: u64, at: u64| {
        format!(r#"{{"username":"an","like_count":{likes},"event_time":{at}}}"#)
    };
    let items = |events: [String; 2]| {
        let json = format!(r#"{{"items":[{}]}}"#, events.join(","));
        Record {
            timestamp_ms: None,
            ..record(0, 0, &json)
        }
    };
    fold.apply(&items([event(10, T0), event(20, T0)]));
    fold.apply(&items([event(40, T0), event(80, T0 + HOUR)]));
    fold.apply(&items([event(160, T0), r#"{"like_count":1}"#.to_owned()]));
    fold.apply(&items([event(320, T0), event(640, T0 - HOUR)]));
    assert_eq!(field(&fold, "total_engagement"), "550");
    let counts = Counts {
        events: 8,
        late: 1,
        dead_letter: 2,
        ahead: 1,
        unreadable_time: 0,
    };
    assert_eq!(fold.counts(), counts);
}

#[test]
fn names_that_look_the_same_are_one_creator() {
    let at = |hour: u64, name: &str, likes: u64| {
        let json = format!(r#"{{"username":"{name}","video_id":"v","like_count":{likes}}}"#);
        record(0, T0 + hour * HOUR, &json)
    };
    let log = [
        at(0, "Zo\\u00eb", 1),
        at(1, "@Zoe\\u0308", 4),
        at(2, "zoë", 9),
    ];
    let kols = |lower_case: bool| {
        let input = Input {
            lower_case,
            ..Input::default()
        };
        let mut fold = Fold::new(&cumulative()).with_input(input);
        log.iter().for_each(|record| fold.apply(record));
        let view = fold.view().unwrap();
        let shown = |kol: &KolView| shown(kol, "total_engagement");
        let all = view
            .kols
            .iter()
            .map(|((_, name), kol)| (name.clone(), shown(kol)));
        all.collect::<Vec<_>>()
    };
    let pair = |name: &str, gain: &str| (name.to_owned(), gain.to_owned());
    assert_eq!(kols(false), [pair("Zoë", "3"), pair("zoë", "0")]);
    assert_eq!(kols(true), [pair("zoë", "8")]);
}
