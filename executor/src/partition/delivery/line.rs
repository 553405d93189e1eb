//! The line in which KOLs wait to be sent: since when the first of them has waited, and when everything that waited
//! at some moment has arrived in Redis. A machine without I/O.
//!
//! KOLs are taken in the order in which they came to wait, and each KOL has one place. So all that waited at some
//! moment have arrived once as many were taken, and nothing of them is in flight; and where the line ended at some
//! times tells about when each of them came.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How exactly it is known since when a KOL has waited.
const GRAIN: Duration = Duration::from_millis(50);
/// Marks that are kept: when there are more, every other one is forgotten.
const MOST_MARKS: usize = 512;

/// See the module. Places in the line are counted from the start of the partition.
#[derive(Debug, Default)]
pub struct Line {
    taken: u64,
    /// Everything before this place must arrive, and since when.
    awaited: Option<(u64, Instant)>,
    /// Where the line ended, oldest first.
    marks: VecDeque<Mark>,
    /// Since when the first of those in flight had waited.
    sent: Option<Instant>,
    /// What failed to arrive waits again, before this place: since when the first of it has.
    failed: Option<(u64, Instant)>,
}

/// The line ended at this place, at all looks between these times.
#[derive(Clone, Copy, Debug)]
struct Mark {
    from: Instant,
    until: Instant,
    end: u64,
}

