//! Which alerts a destination is sent, in which order, and when again: a machine without I/O. Rules:
//!
//! 1. A round gives each partition one turn of one piece. It begins behind the partition that had the last turn, and a piece
//!    behind the last whole one of that partition: whatever fails, everything else has its turn.
//! 2. An alert that is not taken is held back for a wait of its own, which doubles up to half a minute, with jitter.
//! 3. A destination that takes nothing (no connection, a login that is refused, [`FAILURES`] in a round in which nothing arrived)
//!    ends the round; the wait before the next doubles up to half a minute, with jitter.
//! 4. After [`FAILURES`] failures a round begins no other attempt, whatever arrived.
//! 5. Of at most [`MOST_HELD`] alerts it is known that they failed; what was not seen again for a while is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kol_common::alerts::Means;
use kol_common::retry::Backoff;
use tokio::time::Instant;

/// The first wait after a failure, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often it is looked whether anything waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Failures in a round after which it begins no other attempt.
const FAILURES: usize = 8;
/// Most alerts that are held back by themselves.
const MOST_HELD: usize = 1_000;
/// An alert that was not sent again for so long after it was due waits no more: another owner delivered it, or it expired.
const FORGET: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Where reading continues, by partition.
    cursors: BTreeMap<String, u64>,
    /// The partition that had the last turn.
    last: Option<String>,
    /// Alerts that were not taken, by partition and field.
    held: BTreeMap<(String, String), Held>,
    backoff: Backoff,
    round: Round,
}

#[derive(Debug)]
struct Held {
    backoff: Backoff,
    due: Instant,
}

/// What a round came to so far.
#[derive(Debug, Default)]
struct Round {
    failures: usize,
    arrived: bool,
    is_down: bool,
}

impl Schedule {
    /// Nothing was sent so far.
    pub(super) fn new() -> Self {
        let (first, most) = WAITS;
        Self {
            cursors: BTreeMap::new(),
            last: None,
            held: BTreeMap::new(),
            backoff: Backoff::new(first, most),
            round: Round::default(),
        }
    }

    /// A round begins: these partitions, in the order of their turns.
    pub(super) fn begin(&mut self, followed: &BTreeSet<String>, now: Instant) -> Vec<String> {
        self.round = Round::default();
        self.cursors.retain(|fence, _| followed.contains(fence));
        self.held
            .retain(|(fence, _), held| followed.contains(fence) && now < held.due + FORGET);
        let (before, after): (Vec<_>, Vec<_>) = followed
            .iter()
            .cloned()
            .partition(|fence| Some(fence) <= self.last.as_ref());
        after.into_iter().chain(before).collect()
    }

    /// A partition has its turn: where reading continues.
    pub(super) fn turn(&mut self, fence: &str) -> u64 {
        self.last = Some(fence.to_owned());
        self.cursors.get(fence).copied().unwrap_or_default()
    }

    /// Whether an alert may be sent now, as far as it is concerned.
    pub(super) fn is_due(&self, fence: &str, field: &str, now: Instant) -> bool {
        let held = self.held.get(&(fence.to_owned(), field.to_owned()));
        held.is_none_or(|held| held.due <= now)
    }

    /// Whether another attempt may begin in this round.
    pub(super) fn may_send(&self) -> bool {
        !self.round.is_down && self.round.failures < FAILURES
    }

    /// An alert arrived.
    pub(super) fn arrived(&mut self, fence: &str, field: &str) {
        self.round.arrived = true;
        self.backoff.succeeded();
        self.dropped(fence, field);
    }

    /// An alert is sent no more.
    pub(super) fn dropped(&mut self, fence: &str, field: &str) {
        self.held.remove(&(fence.to_owned(), field.to_owned()));
    }

    /// An alert did not arrive.
    pub(super) fn failed(&mut self, fence: &str, field: &str, means: Means, now: Instant) {
        self.round.failures += 1;
        if means != Means::NotNow {
            self.round.is_down = true;
            return;
        }
        let key = (fence.to_owned(), field.to_owned());
        if self.held.len() >= MOST_HELD && !self.held.contains_key(&key) {
            let soonest = self.held.iter().min_by_key(|(_, held)| held.due);
            if let Some(soonest) = soonest.map(|(key, _)| key.clone()) {
                self.held.remove(&soonest);
            }
        }
        let held = self.held.entry(key).or_insert_with(|| Held {
            backoff: Backoff::new(WAITS.0, WAITS.1),
            due: now,
        });
        held.due = now + held.backoff.failed();
    }

    /// The destination cannot be opened.
    pub(super) fn closed(&mut self) {
        self.round.is_down = true;
    }

    /// A piece was read, and each alert of it was sent or held back: the next turn continues at `next`.
    pub(super) fn whole(&mut self, fence: &str, next: u64) {
        if next == 0 {
            self.cursors.remove(fence);
        } else {
            self.cursors.insert(fence.to_owned(), next);
        }
    }

    /// The round is over: how long to wait before the next.
    pub(super) fn end(&mut self) -> Duration {
        if self.round.is_down || !(self.may_send() || self.round.arrived) {
            return self.backoff.failed();
        }
        match self.cursors.is_empty() || !self.may_send() {
            true => LOOK_EVERY,
            false => Duration::ZERO,
        }
    }

