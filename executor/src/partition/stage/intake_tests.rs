use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::SourcePartition;

use super::*;
use crate::source::{DeadLetterTopic, Fate, Letter, Offered, Receipt};

const PRESENT: Millis = Millis(1_795_669_200_000);

/// Remembers the offset, the value and the reason of what it was offered.
#[derive(Debug, Default)]
struct Topic(Mutex<Vec<(u64, String, Reject)>>);

impl DeadLetterTopic for Topic {
    fn name(&self) -> &str {
        "dead"
    }

    fn offer(&self, _origin: &SourcePartition, letter: &Letter, receipt: Receipt) -> Offered {
        let value = String::from_utf8_lossy(letter.value.as_deref().unwrap_or_default());
        let letter = (letter.offset, value.into_owned(), letter.reason);
        self.0.lock().unwrap().push(letter);
        receipt.settle(Fate::Arrived);
        Offered::Taken
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn flush(&self, _deadline: Duration) -> BoxFuture<'static, bool> {
        Box::pin(std::future::ready(true))
    }
}

/// An intake of a job with these keys in `[source]`, and what it rejects.
fn intake(source: &str) -> (Intake, Arc<Topic>) {
    let assignment = Assignment::with_source(source);
    let topic = Arc::new(Topic::default());
    let letters = DeadLetters::new("x", Arc::clone(&topic) as Arc<dyn DeadLetterTopic>);
    let intake = Intake::new(&assignment, Some(letters));
    (intake, topic)
}

/// Takes records with these values and Kafka timestamps, from offset 0 on.
fn take(intake: &mut Intake, values: &[(&str, u64)]) {
    let latest = intake.latest(PRESENT);
    let mut records = intake.records(latest);
    for (offset, (value, timestamp)) in (0..).zip(values) {
        let record = Record {
            offset,
            key: Some(b"a"),
            value: Some(value.as_bytes()),
            timestamp: Some(Millis(*timestamp)),
            headers: None,
        };
        records.take(&record);
    }
}

