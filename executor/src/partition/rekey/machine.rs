//! What a partition of the first stage decides: a machine without I/O.
//!
//! 1. Nothing is read before owners before are fenced, and the committed position is known: in that order, for an owner
//!    before could commit a newer one until it is fenced.
//! 2. Without a committed position reading starts where the assignment says, unless there was one: then nobody knows
//!    where, and the partition ends.
//! 3. A position is of the topic whose id stands beside it. Nothing is read before the topic that has the name now was
//!    seen: another one is read from its beginning.
//! 4. A transaction is committed when its oldest record has waited for the interval, or when it is full; and only once
//!    the dead letters of what was read have arrived. While it is committed, and once it is full, nothing is read.
//! 5. What is committed is all that counts as read, unless nothing was written or rejected since.
//! 6. A position is committed again now and then, for Kafka forgets those that are old.
//! 7. A drain commits what was read, and ends. Whatever fails in a transaction ends the partition: the next owner reads
//!    what was committed.

use std::time::Duration;

use kol_common::{KolError, Millis, SourcePartition};
use tokio::time::Instant;
use uuid::Uuid;

use crate::partition::message::Ended;
use crate::partition::reader::LogId;
use crate::source::{Committed, Identity, Refusal};

/// A transaction with so many records, or bytes of them, is full.
const MOST_RECORDS: u64 = 10_000;
const MOST_BYTES: u64 = 8 << 20;
/// How long a committed position is not committed again.
const RENEWED_AFTER: Duration = Duration::from_secs(3_600);
/// Between a request that failed and the next one.
const AGAIN: Duration = Duration::from_secs(1);

/// What is known of a partition when it starts.
#[derive(Clone, Debug)]
pub struct Start {
    /// The partition that is read.
    pub partition: SourcePartition,
    /// Where it starts without a committed position.
    pub offset: u64,
    /// The topic that this is of.
    pub topic: Option<Uuid>,
    /// There was a committed position.
    pub has_position: bool,
    /// A recreated topic ends the job.
    pub must_not_lose: bool,
    /// How long a record may wait for its commit.
    pub interval: Millis,
}

/// What happens to the partition.
#[derive(Clone, Debug)]
pub enum Message {
    /// The partition is to start.
    Begin,
    /// Owners before are fenced, or why not.
    Fenced(Result<(), Refusal>),
    /// What was committed.
    Found(Result<Option<Committed>, Refusal>),
    /// The topic that has the name now.
    Seen(Identity),
    /// The oldest offset of that topic.
    Oldest(Result<u64, KolError>),
    /// Records were read up to `position`, which is behind the last one.
    Read {
        /// Offset of the next record.
        position: u64,
        /// Records that were written or rejected.
        records: u64,
        /// Bytes that were written.
        bytes: u64,
    },
    /// The transaction was committed, or why not.
    Committed(Result<(), Refusal>),
    /// A record cannot be written, or the log is not what it was: what was read since the last commit does not count.
    Broken(Refusal),
    /// The log ends here, before what was read of it.
    CutOff(u64),
    /// Time has passed. Whether the dead letters of what was read have arrived.
    Tick {
        /// All dead letters so far are in their topic.
        letters_arrived: bool,
    },
    /// Commit what was read, and end.
    Drain,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Fence owners before.
    Fence,
    /// Look for the committed position.
    Find,
    /// Look for the oldest offset of the topic.
    FindOldest,
    /// Read from here.
    Open(Committed),
    /// Commit what was read up to here.
    Commit(Committed),
    /// The partition ends.
    End(Ended),
}

/// What it waits for.
#[derive(Clone, Debug)]
enum Phase {
    Fencing,
    Finding,
    /// For the topic that has the name now: the position is of the one that `log` knows.
    Seeing {
        offset: u64,
        log: LogId,
    },
    /// For where this other topic begins.
    Beginning(Uuid),
    Reading,
    Committing(Committed),
    Ended,
}

/// What was read since the last commit.
#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    records: u64,
    bytes: u64,
    /// When the first of them was read.
    since: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    start: Start,
    phase: Phase,
    /// What Kafka has, or where reading began without.
    committed: Committed,
    has_position: bool,
    committed_at: Instant,
    /// Transactions that were committed.
    count: u64,
    /// Offset of the next record to read.
    position: u64,
    pending: Pending,
    /// The position is to be committed whatever was read.
    moved: bool,
    draining: Option<Instant>,
    /// When what failed is tried again, and why it failed.
    again: Option<(Instant, KolError)>,
}

impl Machine {
    /// With nothing done yet.
    pub fn new(now: Instant, start: Start) -> Self {
        Self {
            phase: Phase::Fencing,
            committed: Committed {
                offset: start.offset,
                topic: start.topic,
            },
            has_position: start.has_position,
            committed_at: now,
            count: 0,
            position: start.offset,
            pending: Pending::default(),
            moved: false,
            draining: None,
            again: None,
            start,
        }
    }

