//! Whether what Redis has of a KOL reads as it was sent: a machine without I/O.
//!
//! 1. Whichever partition merged last, it wrote hash, place in the ranking and legacy hash from the slots and the market
//!    measure that lie beside the ranking, all in one step. So they must follow from those, whoever sent them.
//! 2. Among the slots is one of this partition: the one that it sent, where that is known. The slots of other partitions
//!    may change at any time, and are theirs to look after.
//! 3. Lua and Rust, and two machines, may differ in the last bit of a number, and so on which side of a rounding edge it
//!    lies. What lies there is right with either text, or a KOL would be sent again in each round.
//! 4. Where another partition's slot is not of this owner's generation, or gives no score, that is not this partition's to
//!    repair: its merge would be refused.

use kol_common::job::Profile;
use kol_common::scoring::schema::{self, Field, LEGACY_FIELDS, Scored, Shows, hash_fields};
use kol_common::scoring::{Scoring, Slot, merge, unpack_market, unpack_slots};

use crate::sink::Found;

/// Numbers that differ by less, relative to their size or to one, are the same.
const NEAR: f64 = 1e-9;
/// The fields that a legacy hash has, too.
const SCORE: &str = "trending_score";
const LABEL: &str = "trending_label";

/// See the module.
#[derive(Debug)]
pub struct Readback<'a> {
    scoring: &'a Scoring,
    platform: &'a str,
    /// Whether there are legacy hashes.
    legacy: bool,
    ordinal: u32,
    generation: u32,
    /// The generation as a hash has it.
    generation_text: String,
    /// Room for the text of a field.
    text: String,
}

/// What the slots of a KOL say.
enum Slots {
    /// Something else than they should.
    Wrong,
    /// What only others can put right.
    OfOthers,
    /// These, and the market measure by which they were scored.
    Right(Vec<Slot>, f64),
}

impl<'a> Readback<'a> {
    /// Of the KOLs of one platform, by the owner with this ordinal and generation.
    pub fn new(
        scoring: &'a Scoring,
        platform: &'a str,
        legacy: bool,
        (ordinal, generation): (u32, u32),
    ) -> Self {
        Self {
            scoring,
            platform,
            legacy,
            ordinal,
            generation,
            generation_text: generation.to_string(),
            text: String::new(),
        }
    }

    /// Whether a KOL reads as it was sent; `sent` is the slot that it was sent with, if that is known.
    pub fn is_as_sent(&mut self, kol: &str, sent: Option<&Slot>, found: &Found) -> bool {
        let (slots, market) = match self.slots(sent, found.slots.as_deref()) {
            Slots::Wrong => return false,
            Slots::OfOthers => return true,
            Slots::Right(slots, market) => (slots, market),
        };
        let sums = merge(self.scoring, &slots);
        let terms = self.scoring.score(&sums, market);
        if !terms.are_finite() {
            return true;
        }
        let scored = Scored {
            scoring: self.scoring,
            sums: &sums,
            terms: &terms,
        };
        let hash = self.texts(found.hash.as_deref(), hash_fields(self.profile()).count());
        let copy = self.texts(found.copy.as_deref(), LEGACY_FIELDS.len());
        found.score.is_some_and(|score| is_near(score, terms.score))
            && self.is_hash(kol, &scored, &hash)
            && self.is_copy(kol, &hash, &copy)
    }

