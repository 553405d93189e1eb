//! What the newest readings gained, carried on: until a video is read again, it is assumed to gain as fast as it did
//! (`docs/protocol/scoring.md`, "Rates that are carried on").
//!
//! A reading keeps its rate, by which what it was assumed to gain is taken out again to the last millionth. A slot keeps
//! the sums over its panes, of those that a window can still have.

use std::ops::Range;

use kol_common::checkpoint::{CarriedKolRecord, CarriedPane};
use kol_common::scoring::{Scoring, Share, carry_on};

use super::ring::Ring;
use super::rises::Suspects;
use super::slab::Slab;

/// Bytes of each number of a rate.
const WIDTH: usize = 6;

/// A gain, and the milliseconds over which it arose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    gain: [u8; WIDTH],
    span: [u8; WIDTH],
}

impl Rate {
    /// Nothing is carried on.
    pub(super) const NONE: Self = Self {
        gain: [0; WIDTH],
        span: [0; WIDTH],
    };

    /// Of a gain over so many milliseconds.
    pub(super) fn new(gain: u64, span: u64) -> Self {
        Self {
            gain: packed(gain),
            span: packed(span),
        }
    }

    pub(super) fn gain(self) -> u64 {
        unpacked(self.gain)
    }

    pub(super) fn span(self) -> u64 {
        unpacked(self.span)
    }

    /// Whether nothing is carried on.
    pub(super) fn is_none(self) -> bool {
        self.gain() == 0
    }

    /// What it amounts to in the panes behind a reading of this time.
    fn shares(self, time: u64, slide: u64) -> [Share; 3] {
        carry_on(self.gain(), self.span(), time, slide)
    }
}

/// The largest number that fits is more than any gain, and longer than any time.
fn packed(number: u64) -> [u8; WIDTH] {
    let [a, b, c, d, e, f, ..] = number.min((1 << (8 * WIDTH)) - 1).to_le_bytes();
    [a, b, c, d, e, f]
}

