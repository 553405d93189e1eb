//! What is read, from where, and how fast: the log of a partition, and the position in it.
//!
//! | file | does |
//! |---|---|
//! | `batches` | takes what has arrived, if it follows what was read |
//! | `phase` | what the reader is doing, and what it waits for |
//! | `pace`, `stall` | how fast it may read; how long it got nothing |
//! | `log_id` | whether the log is still the same: a machine |
//! | `trail` | what was read, by which a log is known again: a machine |
//! | `doubts`, `range`, `recover` | what speaks against the log, and where to resume when it does not have the position |
//!
//! The reader hands records to whatever takes them ([`Reader::read`]) and knows nothing of what becomes
//! of them.

mod batches;
mod doubts;
mod log_id;
mod pace;
mod phase;
mod range;
mod recover;
mod stall;
mod trail;

use std::sync::Arc;
use std::time::Duration;

use kol_common::KolError;
use kol_common::proto::{PartitionCheckpoint, PartitionCounters, RecordMark};
use tokio::time::Instant;
use uuid::Uuid;

pub use self::log_id::LogId;
use self::pace::Pace;
pub use self::phase::News;
use self::phase::{Arrivals, Doubt, Log, Phase, Reading};
use self::stall::Stall;
use self::trail::Trail;
use crate::partition::message::{Assignment, LostTail};
use crate::source::{LogEnd, Place, Source};

/// Records taken in between two looks at anything else: less than a millisecond of work.
pub const BATCH: usize = 1_024;
/// Lag above which a partition is far behind: then intermediate scores are not worth sending.
const BEHIND: u64 = 20_000;

/// See the module.
#[derive(Debug)]
pub struct Reader {
    assignment: Arc<Assignment>,
    source: Source,
    phase: Phase,
    /// Offset of the next record.
    position: u64,
    /// Leader epoch of the record before that, if it is known.
    leader_epoch: Option<i32>,
    trail: Trail,
    /// A record that an owner before had read, and that is still to be compared.
    before: Option<RecordMark>,
    /// Until then nothing is read, unless that is known sooner: it is compared as it is read then, and need not be looked up.
    before_is_known_by: Instant,
    pace: Pace,
    stall: Stall,
    log_id: LogId,
    /// Records to the end of the log, as last looked up.
    lag: Option<u64>,
    problem: Option<KolError>,
    /// Records that were deleted before they were read, and recreated topics that were read.
    lost: u64,
    new_logs: u64,
    /// Where the log began that took the place of the one that was assigned.
    log_start: Option<u64>,
}

/// What became of a log that was in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// The state is still of the log that is read.
    SameLog,
    /// Another log is read from its beginning: the state must start over.
    NewLog,
    /// The log lost records that the state has: the partition must go back before them.
    LostTail(LostTail),
}

impl Reader {
    /// At the start of the assignment, with nothing open.
    pub fn new(assignment: Arc<Assignment>, source: Source, now: Instant) -> Self {
        Self {
            position: assignment.resume_at.unwrap_or(assignment.offset),
            leader_epoch: None,
            trail: Trail::default(),
            before: None,
            before_is_known_by: now,
            pace: Pace::new(assignment.spec.source.max_rate_per_partition(), now),
            stall: Stall::new(now),
            log_id: LogId::new(now, assignment.topic_id),
            phase: Phase::Closed,
            lag: None,
            problem: None,
            lost: 0,
            new_logs: 0,
            log_start: None,
            assignment,
            source,
        }
    }

    /// Resumes from a checkpoint.
    pub fn restored(&mut self, now: Instant, checkpoint: &PartitionCheckpoint) {
        let counters = checkpoint.counters.as_ref();
        (self.lost, self.new_logs) = counters.map_or((0, 0), |c| (c.lost, c.new_logs));
        self.trail = Trail::restored(checkpoint, &self.assignment.kept);
        (self.position, self.leader_epoch) = match self.assignment.resume_at {
            Some(offset) => {
                // What lay behind it was read, and no longer exists.
                self.trail.forget_last();
                (offset, None)
            }
            None => (checkpoint.offset, checkpoint.leader_epoch),
        };
        let topic = Uuid::from_slice(&checkpoint.topic_id).ok();
        self.log_id = LogId::new(now, topic.or(self.assignment.topic_id));
    }

