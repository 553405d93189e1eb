//! What speaks against the log's being the one that was read, and what becomes of the reader when that is looked into.

use std::time::Duration;

use kol_common::KolError;
use kol_common::proto::RecordMark;
use tokio::time::Instant;

use super::log_id::LogId;
use super::phase::{Doubt, Log, Phase, Range, Reading};
use super::range::{Evidence, Resume};
use super::recover::recover;
use super::trail::Trail;
use super::{Reader, Recovered};

/// How long nothing is read before it is known what an owner before had read.
const BEFORE_IS_KNOWN: Duration = Duration::from_millis(500);

impl Reader {
    pub(super) fn doubt(&mut self, reason: Doubt) {
        if let Phase::Reading(reading) = &mut self.phase {
            reading.doubt(reason);
        }
    }

    /// Doubts the log, because an owner before had read it up to `shown`, which is further than it goes. Answers
    /// whether the doubt can be looked into: not where logs have no identity.
    pub fn doubt_below(&mut self, now: Instant, shown: u64) -> bool {
        self.doubt(Doubt {
            shown: Some(shown),
            ..Doubt::new(now)
        });
        self.log_id.known().is_some()
    }

    /// What an owner before had read is about to be known: reading waits for that, if not for long.
    pub fn await_before(&mut self, now: Instant) {
        self.before_is_known_by = now + BEFORE_IS_KNOWN;
    }

    /// Compares the log with the last record that an owner before had read, as far as Redis was shown and that is known:
    /// another one in its place means that the log lost its tail since. It is compared when it is read, or looked up if
    /// that is over.
    pub fn compare_with(&mut self, now: Instant, last: Option<RecordMark>) {
        self.before_is_known_by = now;
        if last.is_some() {
            // That one is compared anyway when the log is opened.
            self.before = last.filter(|_| self.trail.last() != last);
        }
    }

    /// Whether nothing is known that speaks against the log's being the one that an owner before had read, and nothing
    /// is left to compare.
    pub fn is_same_log(&self) -> bool {
        match &self.phase {
            Phase::Reading(reading) => self.before.is_none() && !reading.is_compared(),
            Phase::Closed | Phase::Waiting => self.before.is_none(),
            Phase::Halted | Phase::Draining => true,
        }
    }

    /// The range of the log was answered: resumes where that allows it.
    ///
    /// # Errors
    /// Records are lost and the job must not lose any, or the log refuses.
    pub fn recover(&mut self, now: Instant, range: Range) -> Result<Recovered, KolError> {
        let Phase::Reading(reading) = &self.phase else {
            return Ok(Recovered::SameLog);
        };
        let found = match range {
            Ok(found) => found,
            Err(error) => {
                self.problem = Some(error);
                return Ok(Recovered::SameLog);
            }
        };
        let Log::Doubted { doubt, .. } = reading.log else {
            return Ok(Recovered::SameLog);
        };
        let evidence = Evidence {
            position: self.position,
            found,
            known: self.log_id.known(),
            confirmed: self.log_id.is_confirmed_since(doubt.since),
            doubt,
        };
        match recover(&self.assignment, &evidence)? {
            Resume::Here => {
                self.trail.forget_before(found.oldest);
                self.resume()?;
            }
            Resume::Later => {}
            Resume::BehindGap { at, lost } => {
                self.lost += lost;
                self.resume_at(at)?;
            }
            Resume::BeforeTail(tail) => return Ok(Recovered::LostTail(tail)),
            Resume::NewLog { at } => {
                self.new_logs += 1;
                self.log_start = Some(at);
                self.log_id = LogId::new(now, doubt.other);
                self.trail = Trail::default();
                self.before = None;
                self.resume_at(at)?;
                return Ok(Recovered::NewLog);
            }
        }
        Ok(Recovered::SameLog)
    }

    /// Continues at another offset, behind which nothing was read.
    fn resume_at(&mut self, offset: u64) -> Result<(), KolError> {
        (self.position, self.leader_epoch) = (offset, None);
        self.trail.forget_last();
        self.resume()
    }

    fn resume(&mut self) -> Result<(), KolError> {
        // The queue must be gone before the log is closed.
        self.phase = Phase::Closed;
        let queue = self.source.seek(&self.assignment.partition, self.place())?;
        self.phase = Phase::Reading(Reading::new(queue, self.trail.last()));
        Ok(())
    }
}
