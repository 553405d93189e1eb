//! In which order records have their keys: nearly all as one of the last. So a key is first compared with the two that
//! followed the key before it the last time and before that; if it is one of them, nothing else of it need be looked at.
//! Two, because a field has another name where its value is written in another way: `like_count`, `like_count_raw`.
//!
//! What was learned is a guess: it never changes what a record means. Several threads may learn at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use super::text::Text;
use crate::event::plan::{Node, Plan, Target};

/// Keys that are remembered in one place of a plan.
const REMEMBERED: usize = 64;
/// Those of them that mean something.
const KNOWN: usize = 40;
/// Bytes that are compared in one step.
const STEP: usize = 16;
/// Longest key that is remembered, with what stands between it and its value, bytes.
const LONGEST: usize = STEP + 8;

/// The number of a key that is remembered; [`NONE`] for all others, and for the place before the first one.
pub(super) type Number = u8;
/// The [`Number`] that stands for no place.
pub(super) const NONE: Number = Number::MAX;

/// What was learned of the order of keys, in each place of a plan that has keys.
#[derive(Debug)]
pub(crate) struct Orders(Box<[Option<Box<Order>>]>);

/// See the module.
#[derive(Debug)]
pub(super) struct Order {
    /// Those that mean something, by their own numbers, and then those that mean nothing, as they came.
    keys: [OnceLock<Opening>; REMEMBERED],
    /// Which of them followed each the last time, and which other one before that.
    followers: [[AtomicU8; 2]; 1 << Number::BITS],
}

/// A key of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub number: Number,
    /// What it leads to.
    pub target: Target,
    /// The place of its value.
    pub value: usize,
}

/// A key that is remembered, from behind its first quote up to its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opening {
    /// The first bytes, and all bits of their places.
    begin: u128,
    begin_mask: u128,
    /// The bytes behind them.
    rest: u64,
    rest_mask: u64,
    length: usize,
    /// What it leads to.
    target: Target,
}

impl Orders {
    /// Nothing is known yet.
    pub fn new(plan: &Plan) -> Self {
        let order = |node: &Node| node.has_keys().then(|| Box::new(Order::new()));
        Self(plan.nodes().map(order).collect())
    }

    /// That of a place.
    pub(super) fn of(&self, node: u16) -> Option<&Order> {
        self.0.get(usize::from(node))?.as_deref()
    }
}

impl Clone for Orders {
    /// Those that have learned nothing.
    fn clone(&self) -> Self {
        let order = |order: &Option<Box<Order>>| order.as_ref().map(|_| Box::new(Order::new()));
        Self(self.0.iter().map(order).collect())
    }
}

impl Opening {
    fn new(text: &[u8], target: Target) -> Option<Self> {
        let (mut bytes, mut masks) = ([0; LONGEST], [0; LONGEST]);
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        masks[..text.len()].fill(0xff);
        let in_words = |bytes: &[u8; LONGEST]| {
            let (begin, rest) = bytes.split_first_chunk()?;
            let rest = u64::from_le_bytes(*rest.first_chunk()?);
            Some((u128::from_le_bytes(*begin), rest))
        };
        let ((begin, rest), (begin_mask, rest_mask)) = (in_words(&bytes)?, in_words(&masks)?);
        Some(Self {
            begin,
            begin_mask,
            rest,
            rest_mask,
            length: text.len(),
            target,
        })
    }

    /// The place behind it, if it stands at this one.
    #[inline]
    fn behind(&self, text: Text<'_>, at: usize) -> Option<usize> {
        let begin = match text.chunk::<STEP>(at) {
            Some(begin) => u128::from_le_bytes(*begin),
            None => text.last_of(at)?,
        };
        if (begin ^ self.begin) & self.begin_mask != 0 {
            return None;
        }
        if self.length > STEP {
            let rest = u64::from_le_bytes(*text.chunk(at + STEP)?);
            if (rest ^ self.rest) & self.rest_mask != 0 {
                return None;
            }
        }
        Some(at + self.length)
    }
}

impl Order {
    fn new() -> Self {
        Self {
            keys: [const { OnceLock::new() }; REMEMBERED],
            followers: [const { [const { AtomicU8::new(NONE) }; 2] }; 1 << Number::BITS],
        }
    }

    /// The one of the two keys that followed `last` lately that stands at this place.
    #[inline]
    pub fn guess(&self, last: Number, text: Text<'_>, at: usize) -> Option<Key> {
        let [newest, other] = &self.followers[usize::from(last)];
        self.key_at(newest, text, at)
            .or_else(|| self.key_at(other, text, at))
    }

    #[inline]
    fn key_at(&self, follower: &AtomicU8, text: Text<'_>, at: usize) -> Option<Key> {
        let number = follower.load(Ordering::Relaxed);
        let opening = self.keys.get(usize::from(number))?.get()?;
        Some(Key {
            number,
            target: opening.target,
            value: opening.behind(text, at)?,
        })
    }

