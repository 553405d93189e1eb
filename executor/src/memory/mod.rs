//! Memory of the process against what the operator allowed it: one budget for everything that grows with the
//! number of partitions, with creators, or while a server does not answer.
//!
//! | what | how it is bounded |
//! |---|---|
//! | state | reading pauses when it, and all else that reading adds to, fills its part ([`Memory::is_full`]) |
//! | Kafka queues | an eighth of the limit, divided by the partitions, which take turns if need be ([`Queues`]) |
//! | flushes | an eighth: a flush is filled with as much as there is room for ([`Memory::take`]) |
//! | dead letters | the producer's queue is bounded; a partition that has some waiting reads nothing |
//! | checkpoint files, restores | an eighth each: they wait for each other ([`Memory::room_for`]) |
//!
//! The bounds add up to less than the limit, and what is left is for the program itself and for what its
//! allocator does not give back.

mod queues;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kol_common::process::Process;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use queues::Queues;

/// What takes memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// State of the partitions, and what Redis was sent of it.
    State,
    /// Records that were fetched and not read.
    Queues,
    /// Flushes on their way to Redis.
    Flushes,
    /// Dead letters on their way to their topic.
    DeadLetters,
    /// State files that are being written.
    Files,
    /// State files that are being read.
    Restores,
}

impl Use {
    const ALL: [Self; 6] = [
        Self::State,
        Self::Queues,
        Self::Flushes,
        Self::DeadLetters,
        Self::Files,
        Self::Restores,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Queues => "Kafka queues",
            Self::Flushes => "flushes to Redis",
            Self::DeadLetters => "dead letters",
            Self::Files => "checkpoint files",
            Self::Restores => "restores",
        }
    }
}

/// Unit of the room for files, in bytes.
const MIB: u64 = 1 << 20;

/// Shared view of the memory in use. Partitions stop reading before the kernel would end the process.
#[derive(Clone, Debug)]
pub struct Memory {
    limit: u64,
    resident: Arc<AtomicU64>,
    used: Arc<[AtomicU64; Use::ALL.len()]>,
    files: Room,
    restores: Room,
    queues: Arc<Queues>,
}

/// Whose turn it is to take a part of the memory, in MiB.
#[derive(Clone, Debug)]
struct Room {
    size: u32,
    free: Arc<Semaphore>,
}

/// A part of the memory that is in use; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    used: Arc<[AtomicU64; Use::ALL.len()]>,
    what: Use,
    own: u64,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// With a limit in bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            resident: Arc::default(),
            used: Arc::default(),
            files: Room::of(limit / 8),
            restores: Room::of(limit / 8),
            queues: Arc::new(Queues::new(limit / 8)),
        }
    }

    /// Takes the resident size of the process.
    pub fn refresh(&self, process: &dyn Process) {
        if let Some(bytes) = process.resident_bytes() {
            self.resident.store(bytes, Ordering::Relaxed);
        }
    }

    /// A share of the memory, empty at first.
    pub fn share(&self, what: Use) -> Share {
        Share {
            used: Arc::clone(&self.used),
            what,
            own: 0,
            _turn: None,
        }
    }

    /// As much of the room for flushes as there is, at most `most` bytes; `None` when there is less than
    /// `least`: try again later.
    pub fn take(&self, least: u64, most: u64) -> Option<Share> {
        let budget = self.limit / 8;
        let mut taken = 0;
        let take = |used: u64| {
            taken = most.min(budget.saturating_sub(used));
            (taken >= least).then_some(used + taken)
        };
        self.used[Use::Flushes as usize]
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .ok()?;
        let mut share = self.share(Use::Flushes);
        share.own = taken;
        Some(share)
    }

    /// Waits for room for a state file of so many bytes that is written ([`Use::Files`]) or read
    /// ([`Use::Restores`]); those that came first have theirs first. One that is larger than all the room has it
    /// alone.
    pub async fn room_for(&self, what: Use, bytes: u64) -> Share {
        let room = match what {
            Use::Restores => &self.restores,
            _ => &self.files,
        };
        let wanted = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX);
        let wanted = wanted.clamp(1, room.size);
        let turn = Arc::clone(&room.free).acquire_many_owned(wanted).await;
        let mut share = self.share(what);
        share.set(bytes);
        // The semaphore is never closed.
        share._turn = turn.ok();
        share
    }

    /// Bytes resident at the last refresh.
    pub fn resident(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }

    /// Bytes in use for something.
    pub fn used(&self, what: Use) -> u64 {
        self.used[what as usize].load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// How much the Kafka queues may take.
    pub fn queues(&self) -> &Arc<Queues> {
        &self.queues
    }

    /// Whether a partition may open its log: then its share is what it is expected to take.
    pub fn admit(&self, share: &mut Share) -> bool {
        if self.is_full() {
            return false;
        }
        let mut expected = 0;
        let admit = |used: u64| {
            expected = self.queues.admit(used)?;
            Some(used + expected)
        };
        let admitted = self.used[Use::Queues as usize]
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, admit)
            .is_ok();
        if admitted {
            // The share had nothing.
            share.own += expected;
        }
        admitted
    }

    /// Looks after the queues: to be called now and then.
    pub fn tend(&self) {
        self.queues.fit(self.used(Use::Queues));
    }

    /// Whether nothing more should be read: what reading adds to fills six tenths of the limit, or the process
    /// nine tenths and that is a good part of it. Queues and flushes are bounded, and empty by themselves; a pause
    /// for their sake would never end.
    pub fn is_full(&self) -> bool {
        let tenths = |n: u64| self.limit / 10 * n;
        let growing = self.growing();
        growing > tenths(6) || (self.resident() > tenths(9) && growing > tenths(3))
    }

    /// Whether a state of so many bytes more would leave no room for anything else. Only what stays counts: files
    /// and dead letters are gone in a moment.
    pub fn is_too_little_for(&self, more: u64) -> bool {
        self.used(Use::State) + more > self.limit / 10 * 8
    }

    fn growing(&self) -> u64 {
        self.used(Use::State) + self.used(Use::DeadLetters) + self.used(Use::Files)
    }

    /// What takes how much, the largest first, for people.
    pub fn breakdown(&self) -> String {
        let mut all = Use::ALL.map(|what| (self.used(what), what.name()));
        all.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let some = all.iter().filter(|(bytes, _)| *bytes >= MIB);
        let some = some.map(|(bytes, name)| format!("{name} {} MiB", bytes / MIB));
        let some = some.collect::<Vec<_>>().join(", ");
        let (limit, resident) = (self.limit / MIB, self.resident() / MIB);
        format!("{some}; {resident} MiB of {limit} MiB are in use")
    }
}

