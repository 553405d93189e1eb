//! From records to state: the per-event path of a partition.

use kol_common::Millis;
use kol_common::event::{Decoder, Event, Reject, effective_time};
use kol_common::job::Profile;
use kol_common::proto::PartitionCounters;
use rdkafka::types::RDKafkaRespErr;

use crate::source::{Batch, Record, Rejected};
use crate::state::{Applied, State};

/// Reads records into state and counts what became of them.
#[derive(Debug)]
pub struct Intake {
    decoder: Decoder,
    rules: Rules,
    /// State of the partition.
    pub state: State,
    /// Counted since the assignment.
    pub counters: PartitionCounters,
    /// Offset of the next record.
    pub position: u64,
}

/// What a job's spec says of every event.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// Lifetime totals: keys matter.
    check_keys: bool,
    /// The Kafka timestamp is the event time, whatever the event says.
    kafka_time: bool,
    /// Late events are dead letters.
    reject_late: bool,
    /// How far ahead of the present an event may be.
    max_ahead: Millis,
}

impl Intake {
    /// Starts at `position` with an empty state.
    pub fn new(state: State, spec: &kol_common::job::JobSpec, position: u64) -> Self {
        Self {
            decoder: Decoder::of(&spec.source, &spec.scoring.default_platform),
            rules: Rules {
                check_keys: spec.scoring.counters == kol_common::job::Counters::Cumulative,
                kafka_time: spec.scoring.profile == Profile::SparkCompat,
                reject_late: spec.source.dead_letter_late,
                max_ahead: spec.source.max_ahead,
            },
            state,
            counters: PartitionCounters::default(),
            position,
        }
    }

    /// Takes a batch in. What cannot be used goes to `rejected`. `present` is the newest wall clock
    /// that is known: an event too far ahead of it is not believed.
    ///
    /// # Errors
    /// The last error that the client put in place of a record; all records were taken in.
    pub fn take<'b>(
        &mut self,
        batch: &'b Batch,
        present: Millis,
        rejected: &mut Vec<Rejected<'b>>,
    ) -> Result<(), RDKafkaRespErr> {
        let latest = Millis(present.0.saturating_add(self.rules.max_ahead.0));
        let mut outcome = Ok(());
        batch.records().for_each(|record| {
            let record = match record {
                Ok(record) => record,
                Err(mark) if mark.code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                    // The end of the log may be a marker of a transaction, or a compacted gap.
                    self.position = self.position.max(mark.offset);
                    return;
                }
                Err(mark) => {
                    outcome = Err(mark.code);
                    return;
                }
            };
            self.counters.bytes += record.value.map_or(0, <[u8]>::len) as u64;
            self.position = record.offset + 1;
            self.record(&record, latest, rejected);
        });
        outcome
    }

    /// All events of a record are taken in before anything else happens: an epoch has them all or
    /// none.
    fn record<'b>(
        &mut self,
        record: &Record<'b>,
        latest: Millis,
        rejected: &mut Vec<Rejected<'b>>,
    ) {
        self.decoder.decode_each(record.value, |part, outcome| {
            self.counters.events += 1;
            let taken = outcome.and_then(|event| {
                let counters = &mut self.counters;
                self.rules
                    .event(&event, record, latest, &mut self.state, counters)
            });
            let Err(reason) = taken else {
                return;
            };
            count(&mut self.counters, reason);
            if reason != Reject::Late || self.rules.reject_late {
                rejected.push(Rejected {
                    offset: record.offset,
                    key: record.key,
                    value: part,
                    reason,
                });
            }
        });
    }
}

impl Rules {
    fn event(
        self,
        event: &Event<'_>,
        record: &Record<'_>,
        latest: Millis,
        state: &mut State,
        counters: &mut PartitionCounters,
    ) -> Result<(), Reject> {
        let stated = event.event_time.filter(|_| !self.kafka_time);
        let time = effective_time(stated, record.timestamp, latest)?;
        counters.time_unreadable += u64::from(event.time_unreadable && !self.kafka_time);
        counters.without_counters += u64::from(!event.has_counters());
        if self.check_keys {
            counters.keys_checked += 1;
            counters.keys_unmatched += u64::from(!key_matches(record.key, event));
        }
        match state.apply(event, time) {
            Applied::Counted => Ok(()),
            Applied::Late => Err(Reject::Late),
            Applied::TooManyPlatforms => Err(Reject::TooManyPlatforms),
        }
    }
}

/// Counts a reject; allocates for the first one of each reason only.
fn count(counters: &mut PartitionCounters, reason: Reject) {
    if reason == Reject::Late {
        counters.late += 1;
    } else {
        counters.dead_letter += 1;
    }
    match counters.rejected.get_mut(reason.as_str()) {
        Some(number) => *number += 1,
        None => drop(counters.rejected.insert(reason.as_str().to_owned(), 1)),
    }
}

