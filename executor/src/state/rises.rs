//! Rises that the next reading of their counter decides about: a counter that rises more than eight times from a thousand
//! or more counts at once, and is taken back if its next reading shows less than half of it
//! (`docs/protocol/scoring.md`, "False rises").
//!
//! What such a reading gained stays beside the panes of its slot until that is decided: so it can be taken back without
//! a trace, also where its panes have joined a baseline that is no whole number.

use kol_common::checkpoint::{RiseRecord, SuspectRecord};

use super::reading::{MISSING, Reading};

/// A rise is kept in mind from this value on.
const FROM: u64 = 1_000;
/// And if it is to more than so many times the value before.
const TIMES: u64 = 8;
/// Counters that count: views do not.
const COUNTED: usize = 3;

/// A gain, spread over the time in which it arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) gain: u64,
    pub(super) since: u64,
    pub(super) time: u64,
}

/// What a reading gained of which counters rose too far to be believed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Suspect {
    /// Index of the reading's entity.
    reading: u32,
    /// All that it gained, less what was taken back.
    gained: Spread,
    rises: Vec<RiseRecord>,
}

/// Those of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suspects(Vec<Suspect>);

/// The counters that rose too far, from `before` to `now`, with what each gained.
pub(super) fn rises(before: [u64; 4], now: [u64; 4], gains: [u64; 4]) -> Vec<RiseRecord> {
    let counters = 0..COUNTED as u8;
    let rise = |counter: u8| {
        let at = usize::from(counter);
        let (before, top, gain) = (before[at], now[at], gains[at]);
        let is_one = gain > 0 && before >= FROM && top > TIMES * before;
        is_one.then_some(RiseRecord {
            counter,
            gain,
            before,
            top,
        })
    };
    counters.filter_map(rise).collect()
}

impl Suspects {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A reading gained this, and these counters of it rose too far.
    pub(super) fn add(&mut self, reading: u32, gained: Spread, rises: Vec<RiseRecord>) {
        self.0.push(Suspect {
            reading,
            gained,
            rises,
        });
    }

    /// A newer reading of an entity decides about the counters that it has: a false rise is taken back, and the counter
    /// gets the value that it had before. What is decided in whole goes to `settled`.
    pub(super) fn decide(
        &mut self,
        index: u32,
        now: [u64; 4],
        reading: &mut Reading,
        settled: &mut Vec<Spread>,
    ) {
        for Suspect { gained, rises, .. } in self.0.iter_mut().filter(|s| s.reading == index) {
            rises.retain(|rise| {
                let counter = usize::from(rise.counter);
                if now[counter] == MISSING {
                    return true;
                }
                if now[counter] < rise.top.div_ceil(2) {
                    gained.gain -= rise.gain;
                    reading.put_back(counter, rise.before);
                }
                false
            });
        }
        self.settle(|suspect| suspect.rises.is_empty(), settled);
    }

    /// Nothing decides about the rises of these entities any more: they stay.
    pub(super) fn release(&mut self, is_over: impl Fn(u32) -> bool, settled: &mut Vec<Spread>) {
        self.settle(|suspect| is_over(suspect.reading), settled);
    }

    fn settle(&mut self, is_settled: impl Fn(&Suspect) -> bool, settled: &mut Vec<Spread>) {
        self.0.retain(|suspect| {
            let is_settled = is_settled(suspect);
            if is_settled {
                settled.push(suspect.gained);
            }
            !is_settled
        });
    }

    /// What they gained, which is not in the panes.
    pub(super) fn gained(&self) -> impl Iterator<Item = Spread> {
        self.0.iter().map(|suspect| suspect.gained)
    }

    /// For a record.
    pub(super) fn copy(&self) -> Vec<SuspectRecord> {
        let record = |suspect: &Suspect| SuspectRecord {
            reading: suspect.reading,
            gain: suspect.gained.gain,
            since: suspect.gained.since,
            time: suspect.gained.time,
            rises: suspect.rises.clone(),
        };
        self.0.iter().map(record).collect()
    }

    /// Those of a record.
    pub(super) fn restored(records: &[SuspectRecord]) -> Self {
        let suspect = |record: &SuspectRecord| Suspect {
            reading: record.reading,
            gained: Spread {
                gain: record.gain,
                since: record.since,
                time: record.time,
            },
            rises: record.rises.clone(),
        };
        Self(records.iter().map(suspect).collect())
    }

    /// Bytes of the heap that they take, about.
    pub(super) fn heap(&self) -> usize {
        let rises = self.0.iter().map(|s| s.rises.capacity());
        self.0.capacity() * size_of::<Suspect>() + rises.sum::<usize>() * size_of::<RiseRecord>()
    }
}