fn unpacked([a, b, c, d, e, f]: [u8; WIDTH]) -> u64 {
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// The rates of readings, by their indexes. Of jobs that carry none on it is empty.
#[derive(Debug, Default)]
pub(super) struct Rates(Slab<Rate>);

impl Rates {
    pub(super) fn get(&self, index: u32) -> Rate {
        self.0.get(index).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, index: u32, rate: Rate) {
        if !rate.is_none() {
            self.0.extend_to(index as usize + 1, Rate::default);
        }
        if (index as usize) < self.0.len() {
            self.0[index] = rate;
        }
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// What a slot has beside its panes: the sums of what is carried on. Panes older than those of any window to come count as empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    base: u64,
    ring: Ring,
    /// Gains that are not in the panes of the slot yet.
    pub(super) suspects: Suspects,
}

/// So many panes has a ring at most: those of the market's window, which ends two panes before the window end, and those to
/// which a rate of now is carried on.
fn room(scoring: &Scoring) -> usize {
    (scoring.panes + 2 + scoring.ahead()) as usize
}

impl Carried {
    /// No window that ends here or later has the panes before the market's.
    pub(super) fn advance(&mut self, scoring: &Scoring, window_end: u64) {
        let base = window_end.saturating_sub(scoring.panes + 2);
        if base > self.base {
            self.ring.drop_first(base - self.base);
            self.base = base;
        }
    }

    /// A rate is carried on from the time of its reading. The slot was advanced to a window end behind that.
    pub(super) fn add(&mut self, scoring: &Scoring, rate: Rate, time: u64) {
        for share in rate.shares(time, scoring.spec.slide.0) {
            let panes = self.of_ring(share.from..share.to, scoring);
            self.ring.add(panes, share.each_e6, 0, room(scoring));
        }
    }

    /// And is no longer.
    pub(super) fn take(&mut self, scoring: &Scoring, rate: Rate, time: u64) {
        for share in rate.shares(time, scoring.spec.slide.0) {
            let panes = self.of_ring(share.from..share.to, scoring);
            self.ring.take(panes, share.each_e6);
        }
    }

    /// The sum over a range of panes, in millionths.
    pub(super) fn sum(&self, scoring: &Scoring, panes: Range<u64>) -> u64 {
        self.ring.sum(self.of_ring(panes, scoring)).engagement_e6
    }

    /// The panes that are not empty, by their distance from the first, whose number is answered.
    pub(super) fn copy(&self, panes: &mut Vec<CarriedPane>) -> u64 {
        panes.clear();
        self.ring.each(0..usize::MAX, |pane, engagement_e6, _| {
            panes.push(CarriedPane {
                after_base: pane as u32,
                engagement_e6,
            });
        });
        self.base
    }

    /// Those of a record; `None`: it is of a longer ring than this job has.
    pub(super) fn restored(scoring: &Scoring, record: &CarriedKolRecord<'_>) -> Option<Self> {
        let room = room(scoring);
        let mut ring = Ring::default();
        for pane in record.panes.iter() {
            let at = pane.after_base as usize;
            if at >= room {
                return None;
            }
            ring.add(at..at + 1, pane.engagement_e6, 0, room);
        }
        Some(Self {
            base: record.base,
            ring,
            suspects: Suspects::restored(&record.suspects),
        })
    }

    /// Bytes of the heap that they take, about.
    pub(super) fn heap(&self) -> usize {
        size_of::<Self>() + 8 + self.ring.heap() + self.suspects.heap()
    }

    fn of_ring(&self, panes: Range<u64>, scoring: &Scoring) -> Range<usize> {
        let place = |pane: u64| (pane.saturating_sub(self.base) as usize).min(room(scoring));
        place(panes.start)..place(panes.end)
    }
}

#[cfg(test)]
mod tests {
    use kol_common::job::{Counters, Profile, ScoringSpec};
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn scoring() -> Scoring {
        Scoring::new(&ScoringSpec::defaults(
            Profile::Rising,
            Counters::Cumulative,
        ))
    }

    #[test]
    fn a_rate_takes_twelve_bytes_beside_a_reading() {
        assert_eq!(size_of::<Rate>(), 12);
        let rate = Rate::new(3_000_000_000_000, 30 * 24 * HOUR);
        assert_eq!(rate.gain(), 3_000_000_000_000);
        assert_eq!(rate.span(), 30 * 24 * HOUR);
    }

    #[test]
    fn where_nothing_is_carried_on_rates_take_nothing() {
        let mut rates = Rates::default();
        rates.set(1_000, Rate::default());
        assert_eq!(rates.bytes(), 0);
        rates.set(2, Rate::new(1, 1));
        rates.set(2, Rate::default());
        assert_eq!(rates.get(2), Rate::default());
    }

    proptest! {
        #[test]
        fn what_is_taken_out_leaves_what_was_there_before_it_came(
            rates in proptest::collection::vec(
                (1u64..3_000_000_000_000, 1u64..30 * 24 * HOUR, 0u64..200 * HOUR), 1..12),
            order in any::<u64>(),
        ) {
            let scoring = scoring();
            let start = 480_000 * HOUR;
            let mut carried = Carried::default();
            let mut clock = 0;
            for (gain, span, time) in &rates {
                clock = clock.max(start + time);
                carried.advance(&scoring, clock / HOUR + 1);
                carried.add(&scoring, Rate::new(*gain, *span), start + time);
            }
            let kept = order as usize % rates.len();
            for (place, (gain, span, time)) in rates.iter().enumerate() {
                if place != kept {
                    carried.take(&scoring, Rate::new(*gain, *span), start + time);
                }
            }
            let (gain, span, time) = rates[kept];
            let mut alone = Carried::default();
            alone.advance(&scoring, clock / HOUR + 1);
            alone.add(&scoring, Rate::new(gain, span), start + time);
            let (mut left, mut expected) = (Vec::new(), Vec::new());
            prop_assert_eq!(carried.copy(&mut left), alone.copy(&mut expected));
            prop_assert_eq!(left, expected);
        }
    }
}