impl Line {
    /// Looks where the line ends: so many KOLs wait.
    pub fn look(&mut self, now: Instant, waiting: usize) {
        let end = self.taken + waiting as u64;
        match self.marks.back_mut() {
            Some(mark) if mark.end == end => mark.until = now,
            Some(mark) if now < mark.from + GRAIN => {}
            _ => self.marks.push_back(Mark {
                from: now,
                until: now,
                end,
            }),
        }
        // Of those that lie before the first in line, the newest tells when that came at the earliest.
        while self.marks.get(1).is_some_and(|mark| mark.end <= self.taken) {
            self.marks.pop_front();
        }
        if self.marks.len() > MOST_MARKS {
            let mut number = 0;
            self.marks.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
    }

    /// How many of the first in line have waited for at least this long.
    pub fn waited(&self, now: Instant, least: Duration) -> usize {
        let old = self.marks.partition_point(|mark| mark.from + least <= now);
        let newest = old.checked_sub(1).and_then(|at| self.marks.get(at));
        newest.map_or(0, |mark| mark.end.saturating_sub(self.taken)) as usize
    }

    /// The place of the first in line.
    pub fn first(&self) -> u64 {
        self.taken
    }

    /// The first in line was taken.
    pub fn take_one(&mut self) {
        if self.sent.is_none() {
            self.sent = self.first_since();
        }
        self.taken += 1;
    }

    /// Since when the first in line has waited, at the most.
    fn first_since(&self) -> Option<Instant> {
        let mark = self.marks.front()?;
        let came_later = mark.end <= self.taken;
        Some(if came_later { mark.until } else { mark.from })
    }

    /// Since when the oldest of what is not in Redis has waited, while so many KOLs wait.
    pub fn oldest(&self, waiting: usize) -> Option<Instant> {
        let first = self.first_since().filter(|_| waiting > 0);
        let failed = self.failed.map(|(_, since)| since);
        first.into_iter().chain(self.sent).chain(failed).min()
    }

    /// What was in flight has arrived.
    pub fn arrived(&mut self) {
        self.sent = None;
        self.failed.take_if(|(place, _)| *place <= self.taken);
    }

    /// Everything that waits now must arrive: so many KOLs.
    pub fn await_all(&mut self, now: Instant, waiting: usize) {
        self.awaited = Some((self.taken + waiting as u64, now));
    }

    /// Since when something is awaited.
    pub fn awaited_since(&self) -> Option<Instant> {
        self.awaited.map(|(_, since)| since)
    }

    /// What failed to arrive is at the end of the line again, which has so many KOLs now.
    pub fn set_back(&mut self, waiting: usize) {
        let end = self.taken + waiting as u64;
        if let Some((place, _)) = &mut self.awaited {
            *place = end;
        }
        let failed = self.failed.map(|(_, since)| since);
        let since = self.sent.take().into_iter().chain(failed).min();
        self.failed = since.map(|since| (end, since));
    }

    /// Whether what is awaited was taken; then nothing is awaited any more. To be called while nothing is
    /// in flight.
    pub fn settle(&mut self) -> bool {
        self.awaited
            .take_if(|(place, _)| self.taken >= *place)
            .is_some()
    }

    /// Nothing is awaited any more.
    pub fn forget_awaited(&mut self) {
        self.awaited = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_waited_has_arrived_when_as_many_were_taken_and_that_is_said_once() {
        let now = Instant::now();
        let mut line = Line::default();
        assert!(!line.settle(), "nothing is awaited");
        line.take_one();
        line.await_all(now, 2);
        line.take_one();
        assert!(!line.settle());
        line.take_one();
        assert!(line.settle());
        assert!(!line.settle());
    }

    #[test]
    fn what_failed_to_arrive_is_awaited_at_the_end_of_the_line_as_long_as_before() {
        let now = Instant::now();
        let mut line = Line::default();
        line.set_back(5);
        assert!(!line.settle(), "nothing was awaited");
        line.await_all(now, 1);
        line.take_one();
        // It came back behind another one.
        line.set_back(2);
        assert_eq!(line.awaited_since(), Some(now));
        line.take_one();
        assert!(!line.settle());
        line.take_one();
        assert!(line.settle());
    }

    #[test]
    fn the_age_of_the_oldest_is_that_of_the_first_in_line_or_of_what_is_in_flight_or_failed() {
        let start = Instant::now();
        let mut line = Line::default();
        let look = |line: &mut Line, at, waiting| line.look(start + ms(at), waiting);
        look(&mut line, 0, 0);
        assert_eq!(line.oldest(0), None);
        look(&mut line, 1_000, 0);
        look(&mut line, 1_100, 3);
        look(&mut line, 1_200, 3);
        look(&mut line, 1_300, 5);
        // It came after the line was empty for the last time.
        assert_eq!(line.oldest(5), Some(start + ms(1_000)));
        line.take_one();
        line.take_one();
        look(&mut line, 1_400, 3);
        assert_eq!(line.oldest(3), Some(start + ms(1_000)), "in flight");
        line.take_one();
        line.arrived();
        look(&mut line, 1_450, 2);
        assert_eq!(
            line.oldest(2),
            Some(start + ms(1_200)),
            "the next came later"
        );
        line.take_one();
        line.set_back(2);
        look(&mut line, 2_500, 2);
        line.take_one();
        line.arrived();
        look(&mut line, 2_600, 1);
        assert_eq!(
            line.oldest(1),
            Some(start + ms(1_200)),
            "it failed, and waits"
        );
        line.take_one();
        line.arrived();
        look(&mut line, 2_700, 0);
        assert_eq!(line.oldest(0), None);
    }

    #[test]
    fn a_kol_has_waited_since_it_was_first_seen_in_line() {
        let start = Instant::now();
        let mut line = Line::default();
        let mut waiting = 0;
        // One more each 100 ms; then none.
        for tenth in 0..80 {
            waiting += usize::from(tenth < 20);
            line.look(start + ms(100 * tenth), waiting);
        }
        let waited = |line: &Line, at| line.waited(start + ms(at), ms(5_000));
        assert_eq!(waited(&line, 4_999), 0);
        assert_eq!(waited(&line, 5_000), 1);
        assert_eq!(waited(&line, 6_050), 11);
        assert_eq!(waited(&line, 60_000), 20);
        line.take_one();
        assert_eq!(waited(&line, 6_050), 10);
    }

    #[test]
    fn marks_are_bounded_however_long_nothing_is_taken() {
        let start = Instant::now();
        let mut line = Line::default();
        for tenth in 0..100_000_u64 {
            line.look(start + ms(100 * tenth), tenth as usize);
        }
        assert!(line.marks.len() <= MOST_MARKS);
        assert_eq!(line.oldest(1), Some(start));
        let now = start + ms(100 * 100_000);
        assert!(line.waited(now, ms(1)) >= 99_000, "the newest stay exact");
    }
}
