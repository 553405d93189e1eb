//! Which entries of a dense table changed since the last capture, and which belong to a capture and
//! were not copied yet.
//!
//! A capture is a copy of everything that changed, as it stood at one moment, taken in small steps
//! while the table keeps changing: an entry is copied before its first change after that moment, or
//! when a step comes to it, whichever is first. Nothing stops for it.
//!
//! A capture for a savepoint is of everything, and changes nothing in what the next one has to hold.
//!
//! A capture that became part of a committed epoch is forgotten ([`Changes::keep`]); the entries of
//! any other one count as changed again ([`Changes::put_back`]), so that the next capture has them.
//! A capture of everything is not listed entry by entry, and when it is aborted, the next one is of
//! everything too: so no step takes time by the size of the table, but for clearing bits.

/// What a capture is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// What changed since the last one that was kept.
    Changes,
    /// Everything: the next one is of what changes from here on.
    Base,
    /// Everything, beside the chain of the other two.
    Savepoint,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Changes {
    changed: Marks,
    /// Everything in the capture; marked: not copied yet.
    captured: Marks,
    /// The capture is of all entries below this.
    whole: Option<u32>,
    /// The capture replaces what the chain of captures has.
    base: bool,
    /// Entries of `captured`, or of the whole table, before this place are copied.
    next: usize,
    /// A capture of everything was aborted.
    owed: bool,
}

/// A set of indexes that remembers the order of its members, also of those that left.
#[derive(Debug, Default)]
struct Marks {
    bits: Vec<u64>,
    list: Vec<u32>,
}

/// Room that a list keeps for the next capture, for 64 entries of the table.
const LISTED: usize = 8;

impl Changes {
    /// Notes that an entry is about to change. True: copy it first.
    #[must_use]
    #[inline]
    pub(super) fn note(&mut self, index: u32) -> bool {
        self.changed.insert(index);
        self.captured.unmark(index)
    }

    /// Whether the next capture has to be of everything.
    pub(super) fn owes_everything(&self) -> bool {
        self.owed
    }

    /// Begins a capture of a table with entries below `bound`. The capture before must have been kept
    /// or put back.
    pub(super) fn begin(&mut self, what: Capture, bound: u32) {
        debug_assert!(self.captured.list.is_empty() && self.whole.is_none());
        match what {
            Capture::Changes => std::mem::swap(&mut self.changed, &mut self.captured),
            Capture::Base => self.changed.clear(),
            Capture::Savepoint => {}
        }
        self.whole = (what != Capture::Changes).then_some(bound);
        if self.whole.is_some() {
            self.captured.fill(bound);
        }
        self.base = what == Capture::Base;
        self.owed &= what == Capture::Savepoint;
        self.next = 0;
    }

    /// The next entry that has to be copied; the caller copies it now.
    pub(super) fn copy_next(&mut self) -> Option<u32> {
        loop {
            let index = match self.whole {
                None => *self.captured.list.get(self.next)?,
                Some(bound) if self.next < bound as usize => self.next as u32,
                Some(_) => return None,
            };
            self.next += 1;
            if self.captured.unmark(index) {
                return Some(index);
            }
        }
    }

    /// The capture is part of a committed epoch.
    pub(super) fn keep(&mut self) {
        if self.whole.take().is_some() {
            self.captured.bits.fill(0);
        }
        self.captured.clear();
    }

    /// The capture was aborted.
    pub(super) fn put_back(&mut self) {
        self.owed |= self.base && self.whole.is_some();
        for &index in &self.captured.list {
            self.changed.insert(index);
        }
        self.keep();
    }

    /// How many entries changed.
    pub(super) fn len(&self) -> usize {
        self.changed.list.len()
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let of = |marks: &Marks| marks.bits.capacity() * 8 + marks.list.capacity() * 4;
        of(&self.changed) + of(&self.captured)
    }
}