/// Whether a record key keeps the readings of one video in one partition: it names creator or video.
fn key_matches(key: Option<&[u8]>, event: &Event<'_>) -> bool {
    let Some(key) = key else {
        return false;
    };
    let key = key.strip_prefix(b"@").unwrap_or(key);
    key == event.kol.as_bytes()
        || event
            .video_id
            .as_deref()
            .is_some_and(|video| key == video.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kol_common::job::parse;
    use kol_common::scoring::Scoring;

    use super::*;
    use crate::source::Held;

    const PRESENT: Millis = Millis(1_795_669_200_000);

    fn intake(source: &str) -> Intake {
        let spec = parse(&format!("name = \"x\"\n[source]\n{source}"), "x")
            .unwrap()
            .spec;
        let state = State::new(Arc::new(Scoring::new(&spec.scoring)));
        Intake::new(state, &spec, 0)
    }

    fn batch(values: &[(&str, u64)]) -> Batch {
        let mut batch = Batch::default();
        batch.hold((0..).zip(values).map(|(offset, (value, timestamp))| {
            Arc::new(Held {
                offset,
                key: Some(b"a".to_vec()),
                value: Some(value.as_bytes().to_vec()),
                timestamp: Some(Millis(*timestamp)),
            })
        }));
        batch
    }

    #[test]
    fn an_event_from_the_future_moves_no_clock_and_is_counted_and_rejected() {
        let mut intake = intake("");
        let in_2100 = 4_102_444_800_000;
        let ahead = format!(r#"{{"username":"b","event_time":{in_2100},"like_count":1}}"#);
        let batch = batch(&[
            (r#"{"username":"a","like_count":1}"#, PRESENT.0),
            (&ahead, in_2100),
        ]);
        let mut rejected = Vec::new();
        intake.take(&batch, PRESENT, &mut rejected).unwrap();
        assert_eq!(intake.state.clock(), Some(PRESENT));
        assert_eq!((rejected[0].offset, rejected[0].reason), (1, Reject::Ahead));
        assert_eq!(intake.counters.rejected["ahead"], 1);
        assert_eq!(intake.counters.dead_letter, 1);
        assert_eq!(intake.position, 2);
        assert_eq!(intake.state.size().0, 1, "it has no effect");
        // The bound is the spec's.
        let mut generous = self::intake("max_ahead = \"1h\"");
        let soon = PRESENT.0 + 3_000_000;
        let soon = format!(r#"{{"username":"b","event_time":{soon},"like_count":1}}"#);
        let batch = self::batch(&[(&soon, PRESENT.0 + 3_000_000)]);
        generous.take(&batch, PRESENT, &mut Vec::new()).unwrap();
        assert!(generous.counters.rejected.is_empty());
    }

    #[test]
    fn the_events_of_one_record_share_its_offset_and_a_broken_one_is_rejected_alone() {
        let mut intake = intake("explode = \"items\"");
        let value = r#"[{"username":"a","like_count":1},{"like_count":1},{"username":"b"}]"#;
        let batch = batch(&[(value, PRESENT.0)]);
        let mut rejected = Vec::new();
        intake.take(&batch, PRESENT, &mut rejected).unwrap();
        assert_eq!((intake.position, intake.counters.events), (1, 3));
        assert_eq!(intake.state.size().0, 2);
        assert_eq!(rejected.len(), 1);
        assert_eq!(rejected[0].value, Some(&br#"{"like_count":1}"#[..]));
        assert_eq!(rejected[0].offset, 0);
        assert_eq!(intake.counters.rejected["no_username"], 1);
        assert_eq!(intake.counters.without_counters, 1);
    }

    #[test]
    fn a_time_that_cannot_be_read_is_counted_and_late_events_are_a_reason_too() {
        let mut intake = intake("");
        let day = 86_400_000;
        let unreadable = r#"{"username":"a","event_time":"yesterday","like_count":1}"#;
        let late = r#"{"username":"a","like_count":1}"#;
        let batch = batch(&[(unreadable, PRESENT.0), (late, PRESENT.0 - 8 * day)]);
        let mut rejected = Vec::new();
        intake.take(&batch, PRESENT, &mut rejected).unwrap();
        assert_eq!(intake.counters.time_unreadable, 1);
        assert_eq!(
            (intake.counters.late, intake.counters.rejected["late"]),
            (1, 1)
        );
        assert!(
            rejected.is_empty(),
            "late events are dead letters only if the spec says so"
        );
    }
}
