//! From records to state: the per-event path of a partition, and the care of the state between batches.

use std::sync::Arc;

use kol_common::event::{Decoder, Event, Reject, effective_time};
use kol_common::job::Profile;
use kol_common::proto::PartitionCounters;
use kol_common::scoring::Scoring;
use kol_common::{KolError, Millis};
use tokio::time::Instant;

use super::letters::Letters;
use crate::partition::message::Assignment;
use crate::source::{DeadLetters, Record};
use crate::state::{Applied, KolIndex, State};

/// Readings and slots looked at in one sweep.
const SWEEP: usize = 2_000;

/// Reads records into state and counts what became of them.
#[derive(Debug)]
pub struct Intake {
    scoring: Arc<Scoring>,
    decoder: Decoder,
    state: State,
    letters: Letters,
    /// Counted since the start of the generation.
    counters: PartitionCounters,
    /// When the next pass over all slots for the market may begin.
    market_pass_at: Instant,
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
    /// With an empty state.
    pub fn new(assignment: &Assignment, dead_letters: Option<DeadLetters>, now: Instant) -> Self {
        let spec = &assignment.spec;
        Self {
            decoder: Decoder::new(&spec.scoring.default_platform),
            state: State::new(Arc::clone(&assignment.scoring)),
            letters: Letters::new(assignment.partition.clone(), dead_letters),
            counters: PartitionCounters::default(),
            market_pass_at: now,
            check_keys: spec.scoring.counters == kol_common::job::Counters::Cumulative,
            kafka_time: spec.scoring.profile == Profile::SparkCompat,
            reject_late: spec.source.dead_letter_late(),
            scoring: Arc::clone(&assignment.scoring),
        }
    }

    /// Resumes with the state and the counters of a checkpoint.
    pub fn restored(&mut self, state: State, counters: PartitionCounters) {
        self.state = state;
        self.counters = counters;
    }

    /// Drops the state: the log that it was of no longer exists.
    pub fn start_over(&mut self) {
        self.state = State::new(Arc::clone(&self.scoring));
    }

    /// Takes the next record of the log.
    pub fn take(&mut self, record: &Record<'_>) {
        self.counters.events += 1;
        self.counters.bytes += record.value.map_or(0, <[u8]>::len) as u64;
        if let Err(reason) = self.record(record) {
            self.letters.reject(record, reason);
        }
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

    /// Whether there is room for more records.
    pub fn has_room(&self) -> bool {
        self.letters.are_sent()
    }

    /// The job clock is at least this far.
    pub fn raise_clock(&mut self, clock: Millis) {
        self.state.raise_clock(clock);
    }

    /// Now and then: sends what waits, drops what can never count again, and brings the market sums up to
    /// date. `may_forget`: see [`State::sweep`].
    pub fn tend(&mut self, now: Instant, may_forget: impl Fn(KolIndex) -> bool) {
        self.letters.send_parked();
        self.state.sweep(SWEEP, may_forget);
        self.refresh_market(now);
    }

    /// When the window end moved, all slots are looked at; while it moves all the time (far behind)
    /// that may take a tenth of the time at most.
    fn refresh_market(&mut self, now: Instant) {
        let moved = self.state.market().0 != self.state.window_end();
        if moved && now < self.market_pass_at {
            return;
        }
        self.state.refresh_market();
        if moved {
            let done = Instant::now();
            self.market_pass_at = done + 10 * done.duration_since(now);
        }
    }

    /// State of the partition.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The same for consumers and captures, which take from its change-sets.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// What became of the records so far.
    pub fn counters(&self) -> PartitionCounters {
        self.counters
    }

    /// Why dead letters do not reach their topic, if so.
    pub fn problem(&self) -> Option<KolError> {
        self.letters.problem()
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