    /// The values of a hash behind the platform, which may be any text, as the last one; none where it is another
    /// platform's, or one of so many is not there.
    fn texts<'v>(&self, values: Option<&'v [u8]>, count: usize) -> Vec<&'v str> {
        let text = values.and_then(|values| std::str::from_utf8(values).ok());
        let behind = text.and_then(|text| text.strip_prefix(self.platform)?.strip_prefix('\0'));
        behind.map_or_else(Vec::new, |texts| texts.splitn(count - 1, '\0').collect())
    }

    fn slots(&self, sent: Option<&Slot>, packed: Option<&[u8]>) -> Slots {
        let Some(packed) = packed else {
            return Slots::Wrong;
        };
        let (Ok(slots), Some(market)) = (unpack_slots(packed), unpack_market(packed)) else {
            return Slots::Wrong;
        };
        if slots.iter().any(|slot| slot.generation > self.generation) {
            return Slots::OfOthers;
        }
        let mut own = slots.iter().filter(|s| s.partition == self.ordinal);
        let is_sent = |own: &Slot| sent.is_none_or(|sent| is_same(own, sent));
        let right = own.next().is_some_and(is_sent) && own.next().is_none();
        if right && slots.iter().all(|s| s.generation == self.generation) {
            Slots::Right(slots, market.mean)
        } else {
            Slots::Wrong
        }
    }

    /// Whether these are the values of [`hash_fields`] behind the platform.
    fn is_hash(&mut self, kol: &str, scored: &Scored<'_>, hash: &[&str]) -> bool {
        let [generation, _updated_at, fields @ .., id] = hash else {
            return false;
        };
        let known = schema::fields(self.profile());
        let score = self.value(hash, SCORE);
        *id == kol
            && *generation == self.generation_text
            && fields.len() == known.len()
            && (known.iter().zip(fields))
                .all(|(field, text)| self.shows(field, scored, text, score))
    }

    /// Whether a text shows the value of a field, beside this text of the score.
    fn shows(&mut self, field: &Field, scored: &Scored<'_>, text: &str, score: &str) -> bool {
        field.write(scored, &mut self.text);
        if self.text == text {
            return true;
        }
        match field.shows {
            Shows::Rounded(decimals, number) => is_rounded(text, decimals, number(scored)),
            // It goes by the score that stands beside it.
            Shows::Text(_) if field.name == LABEL => {
                let score = score.parse();
                let newcomer = scored.terms.newcomer;
                score.is_ok_and(|score| self.scoring.label(score, newcomer) == text)
            }
            Shows::Text(_) | Shows::Exact(_) => false,
        }
    }

    /// Whether these are the values of [`LEGACY_FIELDS`] behind the platform, beside those of the hash.
    fn is_copy(&self, kol: &str, hash: &[&str], copy: &[&str]) -> bool {
        if !self.legacy {
            return true;
        }
        let [_updated_at, score, label, again, of] = copy else {
            return false;
        };
        let shown = (self.value(hash, SCORE), self.value(hash, LABEL));
        *of == kol && (*score, *label) == shown && again == score
    }

    /// The value of a field of a hash, of those behind the platform.
    fn value<'h>(&self, hash: &[&'h str], name: &str) -> &'h str {
        let mut values = hash_fields(self.profile()).skip(1).zip(hash);
        values
            .find(|(field, _)| *field == name)
            .map_or("", |(_, text)| text)
    }

    fn profile(&self) -> Profile {
        self.scoring.spec.profile
    }
}

/// Whether a slot is the one that was sent. Sums of old panes depend in their last bits on when those were added up.
fn is_same(slot: &Slot, sent: &Slot) -> bool {
    let counted = |s: &Slot| {
        let sums = (s.engagement_e6, s.previous_engagement_e6, s.provisional_e6);
        (
            s.window_end,
            s.first_pane,
            s.events,
            s.previous_events,
            sums,
        )
    };
    counted(slot) == counted(sent)
        && is_near(slot.baseline_engagement_e6, sent.baseline_engagement_e6)
        && is_near(slot.baseline_events, sent.baseline_events)
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= NEAR * b.abs().max(1.0)
}

/// Whether a text is a number, rounded to so many decimals, or one on the edge to another text.
fn is_rounded(text: &str, decimals: usize, number: f64) -> bool {
    let half = 0.5 / 10_f64.powi(decimals as i32);
    text.parse().is_ok_and(|shown: f64| {
        (shown - number).abs() <= half + NEAR * number.abs().max(1.0)
            && format!("{shown:.decimals$}") == text
    })
}

#[cfg(test)]
#[path = "readback_tests.rs"]
pub(super) mod tests;
