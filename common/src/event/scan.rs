//! One pass over a JSON value, without a tree of it: what a plan looks for is kept, the rest skipped.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{Field, MAX_ALTERNATIVES};
use super::plan::{Leaf, Node, Plan, Target};
use super::scalar::{Scalar, ScalarSeed};
use super::{MAX_ID, MAX_WRITTEN};
use crate::Millis;

/// Deepest nesting of a value that is looked at.
const MAX_DEPTH: usize = 127;
/// A counter or a time that is not there.
const MISSING: u64 = u64::MAX;
/// A time that is there and cannot be read.
const UNREADABLE: u64 = u64::MAX - 1;

/// Stands for every text that is too long to be looked at, and is too long itself.
const TOO_LONG: &str = match std::str::from_utf8(&[b'x'; MAX_ID + 1]) {
    Ok(text) => text,
    Err(_) => "",
};

/// What one pass found, by the rank of the path. A key that stands twice counts as it stands last.
#[derive(Clone)]
pub(super) struct Found<'a> {
    texts: [[Option<Cow<'a, str>>; MAX_ALTERNATIVES]; 3],
    times: [[u64; MAX_ALTERNATIVES]; 2],
    counters: [[u64; MAX_ALTERNATIVES]; 5],
    /// An id is a number that 64 bits do not hold, or has a fraction.
    has_float_id: bool,
}

impl Default for Found<'_> {
    fn default() -> Self {
        const NONE: [Option<Cow<'static, str>>; MAX_ALTERNATIVES] =
            [const { None }; MAX_ALTERNATIVES];
        Self {
            texts: [NONE; 3],
            times: [[MISSING; MAX_ALTERNATIVES]; 2],
            counters: [[MISSING; MAX_ALTERNATIVES]; 5],
            has_float_id: false,
        }
    }
}

impl<'a> Found<'a> {
    fn set(&mut self, leaf: Leaf, value: Scalar<'a>) {
        let rank = usize::from(leaf.rank);
        match leaf.field {
            Field::Username | Field::VideoId => {
                self.has_float_id |= matches!(value, Scalar::Float(_));
                let ids = usize::from(leaf.field == Field::VideoId) * 2;
                self.texts[ids][rank] = value.id().map(bounded);
            }
            Field::Platform => self.texts[1][rank] = value.text().map(bounded),
            Field::EventTime => self.times[0][rank] = time(&value),
            Field::PublishedAt => self.times[1][rank] = time(&value),
            Field::Likes => self.counters[0][rank] = counter(&value),
            Field::Comments => self.counters[1][rank] = counter(&value),
            Field::Shares => self.counters[2][rank] = counter(&value),
            Field::Views => self.counters[3][rank] = counter(&value),
            Field::Followers => self.counters[4][rank] = counter(&value),
        }
    }

    /// The names, ids and platforms found, in the order of their paths.
    pub fn usernames(&mut self) -> impl Iterator<Item = Cow<'a, str>> {
        self.texts[0].iter_mut().filter_map(Option::take)
    }

    /// Whether digits of an id were lost.
    pub fn has_float_id(&self) -> bool {
        self.has_float_id
    }

    pub fn platforms(&mut self) -> impl Iterator<Item = Cow<'a, str>> {
        self.texts[1].iter_mut().filter_map(Option::take)
    }

    pub fn video_id(&mut self) -> Option<Cow<'a, str>> {
        let mut ids = self.texts[2].iter_mut().filter_map(Option::take);
        ids.find(|id| !id.is_empty())
    }

    /// The event time, and whether there is one that cannot be read instead.
    pub fn event_time(&self) -> (Option<Millis>, bool) {
        let time = first(&self.times[0]);
        (
            time.map(Millis),
            time.is_none() && self.times[0].contains(&UNREADABLE),
        )
    }

    pub fn published_at(&self) -> Option<Millis> {
        first(&self.times[1]).map(Millis)
    }

    /// Likes, comments, shares, views, followers.
    pub fn counters(&self) -> [Option<u64>; 5] {
        self.counters.each_ref().map(first)
    }
}

