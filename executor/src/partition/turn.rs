//! What a partition takes of the memory of the process, and whose turn it is to fetch while memory is short.

use std::time::Duration;

use kol_common::KolError;
use tokio::time::Instant;

use super::delivery::Outbox;
use super::reader::Reader;
use super::stage::Intake;
use crate::memory::{Memory, Share, Use};

/// How long a partition fetches while others wait for the memory: many batches.
const TURN: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Turn {
    memory: Memory,
    state: Share,
    queue: Share,
    letters: Share,
    /// How long others that wait for memory let this partition fetch.
    ends_at: Instant,
}

impl Turn {
    pub(super) fn new(memory: Memory, now: Instant) -> Self {
        Self {
            state: memory.share(Use::State),
            queue: memory.share(Use::Queues),
            letters: memory.share(Use::DeadLetters),
            memory,
            ends_at: now,
        }
    }

    /// Memory of the process.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Opens the log when there is memory for what will be fetched, and makes room for others after a while when
    /// they wait, or when nothing may be read.
    pub(super) fn take(&mut self, now: Instant, reader: &mut Reader) -> Result<(), KolError> {
        if reader.is_waiting() {
            if self.memory.admit(&mut self.queue) {
                reader.open()?;
                self.ends_at = now + TURN;
            }
            return Ok(());
        }
        let bytes = reader.queue_bytes();
        self.memory.queues().note(bytes);
        // Until something came, what is expected counts.
        let fetches = reader.has_read() || now >= self.ends_at;
        if fetches {
            self.queue.set(bytes);
        }
        let over = self.memory.queues().are_crowded() && now >= self.ends_at;
        if bytes > 0 && (over || self.memory.is_full()) {
            reader.wait();
            // A log in doubt stays open, with what it fetched.
            if reader.is_waiting() {
                self.queue.set(0);
            }
        }
        Ok(())
    }

    /// Says how much memory a partition without a state takes: records that it writes, and dead letters.
    pub(super) fn weigh_written(&mut self, records: u64, letters: u64) {
        self.state.set(records);
        self.letters.set(letters);
    }

    /// Says how much memory the partition takes.
    pub(super) fn weigh(&mut self, intake: &Intake, outbox: &Outbox) {
        let (_, _, state) = intake.state().size();
        self.state.set((state + outbox.bytes()) as u64);
        self.letters.set(intake.letters_bytes());
    }
}
