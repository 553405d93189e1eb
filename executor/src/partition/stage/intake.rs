//! From records to state: the per-event path of a partition, and the care of the state between batches.

use std::sync::Arc;
use std::time::Duration;

use kol_common::event::{Decoder, Event, Lack, Reject, effective_time};
use kol_common::job::Profile;
use kol_common::proto::{AheadEvent, PartitionCounters};
use kol_common::scoring::Scoring;
use kol_common::{KolError, Millis, SourcePartition};
use tokio::time::Instant;

use super::lacks::Lacks;
use super::letters::{Letters, PartLetters};
use crate::partition::message::Assignment;
use crate::source::{DeadLetters, Record};
use crate::state::{Applied, Batch, KolIndex, State};

/// Readings and slots looked at in one sweep.
const SWEEP: usize = 2_000;
/// Least time from one pass over all slots for the market to the next, far behind the head of the log.
const MARKET_PASS: Duration = Duration::from_secs(1);

/// Reads records into state and counts what became of them.
#[derive(Debug)]
pub struct Intake {
    scoring: Arc<Scoring>,
    decoder: Decoder,
    rules: Rules,
    state: State,
    letters: Letters,
    partition: SourcePartition,
    /// Counted since the start of the generation.
    counters: PartitionCounters,
    lacks: Lacks,
    /// When the last pass over all slots for the market began, and how long it took.
    market_pass: Option<(Instant, Duration)>,
}

/// Longest name and key that are shown of an event, in characters.
const SHOWN: usize = 120;

/// What a job's spec says of every event.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// The Kafka timestamp is the event time, whatever the event says.
    kafka_time: bool,
    /// Late events are dead letters.
    reject_late: bool,
    /// How far ahead of the present an event may be.
    max_ahead: Millis,
}

/// The present, and the bound after which event times are not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latest {
    present: Millis,
    bound: Millis,
}

/// Takes the records of a batch. See [`Intake::records`].
#[derive(Debug)]
pub struct Records<'i> {
    decoder: &'i Decoder,
    rules: Rules,
    latest: Latest,
    batch: Batch<'i>,
    letters: &'i mut Letters,
    counters: &'i mut PartitionCounters,
    lacks: &'i mut Lacks,
}

impl Intake {
    /// With an empty state.
    pub fn new(assignment: &Assignment, dead_letters: Option<DeadLetters>) -> Self {
        let spec = &assignment.spec;
        Self {
            decoder: Decoder::of(&spec.source, &spec.scoring.default_platform),
            rules: Rules {
                kafka_time: spec.scoring.profile == Profile::SparkCompat,
                reject_late: spec.source.dead_letter_late(),
                max_ahead: spec.source.max_ahead(),
            },
            state: State::new(Arc::clone(&assignment.scoring)),
            letters: Letters::new(assignment.partition.clone(), dead_letters)
                .of_copies(spec.rekey().is_some()),
            partition: assignment.partition.clone(),
            counters: PartitionCounters::default(),
            lacks: Lacks::default(),
            market_pass: None,
            scoring: Arc::clone(&assignment.scoring),
        }
    }

    /// Resumes with the state and the counters of a checkpoint.
    pub fn restored(&mut self, state: State, counters: PartitionCounters) {
        self.state = state;
        self.lacks = Lacks::restored(&counters);
        self.counters = counters;
    }

    /// Drops the state: the log that it was of no longer exists.
    pub fn start_over(&mut self) {
        self.state = State::new(Arc::clone(&self.scoring));
    }

    /// The bound of event times, given the newest wall clock that is known. Computed once a batch.
    pub fn latest(&self, present: Millis) -> Latest {
        let bound = Millis(present.0.saturating_add(self.rules.max_ahead.0));
        Latest { present, bound }
    }

