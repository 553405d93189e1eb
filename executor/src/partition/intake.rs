//! From records to state: the per-event path of a partition.

use kol_common::event::{Decoder, Event, Reject, effective_time};
use kol_common::job::Profile;
use kol_common::proto::PartitionCounters;

use crate::source::{Batch, Mark, ReadError, Record, Rejected};
use crate::state::{Applied, State};

/// Reads records into state and counts what became of them.
#[derive(Debug)]
pub struct Intake {
    decoder: Decoder,
    /// State of the partition.
    pub state: State,
    /// Counted since the assignment.
    pub counters: PartitionCounters,
    /// Offset of the next record.
    pub position: u64,
    /// Lifetime totals: keys matter.
    check_keys: bool,
    /// The Kafka timestamp is the event time, whatever the event says.
    kafka_time: bool,
    reject_late: bool,
}

/// Reason of a late event's dead letter.
const LATE: &str = "late";
/// Reason of a dead letter that names one platform too many.
const TOO_MANY_PLATFORMS: &str = "too_many_platforms";

impl Intake {
    /// Starts at `position` with an empty state.
    pub fn new(state: State, spec: &kol_common::job::JobSpec, position: u64) -> Self {
        Self {
            decoder: Decoder::new(&spec.scoring.default_platform),
            state,
            counters: PartitionCounters::default(),
            position,
            check_keys: spec.scoring.counters == kol_common::job::Counters::Cumulative,
            kafka_time: spec.scoring.profile == Profile::SparkCompat,
            reject_late: spec.source.dead_letter_late(),
        }
    }

    /// Takes a batch in. What cannot be used goes to `rejected`.
    ///
    /// # Errors
    /// The last error that stands in place of a record; all records were taken in.
    pub fn take<'b>(
        &mut self,
        batch: &'b Batch,
        rejected: &mut Vec<Rejected<'b>>,
    ) -> Result<(), ReadError> {
        let mut outcome = Ok(());
        batch.records().for_each(|record| {
            let record = match record {
                Ok(record) => record,
                Err(Mark::EndOfPartition { offset }) => {
                    // The end of the log may be a marker of a transaction, or a compacted gap.
                    self.position = self.position.max(offset);
                    return;
                }
                Err(Mark::Failed(error)) => {
                    outcome = Err(error);
                    return;
                }
            };
            self.counters.events += 1;
            self.counters.bytes += record.value.map_or(0, <[u8]>::len) as u64;
            self.position = record.offset + 1;
            if let Err(reason) = self.record(&record) {
                rejected.push(Rejected {
                    offset: record.offset,
                    key: record.key,
                    value: record.value,
                    reason,
                });
            }
        });
        outcome
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        let decoded = self.decoder.decode(record.value).and_then(|event| {
            let stated = if self.kafka_time {
                None
            } else {
                event.event_time
            };
            Ok((effective_time(stated, record.timestamp)?, event))
        });
        let (time, event) = decoded.map_err(|reject: Reject| {
            self.counters.dead_letter += 1;
            reject.as_str()
        })?;
        if self.check_keys {
            self.counters.keys_checked += 1;
            self.counters.keys_unmatched += u64::from(!key_matches(record.key, &event));
        }
        match self.state.apply(&event, time) {
            Applied::Counted => Ok(()),
            Applied::Late => {
                self.counters.late += 1;
                if self.reject_late { Err(LATE) } else { Ok(()) }
            }
            Applied::TooManyPlatforms => {
                self.counters.dead_letter += 1;
                Err(TOO_MANY_PLATFORMS)
            }
        }
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
