//! When a partition may send to Redis, and what Redis has confirmed: a machine without I/O.
//!
//! 1. Nothing is sent before the fence was claimed, nor until position and window end have reached
//!    what the fence record says Redis may show already (the hold rule): no reader sees a ranking
//!    shrink and grow again.
//! 2. One flush at a time. Its sequence is larger than any before, also after a failure.
//! 3. A flush that was cut short by its limit confirms nothing; one that took everything confirms
//!    the position, window end and market version at which it was taken.
//! 4. The next flush begins no sooner than the interval after the last one began, unless that could not take what was
//!    due; and with a turn, which keeps Redis at most half busy with all partitions of this executor.
//! 5. A failed flush is tried again after a back-off that doubles up to two seconds, with jitter. A fence that
//!    Redis lost is claimed again, and everything sent again; so it is under a newer generation.

use std::time::Duration;

use kol_common::proto::Confirmed;
use kol_common::retry::Backoff;
use tokio::time::Instant;

use crate::sink::{Claimed, Flushed, SinkError};

/// Pace of the flushes.
#[derive(Clone, Copy, Debug)]
pub struct FlushLimits {
    /// `sink.flush_interval`.
    pub interval: Duration,
}

/// Wait for memory that other partitions' flushes take.
const NO_ROOM: Duration = Duration::from_millis(50);
/// Bounds of the back-off after a failure.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How often the fence record is looked at: by a partition that looks after itself once a second, each time.
const LOOK_EVERY: Duration = Duration::from_millis(900);

/// See the module.
#[derive(Debug)]
pub struct Flusher {
    limits: FlushLimits,
    fence: FenceState,
    hold: Option<(u64, u64)>,
    sequence: u64,
    /// `seq_done` that Redis confirmed last, to this owner or to one before it.
    done: u64,
    flight: Option<Flight>,
    next_at: Instant,
    look_at: Instant,
    back_off: Backoff,
    confirmed: Option<Confirmed>,
    /// Where the partition was when the newest flush began that Redis confirmed.
    arrived: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FenceState {
    Unclaimed,
    Claiming,
    Held,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    begun: Instant,
    /// Where the partition was, unless that is of a log that no longer exists.
    position: Option<u64>,
    /// What it confirms, if it took everything.
    confirms: Option<Confirmed>,
}

/// What to do after an answer of the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing out of the ordinary.
    Continue,
    /// What was in flight must be sent again.
    SendAgain,
    /// Redis lost data: everything must be sent again.
    SendEverything,
    /// Redis has nothing of this generation yet, and more was confirmed of the one before: everything must be sent again.
    BeginGeneration,
    /// Another owner holds the fence: this partition must end.
    Stop,
}

impl Flusher {
    /// The owner before had been confirmed this sequence: a record that knows less has lost writes.
    pub fn restored(&mut self, done: u64) {
        self.done = done;
    }

    /// Claims at the first [`Flusher::begin_claim`].
    pub fn new(limits: FlushLimits, now: Instant) -> Self {
        Self {
            limits,
            fence: FenceState::Unclaimed,
            hold: None,
            sequence: 0,
            done: 0,
            flight: None,
            next_at: now,
            look_at: now + LOOK_EVERY,
            back_off: Backoff::new(BACK_OFF.0, BACK_OFF.1),
            confirmed: None,
            arrived: None,
        }
    }

    /// Whether the fence should be claimed now; if so the caller claims it and reports the answer.
    pub fn begin_claim(&mut self, now: Instant) -> bool {
        let due = self.fence == FenceState::Unclaimed && self.flight.is_none();
        if due && now >= self.next_at {
            self.fence = FenceState::Claiming;
            return true;
        }
        false
    }

    /// The answer to a claim.
    pub fn claimed(&mut self, now: Instant, answer: &Result<Claimed, SinkError>) -> Next {
        match answer {
            Ok(claimed) => {
                self.fence = FenceState::Held;
                // After a loss the state here is ahead of any record: there is nothing to hold for.
                if self.sequence == 0 {
                    self.hold = claimed.shown;
                }
                self.sequence = self.sequence.max(claimed.begun).max(self.done);
                self.back_off.succeeded();
                self.next_at = now;
                if claimed.done < std::mem::replace(&mut self.done, claimed.done) {
                    return if claimed.raised {
                        Next::BeginGeneration
                    } else {
                        Next::SendEverything
                    };
                }
                Next::Continue
            }
            Err(SinkError::Fenced | SinkError::TakenOver(_)) => Next::Stop,
            Err(_) => {
                self.fence = FenceState::Unclaimed;
                self.wait(now);
                Next::Continue
            }
        }
    }

    /// Position and window end reached: may lift the hold.
    pub fn reached(&mut self, position: u64, window_end: u64) {
        if self
            .hold
            .is_some_and(|(p, t)| position >= p && window_end >= t)
        {
            self.hold = None;
        }
    }

    /// What Redis may show already and the partition has not reached yet.
    pub fn holding(&self) -> Option<(u64, u64)> {
        self.hold
    }

    /// Gives up the hold, and what was confirmed or is about to be: all of it is of a log that no longer
    /// exists.
    pub fn release(&mut self) {
        self.hold = None;
        self.confirmed = None;
        self.arrived = None;
        if let Some(flight) = &mut self.flight {
            (flight.confirms, flight.position) = (None, None);
        }
    }