#[tokio::test(start_paused = true)]
async fn the_market_follows_a_window_that_moves_and_far_behind_once_a_second() {
    for (is_behind, passes) in [(false, 10), (true, 2)] {
        let (mut intake, _) = intake("");
        take(
            &mut intake,
            &[(r#"{"username":"a","like_count":1}"#, PRESENT.0)],
        );
        let slide = intake.scoring.time(1);
        let mut seen = 0;
        for slides in 1..=10 {
            intake.raise_clock(Millis(PRESENT.0 + slides * slide.0));
            intake.tend(Instant::now(), 1, is_behind, |_| true);
            let state = intake.state();
            seen += usize::from(state.market().0 == state.window_end());
            tokio::time::advance(Duration::from_millis(150)).await;
        }
        assert_eq!(seen, passes, "behind: {is_behind}");
    }
}

#[test]
fn an_event_from_the_future_moves_no_clock_and_is_counted_and_rejected() {
    let in_2100 = 4_102_444_800_000;
    let ahead = format!(r#"{{"username":"b","event_time":{in_2100},"like_count":1}}"#);
    let (mut strict, letters) = intake("");
    let now = r#"{"username":"a","like_count":1}"#;
    take(&mut strict, &[(now, PRESENT.0), (&ahead, in_2100)]);
    assert_eq!(strict.state().clock(), Some(PRESENT));
    assert_eq!(strict.state().size().0, 1, "it has no effect");
    assert_eq!(strict.counters().rejected["ahead"], 1);
    assert_eq!(strict.counters().dead_letter, 1);
    assert_eq!(*letters.0.lock().unwrap(), [(1, ahead, Reject::Ahead)]);
    let last = strict.counters().last_ahead.unwrap();
    let place = last.partition.as_ref().map(|p| (&*p.topic, p.partition));
    assert_eq!((place, last.offset), (Some(("t", 0)), 1));
    assert_eq!((&*last.kol, &*last.platform), ("b", "tiktok"));
    assert_eq!(last.key.as_deref(), Some("a"));
    assert_eq!((last.event_ms, last.present_ms), (in_2100, PRESENT.0));
    // The bound is the spec's.
    let (mut generous, _) = intake("max_ahead = \"1h\"");
    let soon = PRESENT.0 + 3_000_000;
    let value = format!(r#"{{"username":"b","event_time":{soon},"like_count":1}}"#);
    take(&mut generous, &[(&value, soon)]);
    assert!(generous.counters().rejected.is_empty());
}

#[test]
fn the_events_of_one_record_share_its_offset_and_a_broken_one_is_rejected_alone() {
    let (mut intake, letters) = intake("explode = \"items\"");
    let value = r#"[{"username":"a","like_count":1},{"like_count":1},{"username":"b"}]"#;
    take(&mut intake, &[(value, PRESENT.0)]);
    assert_eq!(intake.counters().events, 3);
    assert_eq!(intake.state().size().0, 2);
    let broken = (0, r#"{"like_count":1}"#.to_owned(), Reject::NoUsername);
    assert_eq!(*letters.0.lock().unwrap(), [broken]);
    assert_eq!(intake.counters().rejected["no_username"], 1);
    assert_eq!(intake.counters().without_counters, 1);
    assert_eq!(intake.counters().lacks["no_username"].count, 1);
    assert_eq!(intake.counters().lacks["no_counters"].count, 1);
}

#[test]
fn a_record_of_very_many_bad_parts_has_few_letters_and_the_last_has_all_of_it() {
    let (mut intake, letters) = intake("explode = \"items\"");
    let value = format!("[{}1]", "1,".repeat(99_999));
    take(&mut intake, &[(&value, PRESENT.0)]);
    assert_eq!(intake.counters().events, 100_000);
    assert_eq!(intake.counters().rejected["not_an_object"], 100_000);
    let taken = std::mem::take(&mut *letters.0.lock().unwrap());
    assert_eq!(taken.len(), 101);
    assert!(taken[..100].iter().all(|(_, part, _)| part == "1"));
    assert_eq!(taken[100], (0, value, Reject::NotAnObject));
    // The next record has letters of its own.
    take(&mut intake, &[("[2]", PRESENT.0)]);
    let part = (0, "2".to_owned(), Reject::NotAnObject);
    assert_eq!(*letters.0.lock().unwrap(), [part]);
}

#[test]
fn a_large_key_is_copied_for_few_parts_of_its_record() {
    let (mut intake, letters) = intake("explode = \"items\"");
    let (key, value) = (vec![b'k'; 5_000], b"[1,2,3,4,5,6]");
    let record = Record {
        offset: 0,
        key: Some(&key),
        value: Some(value),
        timestamp: Some(PRESENT),
        headers: None,
    };
    let latest = intake.latest(PRESENT);
    intake.records(latest).take(&record);
    let taken = letters.0.lock().unwrap();
    let values: Vec<&str> = taken.iter().map(|(_, value, _)| &**value).collect();
    assert_eq!(values, ["1", "2", "3", "[1,2,3,4,5,6]"]);
    assert_eq!(intake.counters().dead_letter, 6);
}

#[test]
fn a_time_that_cannot_be_read_is_counted_and_late_events_are_a_reason_too() {
    let day = 86_400_000;
    let unreadable = r#"{"username":"a","event_time":"yesterday","like_count":1}"#;
    let late = r#"{"username":"a","like_count":1}"#;
    let values = [(unreadable, PRESENT.0), (late, PRESENT.0 - 8 * day)];
    for (keys, kept) in [("", 0), ("dead_letter_late = true", 1)] {
        let (mut intake, letters) = intake(keys);
        take(&mut intake, &values);
        assert_eq!(intake.counters().time_unreadable, 1);
        let counters = intake.counters();
        let lack = &counters.lacks["event_time_unreadable"];
        assert_eq!((lack.count, lack.offset, counters.recent), (1, 0, 2));
        assert_eq!(counters.lacks.get("late"), None);
        assert_eq!(counters.lacks["event_time_missing"].offset, 1);
        assert_eq!((counters.late, counters.rejected["late"]), (1, 1));
        assert_eq!(letters.0.lock().unwrap().len(), kept, "{keys}");
    }
}
