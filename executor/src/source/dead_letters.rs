//! The way of a partition's unusable records to their topic: in order, and kept back while there is no
//! room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kol_common::event::Reject;
use kol_common::{KolError, SourcePartition};

use super::contract::{DeadLetterTopic, Offered, Rejected};

/// The dead-letter topic of a job, as its partitions use it.
#[derive(Clone, Debug)]
pub struct DeadLetters(Arc<dyn DeadLetterTopic>);

/// Records that wait for room in the topic's queue. A partition that has some reads nothing more.
#[derive(Debug, Default)]
pub struct Parked {
    records: VecDeque<Owned>,
    bytes: u64,
}

#[derive(Debug)]
struct Owned {
    offset: u64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    reason: Reject,
}

impl Parked {
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Memory that they take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn push(&mut self, record: Owned) {
        self.bytes += record.bytes();
        self.records.push_back(record);
    }

    fn pop(&mut self) {
        if let Some(record) = self.records.pop_front() {
            self.bytes -= record.bytes();
        }
    }
}

impl Owned {
    fn bytes(&self) -> u64 {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::capacity);
        (size_of::<Self>() + length(&self.key) + length(&self.value)) as u64
    }
}

impl DeadLetters {
    /// Over this topic.
    pub fn new(topic: Arc<dyn DeadLetterTopic>) -> Self {
        Self(topic)
    }

    /// Offers a record to the topic, or parks it while the topic has no room.
    pub fn send(&self, origin: &SourcePartition, rejected: &Rejected<'_>, parked: &mut Parked) {
        if !parked.is_empty() || self.0.offer(origin, rejected) == Offered::NoRoom {
            parked.push(Owned {
                offset: rejected.offset,
                key: rejected.key.map(<[u8]>::to_vec),
                value: rejected.value.map(<[u8]>::to_vec),
                reason: rejected.reason,
            });
        }
    }

    /// Offers what was parked, as far as there is room.
    pub fn send_parked(&self, origin: &SourcePartition, parked: &mut Parked) {
        while let Some(record) = parked.records.front() {
            let rejected = Rejected {
                offset: record.offset,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                reason: record.reason,
            };
            if self.0.offer(origin, &rejected) == Offered::NoRoom {
                return;
            }
            parked.pop();
        }
    }

    /// Why the newest records did not reach their topic, if so.
    pub fn problem(&self) -> Option<KolError> {
        self.0.problem()
    }

    /// Memory that those take which the topic took and did not confirm, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Waits until the topic has what it took, or the deadline has passed.
    pub async fn flush(&self, deadline: Duration) {
        self.0.flush(deadline).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::future::BoxFuture;

    use super::*;

    /// Takes as many records as there is room for.
    #[derive(Debug, Default)]
    struct Narrow {
        room: Mutex<usize>,
        taken: Mutex<Vec<u64>>,
    }

    impl DeadLetterTopic for Narrow {
        fn offer(&self, _origin: &SourcePartition, rejected: &Rejected<'_>) -> Offered {
            let mut room = self.room.lock().unwrap();
            if *room == 0 {
                return Offered::NoRoom;
            }
            *room -= 1;
            self.taken.lock().unwrap().push(rejected.offset);
            Offered::Taken
        }

        fn problem(&self) -> Option<KolError> {
            None
        }

        fn bytes(&self) -> u64 {
            0
        }

        fn flush(&self, _deadline: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[test]
    fn dead_letters_keep_their_order_when_the_topic_has_no_room_for_a_while() {
        let topic = Arc::new(Narrow::default());
        let letters = DeadLetters::new(Arc::clone(&topic) as Arc<dyn DeadLetterTopic>);
        let (origin, mut parked) = (SourcePartition::new("t", 0), Parked::default());
        let send = |offset, parked: &mut Parked| {
            let rejected = Rejected {
                offset,
                key: None,
                value: Some(b"?"),
                reason: Reject::Late,
            };
            letters.send(&origin, &rejected, parked);
        };
        let give_room = |room| *topic.room.lock().unwrap() = room;
        give_room(1);
        send(1, &mut parked);
        send(2, &mut parked);
        give_room(1);
        send(3, &mut parked);
        assert_eq!(*topic.taken.lock().unwrap(), [1], "2 is before 3");
        letters.send_parked(&origin, &mut parked);
        assert_eq!(*topic.taken.lock().unwrap(), [1, 2]);
        assert!(!parked.is_empty());
        give_room(5);
        letters.send_parked(&origin, &mut parked);
        assert_eq!(*topic.taken.lock().unwrap(), [1, 2, 3]);
        assert!(parked.is_empty());
    }
}
