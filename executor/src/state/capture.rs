//! Copies of the state as it stands at a barrier, for a state file. See [`super::changes`].

use std::borrow::Cow;

use kol_common::checkpoint::frame::{PLAIN_VERSION, VERSION};
use kol_common::checkpoint::{CarriedKolRecord, Head, KolRecord, Record};

use super::{Capture, KolIndex, State};

/// Bytes of a record in a file, about.
const RECORD_BYTES: usize = 200;
/// Entries that are looked up together.
const TOGETHER: usize = 32;

impl State {
    /// Whether the next capture has to be of everything: the last one that was is not kept.
    pub fn owes_everything(&mut self) -> bool {
        self.changes.owes_everything() || self.readings.changes().owes_everything()
    }

    /// How large the records of a capture will be, in bytes, about; of what changes meanwhile nothing is said.
    pub fn capture_bytes(&mut self, what: Capture) -> usize {
        let (_, _, all) = self.size();
        match what {
            Capture::Base | Capture::Savepoint => all,
            Capture::Changes => all.min(self.uncaptured() * RECORD_BYTES),
        }
    }

    /// Version of the files that its captures make.
    pub fn file_version(&self) -> u16 {
        if self.scoring.carries_on() {
            VERSION
        } else {
            PLAIN_VERSION
        }
    }

    /// Begins a capture.
    pub fn begin_capture(&mut self, what: Capture) {
        self.copies.clear();
        let head = Head {
            clock: self.clock.map(|c| c.0),
            window_end: self.window_end,
            platforms: self
                .kols
                .platforms()
                .iter()
                .map(|p| Cow::Borrowed(&**p))
                .collect(),
            gaps: self.gaps.counts(),
        };
        Record::Head(head).append(&mut self.copies);
        let bound = self.kols.bound() as KolIndex;
        self.changes.begin(what, bound);
        let bound = self.readings.bound();
        self.readings.changes().begin(what, bound);
    }

    /// Copies up to `count` entries more; false when all are copied. They lie far apart: the processor does not wait for
    /// one of them before it looks for the next.
    pub fn capture_some(&mut self, count: usize) -> bool {
        let mut left = count;
        let mut places = [0; TOGETHER];
        while left > 0 {
            let some = &mut places[..left.min(TOGETHER)];
            let kols = taken(some, || self.changes.copy_next());
            kols.iter().for_each(|kol| self.kols.prefetch(*kol));
            kols.iter().for_each(|kol| self.kols.prefetch_panes(*kol));
            kols.iter().for_each(|kol| self.copy_kol(*kol));
            left -= kols.len();
            if !kols.is_empty() {
                continue;
            }
            let readings = taken(some, || self.readings.changes().copy_next());
            let prefetch = |reading: &u32| self.readings.prefetch(*reading);
            readings.iter().for_each(prefetch);
            for reading in readings.iter() {
                self.readings.copy(*reading, &mut self.copies);
            }
            left -= readings.len();
            if readings.is_empty() {
                return false;
            }
        }
        true
    }

    /// How many bytes of records wait to be fetched.
    pub fn copied(&self) -> usize {
        self.copies.len()
    }

    /// Fetches the records copied so far.
    pub fn take_copies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.copies)
    }

    /// The capture is part of a committed epoch.
    pub fn keep_capture(&mut self) {
        self.changes.keep();
        self.readings.changes().keep();
    }

    /// The capture was aborted: what it had goes into the next one.
    pub fn put_capture_back(&mut self) {
        self.copies.clear();
        self.changes.put_back();
        self.readings.changes().put_back();
    }

    /// How many entries changed since the last capture.
    pub fn uncaptured(&mut self) -> usize {
        self.changes.len() + self.readings.changes().len()
    }

    /// Notes that a KOL is about to change.
    pub(super) fn changing(&mut self, kol: KolIndex) {
        if self.changes.note(kol) {
            self.copy_kol(kol);
        }
    }

    fn copy_kol(&mut self, kol: KolIndex) {
        let (Some((platform, name)), Some(slot)) = (self.kols.name(kol), self.kols.slot(kol))
        else {
            return Record::NoKol(kol).append(&mut self.copies);
        };
        let (base, baseline_e6, baseline_events) = slot.panes.copy(&mut self.panes_copied);
        let record = KolRecord {
            index: kol,
            platform,
            name: Cow::Borrowed(name),
            first: slot.first,
            newest: slot.newest,
            base,
            baseline_e6,
            baseline_events,
            panes: Cow::Borrowed(&self.panes_copied),
        };
        let Some(carried) = &slot.carried else {
            return Record::Kol(record).append(&mut self.copies);
        };
        let base = carried.copy(&mut self.carried_copied);
        let record = CarriedKolRecord {
            kol: record,
            base,
            panes: Cow::Borrowed(&self.carried_copied),
            suspects: carried.suspects.copy().into(),
        };
        Record::CarriedKol(record).append(&mut self.copies);
    }
}

/// Fills places with what comes next: those that were filled.
fn taken(places: &mut [u32], mut next: impl FnMut() -> Option<u32>) -> &mut [u32] {
    let mut count = 0;
    for place in &mut *places {
        let Some(index) = next() else {
            break;
        };
        *place = index;
        count += 1;
    }
    &mut places[..count]
}
