//! The way of a partition's unusable records to their topic. Rules:
//!
//! 1. A letter is offered in order. While the topic has no room, it and those behind it wait.
//! 2. A letter that could not be written comes back and is offered again, after [`PAUSE`]: each arrives at
//!    least once, unless the process ends; then the records are read again, because:
//! 3. An epoch is complete when all letters of records before its barrier have arrived.
//! 4. What waits is bounded: beyond that the partition reads nothing more.
//! 5. One that is larger than its topic allows is shortened until it fits. One that is refused with nothing
//!    left to shorten is logged, and holds up no epoch.

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
pub struct DeadLetters(Arc<dyn DeadLetterTopic>);

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
    /// Over this topic.
    pub fn new(topic: Arc<dyn DeadLetterTopic>) -> Self {
        Self(topic)
    }

    /// Memory that those take which the topic took and did not settle, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Waits until the topic has what it took, or the deadline has passed.
    pub async fn flush(&self, deadline: Duration) {
        self.0.flush(deadline).await;
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
        let offered = self.topic.0.offer(&self.origin, letter, receipt);
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
            Fate::Returned(letter, error) => {
                self.problem = Some(error.offset(letter.offset));
                self.returned.push_back(number, letter);
                self.again_at.get_or_insert(now + PAUSE);
            }
            Fate::Refused(error) => {
                self.outstanding.remove(&number);
                self.refused += 1;
                let (topic, partition) = (self.topic.0.name(), &self.origin);
                tracing::warn!(code = "DEAD_LETTERS_LOST", %error, topic, %partition, "a dead letter was refused, however short");
            }
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
        let (count, topic) = (self.outstanding.len(), self.topic.0.name());
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
mod tests {
    use std::sync::Mutex;

    use futures::future::BoxFuture;
    use kol_common::event::Reject;

    use super::super::contract::Receipt;
    use super::*;

    /// Takes as many letters as there is room for; what becomes of them, a test says.
    #[derive(Debug, Default)]
    struct Narrow {
        room: Mutex<usize>,
        taken: Mutex<Vec<(Letter, Receipt)>>,
    }

    impl DeadLetterTopic for Narrow {
        fn name(&self) -> &str {
            "dead"
        }

        fn offer(&self, _origin: &SourcePartition, letter: &Letter, receipt: Receipt) -> Offered {
            let mut room = self.room.lock().unwrap();
            if *room == 0 {
                return Offered::NoRoom;
            }
            *room -= 1;
            self.taken.lock().unwrap().push((letter.clone(), receipt));
            Offered::Taken
        }

        fn bytes(&self) -> u64 {
            0
        }

        fn flush(&self, _deadline: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    impl Narrow {
        fn letters(room: usize) -> (Arc<Self>, Letters) {
            let topic = Arc::new(Self::default());
            *topic.room.lock().unwrap() = room;
            let dead = DeadLetters::new(Arc::clone(&topic) as Arc<dyn DeadLetterTopic>);
            (topic, Letters::new(SourcePartition::new("t", 0), dead))
        }

        fn offsets(&self) -> Vec<u64> {
            let taken = self.taken.lock().unwrap();
            taken.iter().map(|(letter, _)| letter.offset).collect()
        }

        fn settle_first(&self, fate: impl Fn(Letter) -> Fate) {
            let (letter, receipt) = self.taken.lock().unwrap().remove(0);
            receipt.settle(fate(letter));
        }
    }

    fn send(letters: &mut Letters, offset: u64) {
        letters.reject(&Rejected {
            offset,
            key: None,
            value: Some(b"?"),
            reason: Reject::Late,
        });
    }

    fn away(letter: Letter) -> Fate {
        Fate::Returned(letter, KolError::external("SOURCE_UNREACHABLE", "away"))
    }

    #[test]
    fn dead_letters_keep_their_order_when_the_topic_has_no_room_for_a_while() {
        let (topic, mut letters) = Narrow::letters(1);
        let give_room = |room| *topic.room.lock().unwrap() = room;
        send(&mut letters, 1);
        send(&mut letters, 2);
        give_room(1);
        send(&mut letters, 3);
        assert_eq!(topic.offsets(), [1], "2 is before 3");
        let now = Instant::now();
        letters.tend(now);
        assert_eq!(topic.offsets(), [1, 2]);
        assert!(!letters.has_room());
        give_room(5);
        letters.tend(now);
        assert_eq!(topic.offsets(), [1, 2, 3]);
        assert!(letters.has_room());
    }

    #[test]
    fn letters_take_memory_here_while_they_wait_for_room_and_after_they_came_back() {
        let (topic, mut letters) = Narrow::letters(1);
        let now = Instant::now();
        send(&mut letters, 1);
        assert_eq!(letters.bytes(), 0, "the topic has it");
        letters.reject(&Rejected {
            offset: 2,
            key: Some(&[0; 1000]),
            value: Some(&[0; 5000]),
            reason: Reject::Late,
        });
        let parked = letters.bytes();
        assert!((6000..7000).contains(&parked), "{parked}");
        letters.tend(now);
        assert_eq!(letters.bytes(), parked, "there is no room yet");
        *topic.room.lock().unwrap() = 1;
        topic.settle_first(|_| Fate::Arrived);
        letters.tend(now);
        assert_eq!(letters.bytes(), 0);
        topic.settle_first(away);
        letters.tend(now);
        assert_eq!(letters.bytes(), parked, "it came back");
        letters.tend(now + PAUSE);
        assert_eq!(letters.bytes(), parked, "there is no room again");
        *topic.room.lock().unwrap() = 1;
        letters.tend(now + PAUSE);
        assert_eq!(letters.bytes(), 0);
    }

    #[test]
    fn letters_before_a_mark_have_arrived_only_when_each_of_them_has() {
        let (topic, mut letters) = Narrow::letters(9);
        let now = Instant::now();
        assert!(letters.have_arrived(letters.mark()));
        send(&mut letters, 1);
        send(&mut letters, 2);
        let mark = letters.mark();
        send(&mut letters, 3);
        assert!(!letters.have_arrived(mark));
        topic.settle_first(away);
        topic.settle_first(|_| Fate::Arrived);
        topic.settle_first(|_| Fate::Arrived);
        letters.tend(now);
        assert!(!letters.have_arrived(mark), "1 came back");
        assert_eq!((letters.arrived(), letters.handed_over()), (2, 3));
        let problem = letters.problem().unwrap();
        assert!(problem.message.contains("1 dead letters"), "{problem}");
        letters.tend(now + PAUSE / 2);
        assert_eq!(topic.offsets(), [0; 0], "after a pause");
        letters.tend(now + PAUSE);
        assert_eq!(topic.offsets(), [1]);
        topic.settle_first(|_| Fate::Arrived);
        letters.tend(now + PAUSE);
        assert!(letters.have_arrived(letters.mark()));
        assert_eq!((letters.arrived(), letters.problem()), (3, None));
    }

    #[test]
    fn what_comes_back_is_bounded_and_what_is_refused_holds_up_nothing() {
        let (topic, mut letters) = Narrow::letters(usize::MAX);
        let now = Instant::now();
        for offset in 0..MOST_RETURNED as u64 {
            assert!(letters.has_room());
            send(&mut letters, offset);
            topic.settle_first(away);
            letters.tend(now);
        }
        assert!(!letters.has_room());
        letters.tend(now + PAUSE);
        assert!(letters.has_room(), "they are under way again");
        for _ in 0..MOST_RETURNED {
            topic.settle_first(|_| Fate::Refused(KolError::external("X", "never")));
        }
        letters.tend(now + PAUSE);
        assert!(letters.have_arrived(letters.mark()));
        assert_eq!(letters.arrived(), 0, "counted by what arrived");
    }

    #[test]
    fn a_letter_is_shortened_by_halves_and_keeps_its_true_size() {
        let mut letter = Letter::of(&Rejected {
            offset: 0,
            key: Some(b"k"),
            value: Some(&[7; 5]),
            reason: Reject::TooLarge,
        });
        let mut lengths = Vec::new();
        while letter.shorten() {
            lengths.push(letter.bytes());
            assert_eq!(letter.size, Some(5));
        }
        assert_eq!(lengths, [3, 2, 1, 0]);
    }
}