    /// Learns which key follows `last`: `opening` is the text from behind its first quote up to its value, and
    /// `known` its own number and what it leads to, if it means something. Answers with the number under which it is
    /// remembered.
    #[inline(never)]
    pub fn learn(&self, last: Number, opening: &[u8], known: Option<(usize, Target)>) -> Number {
        let number = self.number(opening, known);
        if let Some(number) = number {
            let [newest, other] = &self.followers[usize::from(last)];
            let before = newest.swap(number, Ordering::Relaxed);
            if before != number {
                other.store(before, Ordering::Relaxed);
            }
        }
        number.unwrap_or(NONE)
    }

    fn number(&self, opening: &[u8], known: Option<(usize, Target)>) -> Option<Number> {
        let (places, target) = match known {
            Some((number, target)) if number < KNOWN => (number..number + 1, target),
            Some(_) => return None,
            None => (KNOWN..REMEMBERED, Target::Skip),
        };
        let opening = Opening::new(opening, target)?;
        for number in places {
            // The first one that comes stays.
            if *self.keys[number].get_or_init(|| opening) == opening {
                return Number::try_from(number).ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKIP: Target = Target::Skip;

    fn key(number: Number, target: Target, value: usize) -> Option<Key> {
        Some(Key {
            number,
            target,
            value,
        })
    }

    #[test]
    fn a_key_is_guessed_where_it_followed_lately_and_stands_there() {
        let order = Order::new();
        let text = Text::new(r#"{"a":1,"long_name_of_a_key":2,"other_key":3}"#);
        assert_eq!(order.guess(NONE, text, 2), None);
        let first = order.learn(NONE, br#"a":"#, Some((1, Target::Node(7))));
        assert_eq!(first, 1);
        assert_eq!(order.guess(NONE, text, 2), key(1, Target::Node(7), 5));
        assert_eq!(order.guess(NONE, text, 3), None);
        assert_eq!(order.guess(first, text, 8), None);
        let second = order.learn(first, br#"long_name_of_a_key":"#, None);
        assert_eq!(order.guess(first, text, 8), key(second, SKIP, 28));
        let third = order.learn(second, br#"other_key":"#, None);
        assert_eq!(order.guess(second, text, 31), key(third, SKIP, 42));
        assert_eq!(order.learn(first, br#"other_key":"#, None), third);
        assert_eq!(order.guess(first, text, 31), key(third, SKIP, 42));
        assert_eq!(order.guess(first, text, 8), key(second, SKIP, 28), "also");
        order.learn(first, br#"a third":"#, None);
        assert_eq!(order.guess(first, text, 31), key(third, SKIP, 42));
        assert_eq!(order.guess(first, text, 8), None, "no longer");
        // Another way to write it is not learned: the first one stays.
        assert_eq!(order.learn(first, br#"a": "#, Some((1, SKIP))), NONE);
    }

    #[test]
    fn a_key_that_differs_in_any_byte_is_another_one() {
        const BEFORE: &str = r#"{"another key":1,""#;
        for name in ["a", "a_name", "a_name_of_fourt", "a_name_of_twenty_two_b"] {
            let opening = format!("{name}\":");
            let order = Order::new();
            order.learn(NONE, opening.as_bytes(), None);
            let value = |opening: &str, rest: &str| {
                let text = format!("{BEFORE}{opening}{rest}");
                let guess = order.guess(NONE, Text::new(&text), BEFORE.len());
                guess.map(|key| key.value)
            };
            for rest in ["1}", "1,\"and\":\"more than one step behind it\"}"] {
                // What is long is not looked for at the very end.
                let is_seen = opening.len() <= STEP || opening.len() + rest.len() >= LONGEST;
                let expected = is_seen.then_some(BEFORE.len() + opening.len());
                assert_eq!(value(&opening, rest), expected, "{opening}{rest}");
                for place in 0..opening.len() {
                    let mut other = opening.clone();
                    other.replace_range(place..=place, "#");
                    assert_eq!(value(&other, rest), None, "{other}");
                }
            }
            let shorter = &opening[..opening.len() - 1];
            assert_eq!(value(shorter, ""), None, "{shorter}");
        }
    }

    #[test]
    fn no_more_keys_are_remembered_than_there_is_room_for() {
        let order = Order::new();
        let names: Vec<String> = (0..100).map(|number| format!("{number}\":")).collect();
        let learns = |name: &&String| order.learn(NONE, name.as_bytes(), None) != NONE;
        assert_eq!(names.iter().filter(learns).count(), REMEMBERED - KNOWN);
        let long = b"a name that is very long\":";
        assert_eq!(order.learn(NONE, long, Some((0, SKIP))), NONE);
        assert_eq!(order.learn(NONE, b"a\":", Some((KNOWN, SKIP))), NONE);
    }
}
