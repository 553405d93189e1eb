//! What one flat pass found of each field: of its paths the one that is preferred.

use crate::Millis;
use crate::event::fields::Field;
use crate::event::number::read_counter_float;
use crate::event::plan::Leaf;
use crate::event::time::{unix_time, unix_time_float};
use crate::event::{MAX_COUNTER, parse_time, read_counter_text};

/// Fields in all.
const FIELDS: usize = Field::ALL.len();
/// Those that are texts: the first ones. The others are numbers.
const TEXTS: usize = 3;
/// The rank of what was not found.
const NOT_FOUND: u8 = u8::MAX;

/// Whether a field is a text, and no number.
#[inline]
pub(super) fn is_of_texts(field: Field) -> bool {
    (field as usize) < TEXTS
}

#[inline]
fn is_time(field: Field) -> bool {
    matches!(field, Field::EventTime | Field::PublishedAt)
}

/// See the module.
pub(crate) struct Seen<'a> {
    /// For each field the ranks that were seen, whatever was there.
    ranks: [u8; FIELDS],
    /// For each field the lowest rank that could be read.
    best: [u8; FIELDS],
    /// What could be read there, of a field that is a text.
    texts: [&'a str; TEXTS],
    /// The same of the others.
    numbers: [u64; FIELDS - TEXTS],
    has_unreadable_time: bool,
}

impl Default for Seen<'_> {
    #[inline]
    fn default() -> Self {
        Self {
            ranks: [0; FIELDS],
            best: [NOT_FOUND; FIELDS],
            texts: [""; TEXTS],
            numbers: [0; FIELDS - TEXTS],
            has_unreadable_time: false,
        }
    }
}

impl<'a> Seen<'a> {
    /// There is a value at one of a field's paths. `None` where there was one before: a key that stands twice counts
    /// as it stands last.
    #[inline]
    pub(super) fn first_time(&mut self, leaf: Leaf) -> Option<()> {
        let rank = 1_u8.checked_shl(leaf.rank.into())?;
        let ranks = &mut self.ranks[leaf.field as usize];
        if *ranks & rank != 0 {
            return None;
        }
        *ranks |= rank;
        Some(())
    }

    /// It is a text.
    #[inline]
    pub(super) fn set_text(&mut self, leaf: Leaf, text: &'a str) {
        if is_of_texts(leaf.field) {
            self.keep_text(leaf, text);
        } else if is_time(leaf.field) {
            match parse_time(text) {
                Some(time) => self.keep_number(leaf, time.0),
                None => self.unreadable(leaf, text),
            }
        } else if let Some(counter) = read_counter_text(text) {
            self.keep_number(leaf, counter);
        }
    }

    #[cold]
    fn unreadable(&mut self, leaf: Leaf, text: &str) {
        self.has_unreadable_time |= leaf.field == Field::EventTime && !text.trim().is_empty();
    }

    /// It is a whole number, and the field is a text.
    pub(super) fn set_digits(&mut self, leaf: Leaf, written: &'a str) -> Option<()> {
        if leaf.field == Field::Platform {
            return None;
        }
        self.keep_text(leaf, written);
        Some(())
    }

    /// It is a whole number, and so is the field.
    #[inline(always)]
    pub(super) fn set_whole(&mut self, leaf: Leaf, number: u64) {
        if is_time(leaf.field) {
            self.keep_time(leaf, unix_time(number));
        } else if number <= MAX_COUNTER {
            self.keep_number(leaf, number);
        }
    }

    /// It is a number with a fraction, and the field is a number.
    pub(super) fn set_decimal(&mut self, leaf: Leaf, number: f64) {
        if !is_time(leaf.field) {
            if let Some(counter) = read_counter_float(number) {
                self.keep_number(leaf, counter);
            }
        } else {
            self.keep_time(leaf, unix_time_float(number));
        }
    }

    #[inline]
    fn keep_time(&mut self, leaf: Leaf, time: Option<Millis>) {
        match time {
            Some(time) => self.keep_number(leaf, time.0),
            None => self.has_unreadable_time |= leaf.field == Field::EventTime,
        }
    }

    /// It is below zero, and the field is a number.
    pub(super) fn set_negative(&mut self, leaf: Leaf) {
        self.has_unreadable_time |= leaf.field == Field::EventTime;
    }

    #[inline]
    fn keep_text(&mut self, leaf: Leaf, text: &'a str) {
        let field = leaf.field as usize;
        if leaf.rank < self.best[field] && !text.is_empty() {
            self.best[field] = leaf.rank;
            self.texts[field] = text;
        }
    }

    #[inline]
    fn keep_number(&mut self, leaf: Leaf, number: u64) {
        let field = leaf.field as usize;
        if leaf.rank < self.best[field] {
            self.best[field] = leaf.rank;
            self.numbers[field - TEXTS] = number;
        }
    }

    /// A username, a platform or a video id: as it is written, and not empty.
    #[inline]
    pub fn text(&self, field: Field) -> Option<&'a str> {
        let text = self.texts[field as usize];
        (!text.is_empty()).then_some(text)
    }

    /// The event time, and whether there is one that cannot be read instead.
    #[inline]
    pub fn event_time(&self) -> (Option<Millis>, bool) {
        let time = self.number(Field::EventTime).map(Millis);
        (time, time.is_none() && self.has_unreadable_time)
    }

    /// A time or a counter.
    #[inline]
    pub fn number(&self, field: Field) -> Option<u64> {
        let is_found = self.best[field as usize] != NOT_FOUND;
        is_found.then(|| self.numbers[field as usize - TEXTS])
    }
}
