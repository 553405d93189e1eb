//! The way of a partition's unusable records to their topic. Rules:
//!
//! 1. A letter is offered in order. While the topic has no room, it and those behind it wait.
//! 2. A letter that could not be written comes back and is offered again, after [`PAUSE`]: each arrives at
//!    least once, unless the process ends; then the records are read again, because:
//! 3. An epoch is complete when all letters of records before its barrier have arrived.
//! 4. What waits is bounded: beyond that the partition reads nothing more.
//! 5. One that is larger than its topic allows is shortened until it fits: it arrives as any other. One that is
//!    refused with nothing left to shorten is logged, and holds up no epoch.
//! 6. That letters come back is a problem until one arrives and none waits, or none is left.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kol_common::{KolError, SourcePartition};
use tokio::time::Instant;

use super::contract::{DeadLetterTopic, Fate, Letter, Offered, Receipts, Rejected};

/// Letters that came back, and bytes of them, beyond which nothing more is read.
const MOST_RETURNED: usize = 1_000;
const MOST_BYTES: usize = 4 << 20;
/// Between a failure and the next offer.
const PAUSE: Duration = Duration::from_secs(1);

/// The dead-letter topic of a job, as its partitions use it.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    /// Name of the job.
    job: Arc<str>,
    topic: Arc<dyn DeadLetterTopic>,
}

/// Letters that wait, in order, and the memory that they take.
#[derive(Debug, Default)]
struct Waiting {
    letters: VecDeque<(u64, Letter)>,
    bytes: usize,
}

impl Waiting {
    fn push_back(&mut self, number: u64, letter: Letter) {
        self.bytes += letter.memory();
        self.letters.push_back((number, letter));
    }

    fn push_front(&mut self, number: u64, letter: Letter) {
        self.bytes += letter.memory();
        self.letters.push_front((number, letter));
    }

    fn pop_front(&mut self) -> Option<(u64, Letter)> {
        let (number, letter) = self.letters.pop_front()?;
        self.bytes -= letter.memory();
        Some((number, letter))
    }

    fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }
}

impl DeadLetters {
    /// Of the job of this name, over this topic.
    pub fn new(job: &str, topic: Arc<dyn DeadLetterTopic>) -> Self {
        let job = job.into();
        Self { job, topic }
    }

    /// Memory that those take which the topic took and did not settle, in bytes.
    pub fn bytes(&self) -> u64 {
        self.topic.bytes()
    }

    /// Waits until the topic has what it took, or the deadline has passed.
    pub async fn flush(&self, deadline: Duration) {
        if !self.topic.flush(deadline).await {
            let (job, topic) = (&*self.job, self.topic.name());
            tracing::warn!(
                code = "DEAD_LETTERS_LOST",
                job,
                topic,
                "some dead letters may not have been written"
            );
        }
    }
}

/// The letters of one partition that have not arrived yet.
#[derive(Debug)]
pub struct Letters {
    origin: SourcePartition,
    topic: DeadLetters,
    /// Number of the next letter.
    next: u64,
    /// Those that have not arrived, wherever they are.
    outstanding: BTreeSet<u64>,
    /// Without room in the topic so far.
    parked: Waiting,
    /// To be offered again.
    returned: Waiting,
    again_at: Option<Instant>,
    problem: Option<KolError>,
    receipts: Receipts,
    refused: u64,
}

impl Letters {
    /// None so far.
    pub fn new(origin: SourcePartition, topic: DeadLetters) -> Self {
        Self {
            origin,
            topic,
            next: 0,
            outstanding: BTreeSet::new(),
            parked: Waiting::default(),
            returned: Waiting::default(),
            again_at: None,
            problem: None,
            receipts: Receipts::default(),
            refused: 0,
        }
    }

    /// Sends what cannot be used, or keeps it while there is no room.
    pub fn reject(&mut self, rejected: &Rejected<'_>) {
        let (number, letter) = (self.next, Letter::of(rejected));
        self.next += 1;
        self.outstanding.insert(number);
        if !self.parked.is_empty() || !self.offer(number, &letter) {
            self.parked.push_back(number, letter);
        }
    }

