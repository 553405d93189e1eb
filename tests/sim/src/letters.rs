//! The topic of dead letters: takes a while to confirm one, returns those that arrive while the brokers are away, has
//! no room for too many at once, and never gets those whose sender has died.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::{Millis, SourcePartition};
use kol_executor::source::{DeadLetterTopic, Fate, Letter, Offered, Receipt};
use tokio::time::Instant;

use super::log::unreachable;
use super::world::time;

/// Until a letter has arrived.
const TAKES: Millis = Millis(150);
/// Letters on their way for which there is room.
const ROOM: usize = 20;
/// How often a sender who ends looks whether all have arrived.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Partition and offset of the record that a letter is of.
type Origin = (u32, u64);

/// See the module; as one host uses it.
#[derive(Clone, Debug, Default)]
pub struct DeadLetters {
    host: &'static str,
    topic: Arc<Mutex<Topic>>,
}

#[derive(Debug, Default)]
struct Topic {
    away: bool,
    under_way: VecDeque<UnderWay>,
    arrived: BTreeSet<Origin>,
}

struct UnderWay {
    due: Millis,
    host: &'static str,
    partition: u32,
    letter: Letter,
    receipt: Receipt,
}

impl fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} of {}",
            self.partition, self.letter.offset, self.host
        )
    }
}

impl DeadLetters {
    /// The same for another host.
    pub fn sent_by(&self, host: &'static str) -> Self {
        Self {
            host,
            topic: Arc::clone(&self.topic),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Topic> {
        self.topic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The brokers go away, or come back.
    pub fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// A host died: what it had not sent yet is lost.
    pub fn lose_those_of(&self, host: &str) {
        self.lock().under_way.retain(|letter| letter.host != host);
    }

    /// Those arrive that are due, or they come back.
    pub fn advance(&self, now: Millis) {
        loop {
            let mut topic = self.lock();
            let due = topic
                .under_way
                .front()
                .is_some_and(|letter| letter.due <= now);
            let Some(letter) = due.then(|| topic.under_way.pop_front()).flatten() else {
                return;
            };
            let fate = if topic.away {
                Fate::Returned(letter.letter, unreachable())
            } else {
                topic
                    .arrived
                    .insert((letter.partition, letter.letter.offset));
                Fate::Arrived
            };
            drop(topic);
            letter.receipt.settle(fate);
        }
    }

    /// Whether the topic has a letter of this record.
    pub fn has(&self, partition: u32, offset: u64) -> bool {
        self.lock().arrived.contains(&(partition, offset))
    }

    fn under_way(&self) -> usize {
        let topic = self.lock();
        let own = topic
            .under_way
            .iter()
            .filter(|letter| letter.host == self.host);
        own.count()
    }
}

impl DeadLetterTopic for DeadLetters {
    fn name(&self) -> &str {
        "dead"
    }

    fn offer(&self, origin: &SourcePartition, letter: &Letter, receipt: Receipt) -> Offered {
        if self.under_way() >= ROOM {
            return Offered::NoRoom;
        }
        self.lock().under_way.push_back(UnderWay {
            due: Millis(time().0 + TAKES.0),
            host: self.host,
            partition: origin.partition,
            letter: letter.clone(),
            receipt,
        });
        Offered::Taken
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, bool> {
        let letters = self.clone();
        Box::pin(async move {
            let end = Instant::now() + deadline;
            while letters.under_way() > 0 && Instant::now() < end {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            letters.under_way() == 0
        })
    }
}