    /// How many alerts are held back.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// The job ends here: each alert may be tried once more.
    pub(super) fn last_round(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(fences: &[&str]) -> BTreeSet<String> {
        fences.iter().map(|fence| (*fence).to_owned()).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_partition_has_its_turn_whichever_ended_the_round_before() {
        let (mut schedule, now) = (Schedule::new(), Instant::now());
        let all = followed(&["a", "b", "c"]);
        assert_eq!(schedule.begin(&all, now), ["a", "b", "c"]);
        schedule.turn("a");
        schedule.failed("a", "1", Means::Down, now);
        assert!(!schedule.may_send(), "nothing is taken");
        assert_eq!(schedule.begin(&all, now), ["b", "c", "a"]);
        schedule.turn("b");
        schedule.turn("c");
        assert_eq!(schedule.begin(&all, now), ["a", "b", "c"]);
        schedule.turn("b");
        assert_eq!(schedule.begin(&followed(&["a", "c"]), now), ["c", "a"]);
    }

    #[test]
    fn a_turn_continues_behind_the_last_whole_piece_and_begins_again_in_the_end() {
        let (mut schedule, now) = (Schedule::new(), Instant::now());
        schedule.begin(&followed(&["a"]), now);
        assert_eq!(schedule.turn("a"), 0);
        schedule.whole("a", 7);
        assert_eq!(schedule.end(), Duration::ZERO, "there is more");
        assert_eq!(schedule.turn("a"), 7);
        assert_eq!(schedule.turn("a"), 7, "that piece was not whole");
        schedule.whole("a", 0);
        assert_eq!(schedule.end(), LOOK_EVERY);
        assert_eq!(schedule.turn("a"), 0);
        schedule.whole("a", 9);
        schedule.begin(&followed(&["b"]), now);
        assert_eq!(schedule.turn("a"), 0, "it was elsewhere meanwhile");
    }

    #[test]
    fn an_alert_that_is_not_taken_waits_by_itself_longer_and_longer() {
        let (mut schedule, start) = (Schedule::new(), Instant::now());
        schedule.begin(&followed(&["a"]), start);
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..10 {
            schedule.failed("a", "1", Means::NotNow, now);
            assert!(!schedule.is_due("a", "1", now));
            assert!(schedule.is_due("a", "2", now) && schedule.is_due("b", "1", now));
            let due = (0..).map(|ms| now + Duration::from_millis(ms));
            let due = due.into_iter().find(|at| schedule.is_due("a", "1", *at));
            waits.push(due.unwrap() - now);
            now = due.unwrap();
        }
        assert!(waits[0] <= SECOND, "{waits:?}");
        assert!((15 * SECOND..=30 * SECOND).contains(&waits[9]), "{waits:?}");
        assert_eq!(schedule.held(), 1);
        schedule.arrived("a", "1");
        assert_eq!(schedule.held(), 0);
        schedule.failed("a", "1", Means::NotNow, now);
        assert!(schedule.is_due("a", "1", now + SECOND), "a first failure");
    }

    #[test]
    fn a_round_that_has_failed_so_often_begins_no_other_attempt() {
        let (mut schedule, now) = (Schedule::new(), Instant::now());
        let all = followed(&["a"]);
        for arrives in [true, false] {
            schedule.begin(&all, now);
            if arrives {
                schedule.arrived("a", "x");
            }
            for n in 0..FAILURES {
                assert!(schedule.may_send(), "{n}");
                schedule.failed("a", &n.to_string(), Means::NotNow, now);
            }
            assert!(!schedule.may_send());
            let wait = schedule.end();
            assert_eq!(wait == LOOK_EVERY, arrives, "{wait:?}");
        }
        schedule.begin(&all, now);
        assert!(schedule.may_send());
    }

    #[test]
    fn a_destination_that_takes_nothing_is_tried_again_after_waits_that_grow_to_half_a_minute() {
        let (mut schedule, now) = (Schedule::new(), Instant::now());
        let mut wait = |fails: Option<Means>| {
            schedule.begin(&followed(&["a"]), now);
            match fails {
                Some(means) => schedule.failed("a", "1", means, now),
                None => schedule.closed(),
            }
            assert_eq!(schedule.held(), 0, "the alert is not the reason");
            schedule.end()
        };
        let reasons = [Some(Means::Down), Some(Means::Login), None];
        let waits: Vec<Duration> = (0..9).map(|n| wait(reasons[n % 3])).collect();
        assert!(waits[0] <= SECOND && waits[0] >= SECOND / 2, "{waits:?}");
        assert!(waits[8] >= 15 * SECOND, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 30 * SECOND), "{waits:?}");
        schedule.arrived("a", "1");
        schedule.begin(&followed(&["a"]), now);
        schedule.closed();
        assert!(schedule.end() <= SECOND);
    }

    #[test]
    fn what_is_held_back_is_bounded_and_forgotten_where_nothing_is_heard_of_it() {
        let (mut schedule, now) = (Schedule::new(), Instant::now());
        for n in 0..=MOST_HELD {
            schedule.failed("a", &n.to_string(), Means::NotNow, now);
        }
        assert_eq!(schedule.held(), MOST_HELD);
        schedule.begin(&followed(&["a"]), now + FORGET / 2);
        assert_eq!(schedule.held(), MOST_HELD);
        schedule.begin(&followed(&["a"]), now + FORGET + SECOND);
        assert_eq!(schedule.held(), 0);
        schedule.failed("a", "1", Means::NotNow, now);
        schedule.begin(&followed(&["b"]), now);
        assert_eq!(schedule.held(), 0, "it is another executor's");
        schedule.failed("b", "1", Means::NotNow, now);
        schedule.last_round();
        assert!(schedule.is_due("b", "1", now));
    }
}