    /// Takes what is new of letters under way, and offers those that wait.
    pub fn tend(&mut self, now: Instant) {
        for (number, fate) in self.receipts.take() {
            self.settled(now, number, fate);
        }
        while let Some((number, letter)) = self.parked.pop_front() {
            if !self.offer(number, &letter) {
                self.parked.push_front(number, letter);
                return;
            }
        }
        if self.again_at.is_none_or(|at| now < at) {
            return;
        }
        while let Some((number, letter)) = self.returned.pop_front() {
            if !self.offer(number, &letter) {
                self.returned.push_front(number, letter);
                return;
            }
        }
        self.again_at = None;
    }

    fn offer(&self, number: u64, letter: &Letter) -> bool {
        let receipt = self.receipts.of(number);
        let origin = letter.origin.as_ref().unwrap_or(&self.origin);
        let offered = self.topic.topic.offer(origin, letter, receipt);
        matches!(offered, Offered::Taken)
    }

    fn settled(&mut self, now: Instant, number: u64, fate: Fate) {
        match fate {
            Fate::Arrived => {
                self.outstanding.remove(&number);
                if self.returned.is_empty() {
                    self.problem = None;
                }
            }
            // There was room for all of it a moment ago.
            Fate::Shortened(letter) => self.parked.push_back(number, letter),
            Fate::Returned(letter, error) => {
                self.problem = Some(error.offset(letter.offset));
                self.returned.push_back(number, letter);
                self.again_at.get_or_insert(now + PAUSE);
            }
            Fate::Refused(error) => {
                self.outstanding.remove(&number);
                self.refused += 1;
                let (topic, partition) = (self.topic.topic.name(), &self.origin);
                let job = &*self.topic.job;
                tracing::warn!(code = "DEAD_LETTERS_LOST", %error, job, topic, %partition, "a dead letter was refused, however short");
            }
        }
        if self.outstanding.is_empty() {
            self.problem = None;
        }
    }

    /// Whether more records may be read: what waits is bounded.
    pub fn has_room(&self) -> bool {
        let returned = &self.returned;
        self.parked.is_empty()
            && returned.letters.len() < MOST_RETURNED
            && returned.bytes < MOST_BYTES
    }

    /// Memory that those take which wait here, in bytes.
    pub fn bytes(&self) -> u64 {
        (self.parked.bytes + self.returned.bytes) as u64
    }

    /// Number of the next letter: those before it are of records that were read already.
    pub fn mark(&self) -> u64 {
        self.next
    }

    /// Whether all letters before a mark have arrived.
    pub fn have_arrived(&self, mark: u64) -> bool {
        self.outstanding.first().is_none_or(|first| *first >= mark)
    }

    /// Letters that have arrived.
    pub fn arrived(&self) -> u64 {
        self.next - self.outstanding.len() as u64 - self.refused
    }

    /// Letters that have arrived once all before now have.
    pub fn handed_over(&self) -> u64 {
        self.next - self.refused
    }

    /// Waits until something may be new of letters under way.
    pub async fn news(&self) {
        self.receipts.news().await;
    }

    /// Why letters do not reach their topic, if so.
    pub fn problem(&self) -> Option<KolError> {
        let last = self.problem.as_ref()?;
        let (count, topic) = (self.outstanding.len(), self.topic.topic.name());
        let waits = if self.has_room() {
            "no epoch is committed"
        } else {
            "no epoch is committed and reading waits"
        };
        let what = format!(
            "{count} dead letters could not be written to {topic} so far, and {waits} until they are: {last}"
        );
        Some(KolError::external("DEAD_LETTER", what).help(
            "Create the topic, or allow writing to it: they are written again by themselves. Without \
             source.dead_letter such records are only counted.",
        ))
    }
}

#[cfg(test)]
#[path = "dead_letters_tests.rs"]
mod tests;