impl Room {
    fn of(bytes: u64) -> Self {
        let size = u32::try_from(bytes / MIB).unwrap_or(u32::MAX >> 4).max(1);
        Self {
            size,
            free: Arc::new(Semaphore::new(size as usize)),
        }
    }
}

impl Share {
    /// So many bytes are in use now.
    pub fn set(&mut self, bytes: u64) {
        // Wraps around and back for a share that shrank: the sum stays right.
        self.used[self.what as usize].fetch_add(bytes.wrapping_sub(self.own), Ordering::Relaxed);
        self.own = bytes;
    }

    /// Bytes of the share.
    pub fn bytes(&self) -> u64 {
        self.own
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_is_said_of_what_reading_adds_to_and_not_of_queues() {
        let memory = Memory::new(1_000);
        memory.resident.store(950, Ordering::Relaxed);
        let mut queues = memory.share(Use::Queues);
        queues.set(700);
        let mut share = memory.share(Use::State);
        share.set(250);
        assert!(!memory.is_full(), "queues fill it: reading on empties them");
        share.set(350);
        assert!(memory.is_full());
        memory.resident.store(700, Ordering::Relaxed);
        assert!(!memory.is_full());
        let mut letters = memory.share(Use::DeadLetters);
        letters.set(300);
        assert!(memory.is_full());
        drop(share);
        assert_eq!(memory.used(Use::State), 0);
        assert!(!memory.is_full());
    }

    #[test]
    fn a_state_that_is_read_back_must_fit_beside_other_states_and_not_beside_what_is_gone_in_a_moment()
     {
        let memory = Memory::new(1_000);
        let mut files = memory.share(Use::Files);
        files.set(500);
        let mut state = memory.share(Use::State);
        state.set(400);
        assert!(!memory.is_too_little_for(400));
        assert!(memory.is_too_little_for(401));
    }

    #[test]
    fn flushes_that_redis_does_not_answer_take_no_more_than_their_part() {
        let memory = Memory::new(800);
        let first = memory.take(10, 60).unwrap();
        assert_eq!(first.bytes(), 60);
        let mut second = memory.take(10, 60).unwrap();
        assert_eq!(second.bytes(), 40, "what is left");
        assert!(memory.take(10, 60).is_none());
        second.set(31);
        assert!(memory.take(10, 60).is_none(), "9 are too few");
        second.set(30);
        assert_eq!(memory.take(10, 60).unwrap().bytes(), 10);
        drop(first);
        assert_eq!(memory.used(Use::Flushes), 30);
    }

    #[tokio::test]
    async fn files_wait_for_each_other_and_a_large_one_has_the_room_alone() {
        let memory = Memory::new(32 * MIB);
        let first = memory.room_for(Use::Files, 3 * MIB).await;
        assert_eq!(memory.used(Use::Files), 3 * MIB);
        let waits = memory.room_for(Use::Files, 900 * MIB);
        let mut waits = Box::pin(waits);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(1), &mut waits);
        assert!(waited.await.is_err());
        let _other = memory.room_for(Use::Restores, MIB).await;
        drop(first);
        let alone = waits.await;
        assert_eq!(alone.bytes(), 900 * MIB);
    }

    #[test]
    fn what_takes_most_is_named_first() {
        let memory = Memory::new(512 * MIB);
        memory.resident.store(400 * MIB, Ordering::Relaxed);
        let mut state = memory.share(Use::State);
        state.set(20 * MIB);
        let mut queues = memory.share(Use::Queues);
        queues.set(64 * MIB);
        assert_eq!(
            memory.breakdown(),
            "Kafka queues 64 MiB, state 20 MiB; 400 MiB of 512 MiB are in use"
        );
    }
}