    /// Reads nothing until there is memory for it: what was fetched and not read is fetched again then. How much is
    /// left to read stays known. A log that is in doubt stays open.
    pub fn wait(&mut self) {
        let may_wait = match &self.phase {
            Phase::Closed => true,
            Phase::Reading(reading) => matches!(reading.log, Log::Trusted),
            Phase::Waiting | Phase::Halted | Phase::Draining => false,
        };
        if may_wait {
            // The queue must be gone before the log is paused.
            self.phase = Phase::Waiting;
            self.source.pause(&self.assignment.partition);
        }
    }

    /// Whether it waits for memory.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting)
    }

    /// Opens the log at the last record that was read, or at the position without one.
    ///
    /// # Errors
    /// The log refuses.
    pub fn open(&mut self) -> Result<(), KolError> {
        let queue = self.source.open(&self.assignment.partition, self.place())?;
        self.phase = Phase::Reading(Reading::new(queue, self.trail.last()));
        Ok(())
    }

    fn place(&self) -> Place {
        Place {
            offset: self.trail.last().map_or(self.position, |last| last.offset),
            leader_epoch: self.leader_epoch,
        }
    }

    /// Reads nothing more.
    pub fn halt(&mut self) {
        if !self.is_halted() {
            self.leave_for(Phase::Halted);
        }
    }

    /// Reads nothing more; the partition ends once Redis has confirmed everything.
    pub fn drain(&mut self) {
        self.leave_for(Phase::Draining);
    }

    /// The partition ends.
    pub fn close(&mut self) {
        self.leave_for(Phase::Closed);
    }

    /// The queue must be gone before the log is closed.
    fn leave_for(&mut self, phase: Phase) {
        let was_closed = self.is_halted();
        self.phase = phase;
        if !was_closed {
            self.source.close(&self.assignment.partition);
        }
    }

    /// Waits for news; for records only if they are `wanted` and the pace allows them now.
    pub async fn news(&mut self, now: Instant, wanted: bool) -> News {
        let in_time = self.ready_at().is_none_or(|at| now >= at);
        match &mut self.phase {
            Phase::Reading(reading) => reading.news(wanted && in_time).await,
            Phase::Closed | Phase::Waiting | Phase::Halted | Phase::Draining => {
                std::future::pending().await
            }
        }
    }

    /// Looks up what is known of the log, now and then: its end, whether it is another one, and its range
    /// when that is in doubt. A queue that takes more memory than there is for it is opened again.
    ///
    /// # Errors
    /// The log refuses.
    pub fn look(&mut self, now: Instant) -> Result<(), KolError> {
        self.lag = self.end().map(|log| log.end.saturating_sub(self.position));
        let identity = self.source.identity(&self.assignment.partition);
        let other = identity.and_then(|answer| self.log_id.answered(answer));
        if let Phase::Reading(reading) = &self.phase
            && reading.queue.is_outgrown()
        {
            self.reopen()?;
        }
        let Phase::Reading(reading) = &mut self.phase else {
            return Ok(());
        };
        // A wake-up that got lost costs the time between two looks at most.
        reading.arrivals = Arrivals::Likely;
        if other.is_some() {
            reading.doubt(Doubt {
                other,
                ..Doubt::new(now)
            });
        }
        if let Some(read) = self.before.take_if(|read| read.offset < self.position) {
            reading.doubt(Doubt {
                read: Some(read),
                ..Doubt::new(now)
            });
        }
        if let Log::Doubted { doubt, query } = &mut reading.log {
            let (trail, partition) = (&self.trail, &self.assignment.partition);
            query.get_or_insert_with(|| trail.examine(&self.source, partition, doubt));
        }
        Ok(())
    }

    /// Opens the log again where it is read; a doubt about it stays.
    fn reopen(&mut self) -> Result<(), KolError> {
        let Phase::Reading(Reading { log, .. }) = std::mem::replace(&mut self.phase, Phase::Closed)
        else {
            return Ok(());
        };
        let queue = self.source.seek(&self.assignment.partition, self.place())?;
        self.phase = Phase::Reading(Reading {
            log,
            ..Reading::new(queue, self.trail.last())
        });
        Ok(())
    }

    /// Whether anything came since the log was opened.
    pub fn has_read(&self) -> bool {
        match &self.phase {
            Phase::Reading(reading) => reading.begun,
            Phase::Closed | Phase::Waiting | Phase::Halted | Phase::Draining => true,
        }
    }

    /// Memory that fetched records take, in bytes, about.
    pub fn queue_bytes(&self) -> u64 {
        match &self.phase {
            Phase::Reading(reading) => reading.queue.bytes(),
            Phase::Closed | Phase::Waiting | Phase::Halted | Phase::Draining => 0,
        }
    }

    /// Offset of the next record.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Leader epoch of the record before the position, if it is known.
    pub fn leader_epoch(&self) -> Option<i32> {
        self.leader_epoch
    }

    /// The last record that was read, if it is known.
    pub fn last_record(&self) -> Option<RecordMark> {
        self.trail.last()
    }

    /// An epoch ends at the position.
    pub fn epoch_ends(&mut self) {
        self.trail.epoch_ends(self.position);
    }

    /// The end of the log, as last answered.
    pub fn end(&self) -> Option<LogEnd> {
        self.source.end(&self.assignment.partition)
    }

    /// The id of the log that the state is of.
    pub fn log_id(&self) -> Option<Uuid> {
        self.log_id.known()
    }

    /// Where the log began that took the place of the one that was assigned, if one did.
    pub fn log_start(&self) -> Option<u64> {
        self.log_start
    }

    /// Whether records are awaited, of a log that nothing speaks against.
    pub fn is_settled(&self) -> bool {
        match &self.phase {
            Phase::Reading(reading) => {
                reading.begun && matches!(reading.log, Log::Trusted) && self.before.is_none()
            }
            Phase::Closed | Phase::Waiting | Phase::Halted | Phase::Draining => false,
        }
    }

    /// Whether nothing is open yet.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether nothing more is read.
    pub fn is_halted(&self) -> bool {
        matches!(self.phase, Phase::Halted | Phase::Draining)
    }

    /// Whether the partition is to end once Redis has confirmed everything.
    pub fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining)
    }

    /// Whether so much is left to read that intermediate scores are not worth sending.
    pub fn is_behind(&self) -> bool {
        match &self.phase {
            Phase::Reading(reading) => self
                .lag
                .map_or(reading.arrivals == Arrivals::Likely, |lag| lag > BEHIND),
            Phase::Waiting => self.lag.is_none_or(|lag| lag > BEHIND),
            Phase::Closed | Phase::Halted | Phase::Draining => false,
        }
    }

    /// When the next record may be read, where that is limited.
    pub fn ready_at(&self) -> Option<Instant> {
        self.pace.ready_at().max(Some(self.before_is_known_by))
    }

    /// The longest time without records in the last one to two seconds.
    pub fn longest_stall(&mut self, now: Instant) -> Duration {
        self.stall.longest(now)
    }

    /// Why the log cannot be read, if so.
    pub fn problem(&self) -> Option<KolError> {
        self.problem.clone().or_else(|| self.source.problem())
    }

    /// Counters with what the log lost.
    pub fn counted(&self, counters: PartitionCounters) -> PartitionCounters {
        PartitionCounters {
            lost: self.lost,
            new_logs: self.new_logs,
            ..counters
        }
    }
}

#[cfg(test)]
mod regrown_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;
