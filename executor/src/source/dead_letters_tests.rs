use std::sync::Mutex;

use futures::future::BoxFuture;
use kol_common::event::Reject;

use super::*;
use crate::source::contract::Receipt;

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

    fn flush(&self, _deadline: Duration) -> BoxFuture<'static, bool> {
        Box::pin(std::future::ready(true))
    }
}

impl Narrow {
    fn letters(room: usize) -> (Arc<Self>, Letters) {
        let topic = Arc::new(Self::default());
        *topic.room.lock().unwrap() = room;
        let dead = DeadLetters::new("x", Arc::clone(&topic) as Arc<dyn DeadLetterTopic>);
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
        origin: None,
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
        origin: None,
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
fn a_letter_that_had_to_be_shortened_is_offered_again_at_once_and_is_no_problem() {
    let (topic, mut letters) = Narrow::letters(9);
    let now = Instant::now();
    send(&mut letters, 1);
    topic.settle_first(|mut letter| {
        assert!(letter.shorten());
        Fate::Shortened(letter)
    });
    letters.tend(now);
    assert_eq!(topic.offsets(), [1]);
    assert_eq!(letters.problem(), None);
    assert!(letters.has_room());
    assert!(!letters.have_arrived(letters.mark()));
    topic.settle_first(|letter| {
        assert_eq!(letter.size, Some(1), "its true size");
        Fate::Arrived
    });
    letters.tend(now);
    assert!(letters.have_arrived(letters.mark()));
    assert_eq!(letters.arrived(), 1);
}

#[test]
fn a_problem_ends_when_no_letter_is_left_that_could_not_be_written() {
    let (topic, mut letters) = Narrow::letters(9);
    let now = Instant::now();
    send(&mut letters, 1);
    topic.settle_first(away);
    letters.tend(now);
    assert!(letters.problem().is_some());
    letters.tend(now + PAUSE);
    topic.settle_first(|_| Fate::Refused(KolError::external("X", "never")));
    letters.tend(now + PAUSE);
    assert_eq!(letters.problem(), None);
}

#[test]
fn a_letter_is_shortened_by_halves_and_keeps_its_true_size() {
    let mut letter = Letter::of(&Rejected {
        origin: None,
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