    /// Takes a message, appends what is to be done.
    pub fn handle(&mut self, now: Instant, message: Message, out: &mut Vec<Effect>) {
        match (message, &mut self.phase) {
            (_, Phase::Ended) => {}
            (Message::Drain, _) => {
                self.draining.get_or_insert(now);
            }
            (Message::Tick { letters_arrived }, _) => return self.tick(now, letters_arrived, out),
            (Message::Begin, Phase::Fencing) => out.push(Effect::Fence),
            (Message::Fenced(fenced), Phase::Fencing) => match fenced {
                Ok(()) => self.next(Phase::Finding, Effect::Find, out),
                Err(refusal) => self.refused(now, refusal, out),
            },
            (Message::Found(found), Phase::Finding) => match found {
                Ok(found) => self.found(now, found, out),
                Err(refusal) => self.refused(now, refusal, out),
            },
            (Message::Seen(identity), Phase::Seeing { offset, log }) => {
                let offset = *offset;
                if let Some(other) = log.answered(identity) {
                    if self.start.must_not_lose {
                        let ended = Ended::Failed(self.recreated(other));
                        return self.end(ended, out);
                    }
                    self.next(Phase::Beginning(other), Effect::FindOldest, out);
                } else if log.known() == Some(identity.topic) {
                    self.open(offset, identity.topic, out);
                }
            }
            (Message::Oldest(oldest), Phase::Beginning(topic)) => match oldest {
                Ok(offset) => {
                    let topic = *topic;
                    self.moved = true;
                    self.open(offset, topic, out);
                }
                Err(error) => self.refused(now, Refusal::Again(error), out),
            },
            (
                Message::Read {
                    position,
                    records,
                    bytes,
                },
                Phase::Reading,
            ) => {
                self.position = position;
                self.pending.records += records;
                self.pending.bytes += bytes;
                if records > 0 {
                    self.pending.since.get_or_insert(now);
                }
            }
            (Message::Committed(Ok(())), Phase::Committing(position)) => {
                self.committed = *position;
                self.phase = Phase::Reading;
                self.has_position = true;
                self.committed_at = now;
                self.count += 1;
                self.pending = Pending::default();
                self.moved = false;
            }
            (Message::Committed(Err(refusal)) | Message::Broken(refusal), _) => {
                self.failed(refusal, out);
            }
            (Message::CutOff(end), Phase::Reading) => {
                // What was read behind that end does no harm: it was there. It cannot be read again.
                self.position = end;
                self.moved = true;
            }
            (
                Message::Begin
                | Message::Fenced(_)
                | Message::Found(_)
                | Message::Seen(_)
                | Message::Oldest(_)
                | Message::Read { .. }
                | Message::Committed(Ok(()))
                | Message::CutOff(_),
                _,
            ) => {}
        }
        self.end_if_drained(out);
    }

    fn next(&mut self, phase: Phase, effect: Effect, out: &mut Vec<Effect>) {
        self.phase = phase;
        self.again = None;
        out.push(effect);
    }

    fn found(&mut self, now: Instant, found: Option<Committed>, out: &mut Vec<Effect>) {
        if found.is_none() && self.start.has_position {
            return self.end(Ended::Failed(self.lost()), out);
        }
        self.has_position = found.is_some();
        self.committed = found.unwrap_or(self.committed);
        self.position = self.committed.offset;
        self.again = None;
        self.phase = Phase::Seeing {
            offset: self.committed.offset,
            log: LogId::new(now, self.committed.topic),
        };
    }

    fn open(&mut self, offset: u64, topic: Uuid, out: &mut Vec<Effect>) {
        let place = Committed {
            offset,
            topic: Some(topic),
        };
        (self.committed, self.position) = (place, offset);
        self.next(Phase::Reading, Effect::Open(place), out);
    }

    fn tick(&mut self, now: Instant, letters_arrived: bool, out: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Reading if letters_arrived && self.is_due(now) => {
                let position = Committed {
                    offset: self.position,
                    ..self.committed
                };
                self.next(Phase::Committing(position), Effect::Commit(position), out);
            }
            _ if self.again.as_ref().is_none_or(|(at, _)| now < *at) => {}
            Phase::Fencing => self.next(Phase::Fencing, Effect::Fence, out),
            Phase::Finding => self.next(Phase::Finding, Effect::Find, out),
            Phase::Beginning(topic) => {
                self.next(Phase::Beginning(*topic), Effect::FindOldest, out);
            }
            Phase::Seeing { .. } | Phase::Reading | Phase::Committing(_) | Phase::Ended => {}
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        if self.is_clean() {
            let is_old = now >= self.committed_at + RENEWED_AFTER;
            return self.has_position && is_old && self.draining.is_none();
        }
        let interval = Duration::from_millis(self.start.interval.0);
        let waited = self
            .pending
            .since
            .is_some_and(|since| now >= since + interval);
        self.moved || self.draining.is_some() || self.is_full() || waited
    }

