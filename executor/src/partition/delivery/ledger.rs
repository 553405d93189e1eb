//! What Redis was sent of each KOL, by the KOL's index in the state.
//!
//! An entry is blank when Redis does not have the KOL and nothing of it is in flight. Any other entry
//! pins its index: the state must not forget the KOL ([`Ledger::holds`]).

use kol_common::scoring::Slot;

use crate::state::{Consumer, KolIndex, Phase, State};

use super::encode::Outgoing;

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    /// KOLs of the flush that is under way, and whether it removes them.
    in_flight: Vec<(KolIndex, bool)>,
}

/// What Redis was sent of one KOL.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Window end and market version of what was sent last; 0: it must be sent in any case.
    window_end: u64,
    market_version: u64,
    /// The score that was sent last; not a number where none was.
    score: f32,
    place: Place,
}

/// Whether Redis has a KOL. What is under way may be there already, or still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It does not have it.
    Absent,
    /// It has it, or may have it.
    There,
    /// The flush under way puts it there, or removes it.
    UnderWay,
}

/// What Redis has of every KOL, or newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Window end, a pane number.
    pub window_end: u64,
    /// Version of the market measure.
    pub market_version: u64,
}

impl Entry {
    const BLANK: Self = Self {
        window_end: 0,
        market_version: 0,
        score: f32::NAN,
        place: Place::Absent,
    };
}

impl Ledger {
    /// Of a partition whose KOLs were all sent, and confirmed, as of this window end and market.
    pub fn of_confirmed(state: &State, sent: Sent) -> Self {
        let entry = |kol: KolIndex| {
            state.name(kol)?;
            let window_end = match state.phase_at(kol, sent.window_end)? {
                Phase::Retired => return None,
                Phase::Empty { since } => since,
                Phase::Live => sent.window_end,
            };
            Some(Entry {
                window_end,
                market_version: sent.market_version,
                score: f32::NAN,
                place: Place::There,
            })
        };
        let all = 0..state.bound() as KolIndex;
        Self {
            entries: all.map(|kol| entry(kol).unwrap_or(Entry::BLANK)).collect(),
            in_flight: Vec::new(),
        }
    }

    /// Whether the index must stay with its KOL: Redis has it, may have it, or is being sent it.
    pub fn holds(&self, kol: KolIndex) -> bool {
        self.get(kol).place != Place::Absent
    }

    /// What to send for a KOL now; `None` when Redis neither has it nor should have it.
    pub fn outgoing(&self, state: &State, kol: KolIndex) -> Option<Outgoing> {
        match state.share(kol) {
            Some(slot) if self.should_be_there(kol) => Some(Outgoing::Change(slot)),
            Some(slot) => Some(Outgoing::Put(slot)),
            None => self.holds(kol).then_some(Outgoing::Remove),
        }
    }

    /// Whether `outgoing` differs from what was sent last although no event arrived: because of the
    /// window end or the market version.
    pub fn is_outdated(&self, state: &State, kol: KolIndex, market_version: u64) -> bool {
        let sent = self.get(kol);
        match state.phase(kol) {
            None => false,
            Some(Phase::Retired) => sent.place != Place::Absent,
            Some(Phase::Empty { since }) => sent.window_end != since,
            Some(Phase::Live) => {
                sent.window_end != state.window_end()
                    || (state.uses_market() && sent.market_version != market_version)
            }
        }
    }

    /// Notes that a KOL goes out. Redis may have it from now on, whatever becomes of the flush.
    pub fn sending(&mut self, kol: KolIndex, what: &Outgoing, market_version: u64) {
        let entry = self.entry(kol);
        entry.place = Place::UnderWay;
        match what {
            Outgoing::Put(slot) | Outgoing::Change(slot) => {
                entry.window_end = slot.window_end;
                entry.market_version = market_version;
            }
            Outgoing::Remove => entry.window_end = 0,
        }
        let removes = matches!(what, Outgoing::Remove);
        self.in_flight.push((kol, removes));
    }

    /// The score with which a KOL goes out.
    pub fn scored(&mut self, kol: KolIndex, score: f64) {
        self.entry(kol).score = score as f32;
    }

    /// The score that Redis was sent last of a KOL; not a number where that is not known.
    pub fn score(&self, kol: KolIndex) -> f32 {
        self.get(kol).score
    }

    /// Whether a KOL is in the flush under way.
    pub fn is_in_flight(&self, kol: KolIndex) -> bool {
        self.get(kol).place == Place::UnderWay
    }

    /// Whether Redis should have a KOL as it was sent.
    pub fn should_be_there(&self, kol: KolIndex) -> bool {
        let entry = self.get(kol);
        entry.place == Place::There && entry.window_end > 0
    }

    /// The slot that Redis was sent last of a KOL, where the state still says so: no event of it came since, and it was
    /// sent as of now.
    pub fn as_sent(&self, state: &State, kol: KolIndex) -> Option<Slot> {
        let slot = state.share(kol)?;
        let is_current = self.get(kol).window_end == slot.window_end;
        (is_current && !state.waits(Consumer::Delivery, kol)).then_some(slot)
    }

    /// Redis lost a KOL: it must be sent again. False when that was known.
    pub fn lost(&mut self, kol: KolIndex) -> bool {
        let known = !self.should_be_there(kol);
        if !known {
            self.entry(kol).window_end = 0;
        }
        !known
    }

    /// The KOLs of the flush under way, and whether it removes them.
    pub fn under_way(&self) -> &[(KolIndex, bool)] {
        &self.in_flight
    }

    /// How many KOLs the flush under way has.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Redis confirmed the flush: how many KOLs it had.
    pub fn confirm(&mut self) -> usize {
        let mut settled = std::mem::take(&mut self.in_flight);
        let count = settled.len();
        for (kol, removed) in settled.drain(..) {
            let entry = self.entry(kol);
            if removed {
                *entry = Entry::BLANK;
            } else {
                entry.place = Place::There;
            }
        }
        self.in_flight = settled;
        count
    }

    /// The flush failed: its KOLs must be sent again, whatever Redis has of them.
    pub fn fail(&mut self, mut send_again: impl FnMut(KolIndex)) {
        let mut failed = std::mem::take(&mut self.in_flight);
        for (kol, _) in failed.drain(..) {
            let entry = self.entry(kol);
            entry.place = Place::There;
            entry.window_end = 0;
            send_again(kol);
        }
        self.in_flight = failed;
    }

    /// Redis lost data: every KOL must be sent again.
    pub fn forget_sent(&mut self) {
        for entry in &mut self.entries {
            entry.window_end = 0;
        }
    }

    /// Redis has a KOL that it should not have: the next `outgoing` removes it.
    pub fn found(&mut self, kol: KolIndex) {
        let entry = self.entry(kol);
        if entry.place == Place::Absent {
            entry.place = Place::There;
        }
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    fn get(&self, kol: KolIndex) -> Entry {
        self.entries
            .get(kol as usize)
            .copied()
            .unwrap_or(Entry::BLANK)
    }

    fn entry(&mut self, kol: KolIndex) -> &mut Entry {
        let index = kol as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::BLANK);
        }
        &mut self.entries[index]
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