impl Marks {
    #[inline]
    fn insert(&mut self, index: u32) {
        let (word, bit) = (index as usize / 64, 1 << (index % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        if self.bits[word] & bit == 0 {
            self.bits[word] |= bit;
            self.list.push(index);
        }
    }

    /// Marks all below `bound`, without listing them.
    fn fill(&mut self, bound: u32) {
        let (words, rest) = (bound as usize / 64, bound % 64);
        if self.bits.len() < words + 1 {
            self.bits.resize(words + 1, 0);
        }
        self.bits[..words].fill(u64::MAX);
        self.bits[words] = (1 << rest) - 1;
    }

    /// Takes the mark off; whether it was there.
    #[inline]
    fn unmark(&mut self, index: u32) -> bool {
        let (word, bit) = (index as usize / 64, 1 << (index % 64));
        match self.bits.get_mut(word) {
            Some(bits) if *bits & bit != 0 => {
                *bits &= !bit;
                true
            }
            _ => false,
        }
    }

    fn clear(&mut self) {
        if self.list.len() > self.bits.len() {
            self.bits.fill(0);
        } else {
            for &index in &self.list {
                self.bits[index as usize / 64] = 0;
            }
        }
        self.list.clear();
        // After one of nearly everything: the next ones are small.
        self.list.shrink_to(self.bits.len() * LISTED);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u32),
        Copy,
        Begin(Capture),
        Keep,
        PutBack,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..20u32).prop_map(Step::Write),
            6 => Just(Step::Copy),
            2 => prop::sample::select(vec![Capture::Changes, Capture::Base, Capture::Savepoint])
                .prop_map(Step::Begin),
            1 => Just(Step::Keep),
            1 => Just(Step::PutBack),
        ]
    }

    /// A table of numbers, and what a reader of all kept captures would believe it holds.
    #[derive(Default)]
    struct Model {
        changes: Changes,
        table: Vec<u32>,
        at_begin: Vec<u32>,
        copied: Vec<(u32, u32)>,
        open: Option<Capture>,
        reader: Vec<u32>,
    }

    impl Model {
        fn copy(&mut self, index: u32) {
            self.copied.push((index, self.table[index as usize]));
        }

        fn end(&mut self, keep: bool) {
            if keep {
                while let Some(index) = self.changes.copy_next() {
                    self.copy(index);
                }
                // A savepoint has a reader of its own, who knows nothing yet.
                let mut alone = vec![u32::MAX; 20];
                let reader = match self.open {
                    Some(Capture::Savepoint) => &mut alone,
                    _ => &mut self.reader,
                };
                for (index, value) in self.copied.drain(..) {
                    reader[index as usize] = value;
                }
                assert_eq!(*reader, self.at_begin, "the table at its barrier");
                self.changes.keep();
            } else {
                self.copied.clear();
                self.changes.put_back();
            }
            self.open = None;
        }

        fn apply(&mut self, number: u32, step: Step) {
            match step {
                Step::Write(index) => {
                    if self.changes.note(index) {
                        self.copy(index);
                    }
                    self.table[index as usize] = number + 1;
                }
                Step::Copy => {
                    if let Some(index) = self.changes.copy_next() {
                        self.copy(index);
                    }
                }
                Step::Begin(what) => {
                    if self.open.is_some() {
                        self.end(false);
                    }
                    self.at_begin.clone_from(&self.table);
                    let owed = what == Capture::Changes && self.changes.owes_everything();
                    let what = if owed { Capture::Base } else { what };
                    self.changes.begin(what, 20);
                    self.open = Some(what);
                }
                Step::Keep if self.open.is_some() => self.end(true),
                Step::PutBack if self.open.is_some() => self.end(false),
                Step::Keep | Step::PutBack => {}
            }
        }
    }

    proptest! {
        #[test]
        fn kept_captures_give_the_table_as_it_was_at_the_last_of_them(
            steps in prop::collection::vec(step(), 0..120),
        ) {
            let mut model = Model {
                table: vec![0; 20],
                reader: vec![0; 20],
                ..Model::default()
            };
            for (number, step) in steps.into_iter().enumerate() {
                model.apply(number as u32, step);
            }
            for _ in 0..2 {
                model.apply(0, Step::Begin(Capture::Changes));
                model.apply(0, Step::Keep);
            }
            prop_assert_eq!(model.changes.len(), 0);
        }
    }
}