    /// Whether everything that was read is committed.
    fn is_clean(&self) -> bool {
        self.pending.records == 0 && !self.moved
    }

    fn is_full(&self) -> bool {
        self.pending.records >= MOST_RECORDS || self.pending.bytes >= MOST_BYTES
    }

    fn end_if_drained(&mut self, out: &mut Vec<Effect>) {
        let Some(stopped) = self.draining else {
            return;
        };
        let drained = match self.phase {
            Phase::Reading if self.is_clean() => true,
            // Nothing was read.
            Phase::Fencing | Phase::Finding | Phase::Seeing { .. } | Phase::Beginning(_) => false,
            Phase::Reading | Phase::Committing(_) | Phase::Ended => return,
        };
        self.end(self.released(drained, stopped), out);
    }

    /// What is said at the end of an owner that stops on request.
    pub fn released(&self, drained: bool, stopped: Instant) -> Ended {
        Ended::Released {
            position: self.reported(),
            drained,
            stopped,
        }
    }

    fn refused(&mut self, now: Instant, refusal: Refusal, out: &mut Vec<Effect>) {
        match refusal {
            Refusal::Again(error) if error.retryable => self.again = Some((now + AGAIN, error)),
            refusal => self.failed(refusal, out),
        }
    }

    fn failed(&mut self, refusal: Refusal, out: &mut Vec<Effect>) {
        let error = match refusal {
            Refusal::Fenced(why) => {
                let what = format!("another owner writes under the name of this one: {why}");
                KolError::external("REKEY_FENCED", what)
            }
            Refusal::Aborted(why) if why.retryable => {
                let what =
                    format!("a transaction failed, and what was read in it is read again: {why}");
                KolError::external("REKEY_ABORTED", what)
            }
            Refusal::Aborted(why) | Refusal::Again(why) => why,
        };
        self.end(Ended::Failed(error.partition(&self.start.partition)), out);
    }

    fn lost(&self) -> KolError {
        let what = "Kafka has no position of a partition that had one: reading from anywhere would double \
                    records or lose them";
        KolError::user("REKEY_POSITION_LOST", what)
            .partition(&self.start.partition)
            .help(
                "Kafka forgets the positions of a group after offsets.retention.minutes. Set the group's offsets \
                 (kafka-consumer-groups.sh --reset-offsets), or give the job another internal topic: \
                 source.rekey.topic.",
            )
    }

    fn recreated(&self, other: Uuid) -> KolError {
        let what = format!("the topic was recreated: its id is {other} now");
        KolError::user("DATA_LOSS", what)
            .partition(&self.start.partition)
            .offset(self.committed.offset)
            .help(
                "Set source.on_data_loss = \"continue\" to read the new topic from its beginning.",
            )
    }

    fn end(&mut self, ended: Ended, out: &mut Vec<Effect>) {
        self.phase = Phase::Ended;
        self.again = None;
        out.push(Effect::End(ended));
    }

    /// Whether records are to be read.
    pub fn reads(&self) -> bool {
        matches!(self.phase, Phase::Reading) && self.draining.is_none() && !self.is_full()
    }

    /// Whether the topic that has the name is to be looked at.
    pub fn looks(&self) -> bool {
        matches!(self.phase, Phase::Seeing { .. })
    }

    /// Whether it is known where to read.
    pub fn has_begun(&self) -> bool {
        matches!(self.phase, Phase::Reading | Phase::Committing(_))
    }

    /// Whether it ends once everything is committed.
    pub fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// When there is something to do at the latest.
    pub fn wake_at(&self) -> Option<Instant> {
        let interval = Duration::from_millis(self.start.interval.0);
        let due = self.pending.since.map(|since| since + interval);
        let due = due.filter(|_| matches!(self.phase, Phase::Reading));
        let again = self.again.as_ref().map(|(at, _)| *at);
        due.into_iter().chain(again).min()
    }

    /// How far the partition counts as read.
    pub fn reported(&self) -> u64 {
        if self.is_clean() {
            self.position
        } else {
            self.committed.offset
        }
    }

    /// Whether Kafka has a position, and how many transactions were committed.
    pub fn progress(&self) -> (bool, u64) {
        (self.has_position, self.count)
    }

    /// The topic that is read, once that is known.
    pub fn topic(&self) -> Option<Uuid> {
        self.committed.topic
    }

    /// Why it does not get on, if so.
    pub fn problem(&self) -> Option<&KolError> {
        self.again.as_ref().map(|(_, error)| error)
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