    /// The same, and claims the fence again, for another log.
    pub fn claim_again(&mut self, now: Instant) {
        self.release();
        self.fence = FenceState::Unclaimed;
        self.next_at = now;
    }

    /// Whether the fence is held.
    pub fn is_claimed(&self) -> bool {
        self.fence == FenceState::Held
    }

    /// When a flush may begin; `None` while none may.
    pub fn next_at(&self) -> Option<Instant> {
        self.is_ready().then_some(self.next_at)
    }

    /// Whether a flush may begin, if not now.
    pub fn is_ready(&self) -> bool {
        self.fence == FenceState::Held && self.hold.is_none() && self.flight.is_none()
    }

    /// Begins a flush at this position: its sequence. `confirms` is what it confirms, if it takes everything.
    pub fn begin(&mut self, now: Instant, position: u64, confirms: Option<Confirmed>) -> u64 {
        self.sequence += 1;
        self.flight = Some(Flight {
            begun: now,
            position: Some(position),
            confirms: confirms.map(|c| Confirmed {
                sequence: self.sequence,
                ..c
            }),
        });
        self.sequence
    }

    /// The flush that was confirmed could not take all that was due: the rest need not wait for the interval.
    pub fn continue_at_once(&mut self, now: Instant) {
        self.next_at = now;
    }

    /// There is no memory for a flush now.
    pub fn put_off(&mut self, now: Instant) {
        self.next_at = now + self.limits.interval.max(NO_ROOM);
    }

    /// Sequence of the last flush that Redis confirmed.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The sequence that `begin` will give out.
    pub fn next_sequence(&self) -> u64 {
        self.sequence + 1
    }

    /// The answer to a flush.
    pub fn flushed(&mut self, now: Instant, answer: &Result<Flushed, SinkError>) -> Next {
        let Some(flight) = self.flight.take() else {
            return Next::Continue;
        };
        match answer {
            Ok(_) => {
                self.done = self.sequence;
                self.back_off.succeeded();
                self.look_at = now + LOOK_EVERY;
                if flight.confirms.is_some() {
                    self.confirmed = flight.confirms;
                }
                self.arrived = flight.position.or(self.arrived);
                self.next_at = flight.begun + self.limits.interval;
                Next::Continue
            }
            Err(SinkError::Fenced | SinkError::TakenOver(_)) => Next::Stop,
            Err(SinkError::Lost) => {
                self.lost(now);
                Next::SendEverything
            }
            Err(SinkError::Unavailable(_)) => {
                self.wait(now);
                Next::SendAgain
            }
        }
    }

    /// There is nothing to send at this position, and nothing at all where it `confirms` something: Redis has everything
    /// up to here.
    pub fn nothing_to_send(&mut self, position: u64, confirms: Option<Confirmed>) {
        if self.is_ready() {
            let confirmed = confirms.map(|at| Confirmed {
                sequence: self.sequence,
                ..at
            });
            self.confirmed = confirmed.or(self.confirmed);
            self.arrived = Some(position);
        }
    }

    /// Where the partition was when the newest flush began that Redis confirmed: what changed up to there is in Redis, or
    /// the first of it.
    pub fn arrived(&self) -> Option<u64> {
        self.arrived
    }

    /// What Redis has confirmed.
    pub fn confirmed(&self) -> Option<Confirmed> {
        self.confirmed
    }

    /// Whether the fence record should be looked at now; if so the caller looks and reports.
    pub fn begin_look(&mut self, now: Instant) -> bool {
        let due = self.fence == FenceState::Held && self.flight.is_none() && now >= self.look_at;
        if due {
            self.look_at = now + LOOK_EVERY;
        }
        due
    }

    /// The answer to a look: the `seq_done` on record.
    pub fn looked(&mut self, now: Instant, answer: &Result<u64, SinkError>) -> Next {
        match answer {
            // A flush that began after the look may have moved it on; less means lost writes.
            Ok(done) if *done >= self.done => Next::Continue,
            Err(SinkError::Fenced | SinkError::TakenOver(_)) => Next::Stop,
            Err(SinkError::Unavailable(_)) => Next::Continue,
            Ok(_) | Err(SinkError::Lost) if self.fence == FenceState::Held => {
                self.lost(now);
                Next::SendEverything
            }
            Ok(_) | Err(SinkError::Lost) => Next::Continue,
        }
    }

    /// The answer to a comparison, or to snapshots of the rankings.
    pub fn compared<T>(&mut self, now: Instant, answer: &Result<T, SinkError>) -> Next {
        match answer {
            Err(SinkError::Fenced | SinkError::TakenOver(_)) => Next::Stop,
            Err(SinkError::Lost) => {
                self.lost(now);
                Next::SendEverything
            }
            Ok(_) | Err(SinkError::Unavailable(_)) => Next::Continue,
        }
    }

    fn lost(&mut self, now: Instant) {
        self.fence = FenceState::Unclaimed;
        self.confirmed = None;
        self.arrived = None;
        self.done = 0;
        self.next_at = now;
    }

    fn wait(&mut self, now: Instant) {
        self.next_at = now + self.back_off.failed();
    }
}

#[cfg(test)]
#[path = "flush_tests.rs"]
mod tests;