    /// To take records with. What they change is in the state once it is dropped.
    pub fn records(&mut self, latest: Latest) -> Records<'_> {
        Records {
            decoder: &self.decoder,
            rules: self.rules,
            latest,
            batch: self.state.batch(),
            letters: &mut self.letters,
            counters: &mut self.counters,
            lacks: &mut self.lacks,
        }
    }

    /// Whether there is room for more records.
    pub fn has_room(&self) -> bool {
        self.letters.has_room()
    }

    /// Waits until something may be new of dead letters under way: then [`Intake::tend_letters`].
    pub async fn letter_news(&self) {
        self.letters.news().await;
    }

    /// Takes what is new of dead letters under way, and sends those that wait.
    pub fn tend_letters(&mut self, now: Instant) {
        self.letters.tend(now);
    }

    /// What dead letters of records that were read so far are distinguished from later ones by.
    pub fn letter_mark(&self) -> u64 {
        self.letters.mark()
    }

    /// Whether all dead letters before a mark have arrived.
    pub fn letters_have_arrived(&self, mark: u64) -> bool {
        self.letters.have_arrived(mark)
    }

    /// The job clock is at least this far.
    pub fn raise_clock(&mut self, clock: Millis) {
        self.state.raise_clock(clock);
    }

    /// Now and then: drops what can never count again, and brings the market sums up to date. `times`: how often that
    /// was due since. `is_behind`: so much is left to read that the sums are soon others. `may_forget`: see [`State::sweep`].
    pub fn tend(
        &mut self,
        now: Instant,
        times: u32,
        is_behind: bool,
        may_forget: impl Fn(KolIndex) -> bool,
    ) {
        let some = SWEEP * times as usize;
        self.state.sweep(some, may_forget);
        self.state.sample_some(some);
        self.refresh_market(now, is_behind);
    }

    /// When the window end moved, all slots are looked at; while it moves all the time that may take a tenth of the time,
    /// and happens far behind only once a second.
    fn refresh_market(&mut self, now: Instant, is_behind: bool) {
        let moved = self.state.market().0 != self.state.window_end();
        let least = if is_behind {
            MARKET_PASS
        } else {
            Duration::ZERO
        };
        let is_early = |(begun, took): (Instant, Duration)| now < begun + (11 * took).max(least);
        if moved && self.market_pass.is_some_and(is_early) {
            return;
        }
        self.state.refresh_market();
        if moved {
            self.market_pass = Some((now, now.elapsed()));
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
        self.counters_with(self.letters.arrived())
    }

    /// The same as an epoch has it that is committed once all dead letters so far have arrived.
    pub fn counters_of_epoch(&self) -> PartitionCounters {
        self.counters_with(self.letters.handed_over())
    }

    /// Memory that dead letters take until there is room for them, in bytes.
    pub fn letters_bytes(&self) -> u64 {
        self.letters.bytes()
    }

    fn counters_with(&self, letters: u64) -> PartitionCounters {
        let mut counters = self.counters.clone();
        counters.dead_letters_written += letters;
        self.lacks.counted(&self.partition, counters)
    }

    /// Why dead letters do not reach their topic, if so.
    pub fn problem(&self) -> Option<KolError> {
        self.letters.problem()
    }
}

impl Records<'_> {
    /// Takes the next record of the log. All events of it are taken in before anything else happens: an
    /// epoch has them all or none.
    pub fn take(&mut self, record: &Record<'_>) {
        self.counters.bytes += record.value.map_or(0, <[u8]>::len) as u64;
        let (counters, rules, latest) = (&mut *self.counters, self.rules, self.latest);
        let (batch, letters, lacks) = (&mut self.batch, &mut *self.letters, &mut *self.lacks);
        let mut of_record = PartLetters::default();
        self.decoder.decode_each(record.value, |part, outcome| {
            counters.events += 1;
            lacks.event();
            let taken = outcome.and_then(|event| {
                let time = rules.time(&event, record, latest).inspect_err(|reject| {
                    if *reject == Reject::Ahead {
                        note_ahead(counters, letters.origin(), &event, record, latest.present);
                    }
                })?;
                rules.note(&event, record.offset, lacks, counters);
                apply(batch, &event, time)
            });
            let Err(reason) = taken else {
                return;
            };
            count(counters, reason);
            if reason != Reject::Late {
                lacks.note(reason.as_str(), record.offset);
            }
            if reason != Reject::Late || rules.reject_late {
                letters.reject(&mut of_record, record, part, reason);
            }
        });
    }
}

impl Rules {
    fn time(
        self,
        event: &Event<'_>,
        record: &Record<'_>,
        latest: Latest,
    ) -> Result<Millis, Reject> {
        let stated = event.event_time.filter(|_| !self.kafka_time);
        effective_time(stated, record.timestamp, latest.bound)
    }

    /// Notes what an event lacks.
    fn note(
        self,
        event: &Event<'_>,
        offset: u64,
        lacks: &mut Lacks,
        counters: &mut PartitionCounters,
    ) {
        for lack in Lack::ALL {
            let matters = lack == Lack::Counters || !self.kafka_time;
            if !matters || !lack.is_of(event) {
                continue;
            }
            lacks.note(lack.as_str(), offset);
            match lack {
                Lack::ReadableTime => counters.time_unreadable += 1,
                Lack::Counters => counters.without_counters += 1,
                Lack::Time => {}
            }
        }
    }
}

/// Keeps what a person needs to find the producer. Text that others wrote: bounded, and without allocation
/// after the first one, because a whole topic may be ahead.
fn note_ahead(
    counters: &mut PartitionCounters,
    origin: &SourcePartition,
    event: &Event<'_>,
    record: &Record<'_>,
    present: Millis,
) {
    let last = counters.last_ahead.get_or_insert_with(|| AheadEvent {
        partition: Some(origin.into()),
        ..AheadEvent::default()
    });
    last.offset = record.offset;
    last.event_ms = event.event_time.or(record.timestamp).unwrap_or_default().0;
    last.present_ms = present.0;
    write_text(&mut last.platform, &event.platform);
    write_text(&mut last.kol, &event.kol);
    match record.key {
        Some(key) => {
            let key = &key[..key.len().min(SHOWN)];
            let shown = last.key.get_or_insert_default();
            write_text(shown, &String::from_utf8_lossy(key));
        }
        None => last.key = None,
    }
}

fn write_text(text: &mut String, new: &str) {
    text.clear();
    text.extend(new.chars().take(SHOWN));
}

fn apply(batch: &mut Batch<'_>, event: &Event<'_>, time: Millis) -> Result<(), Reject> {
    match batch.take(event, time) {
        Applied::Counted => Ok(()),
        Applied::Late => Err(Reject::Late),
        Applied::TooManyPlatforms => Err(Reject::TooManyPlatforms),
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

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