/// What the record says around exploded events is copied and read for each of them: hundreds of thousands.
fn bounded(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() > MAX_WRITTEN {
        Cow::Borrowed(TOO_LONG)
    } else {
        text
    }
}

fn first(values: &[u64; MAX_ALTERNATIVES]) -> Option<u64> {
    values.iter().copied().find(|value| *value < UNREADABLE)
}

fn time(value: &Scalar<'_>) -> u64 {
    match value.time() {
        Some(time) => time.0.min(UNREADABLE - 1),
        None if value.is_nothing() => MISSING,
        None => UNREADABLE,
    }
}

fn counter(value: &Scalar<'_>) -> u64 {
    value.counter().unwrap_or(MISSING)
}

/// What kind of value the whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    Scalar,
}

/// Walks through the one value of `text`; `None` when it is not JSON, or nested too deeply.
pub(super) fn scan<'a>(text: &'a str, plan: &Plan, found: &mut Found<'a>) -> Option<Kind> {
    if is_too_deep(text.as_bytes()) {
        return None;
    }
    let mut json = sonic_rs::Deserializer::from_str(text);
    let node = plan.root();
    let kind = json.deserialize_any(Walk { plan, node, found }).ok()?;
    json.end().is_ok().then_some(kind)
}

/// Whether brackets nest deeper than [`MAX_DEPTH`]: parsers recurse into them. Nearly every value has
/// fewer brackets than that altogether, which is quickly counted.
fn is_too_deep(value: &[u8]) -> bool {
    let opening = value.iter().filter(|b| matches!(b, b'{' | b'[')).count();
    if opening <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in value {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// Reads the value of a node of the plan.
struct Walk<'p, 'f, 'de> {
    plan: &'p Plan,
    node: &'p Node,
    found: &'f mut Found<'de>,
}

impl<'de> Walk<'_, '_, 'de> {
    fn scalar(self, value: &Scalar<'de>) -> Kind {
        for leaf in &self.node.leaves {
            self.found.set(*leaf, value.clone());
        }
        Kind::Scalar
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = Kind;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Kind, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de> {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let Self { plan, node, found } = self;
        while let Some(target) = map.next_key_seed(KeySeed(node))? {
            match target {
                Target::Skip => drop(map.next_value::<IgnoredAny>()?),
                Target::Leaf(leaf) => found.set(leaf, map.next_value_seed(ScalarSeed)?),
                Target::Node(below) => {
                    let node = plan.node(below);
                    map.next_value_seed(Walk { plan, node, found })?;
                }
            }
        }
        Ok(Kind::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let Self { plan, node, found } = self;
        let mut number = 0;
        while node.has_items() {
            match node.item(number) {
                Target::Skip => {
                    if seq.next_element::<IgnoredAny>()?.is_none() {
                        return Ok(Kind::Array);
                    }
                }
                Target::Leaf(leaf) => match seq.next_element_seed(ScalarSeed)? {
                    Some(value) => found.set(leaf, value),
                    None => return Ok(Kind::Array),
                },
                Target::Node(below) => {
                    let node = plan.node(below);
                    let walk = Walk { plan, node, found };
                    if seq.next_element_seed(walk)?.is_none() {
                        return Ok(Kind::Array);
                    }
                }
            }
            number += 1;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Kind::Array)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Kind, E> {
        Ok(self.scalar(&Scalar::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(self.scalar(&Scalar::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        Ok(self.scalar(&Scalar::Whole(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        let scalar = u64::try_from(number).map_or(Scalar::Negative(number), Scalar::Whole);
        Ok(self.scalar(&scalar))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Kind, E> {
        Ok(self.scalar(&Scalar::Float(number)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
        Ok(self.scalar(&Scalar::Other))
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(self.scalar(&Scalar::Null))
    }
}

/// Reads a key as what it leads to.
struct KeySeed<'p>(&'p Node);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Target;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Target, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Target;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, name: &str) -> Result<Target, E> {
        Ok(self.0.key(name.as_bytes()))
    }
}
