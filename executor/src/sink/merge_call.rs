//! The call of the merge script: which keys and arguments it takes, in which order, and the first lines
//! of the script, which give them their names. Both sides follow from the enums here and from the tables
//! of [`schema`] and of the slots; neither knows a position.
//!
//! A call is `EVALSHA script n keys… arguments…`:
//!
//! - keys: those of [`Key`], then the hash of each KOL, then their legacy hashes, if any;
//! - arguments: those of [`Argument`], then for each KOL its name, its packed slot (empty: remove the
//!   slot) and the values of [`values`].

use std::fmt::Write as _;

use kol_common::scoring::Market;
use kol_common::scoring::schema::{self, CONSTANTS, FIELDS, Field, RANK, Shows};
use kol_common::scoring::{SLOT_BYTES, SLOT_LAYOUT, SLOTS_HEADER, SLOTS_VERSION, Scoring};

/// A key that all KOLs of a call have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Fence record of the partition.
    Fence,
    /// Ranking of the platform.
    Ranking,
    /// Which generation the ranking is of: "N live", or "N next" while it is not shown yet.
    Record,
    /// The ranking that will be shown.
    Next,
    /// The ranking that was shown before.
    Before,
    /// Set of all platforms that have a ranking.
    Platforms,
    /// Packed slots of the KOLs of the platform.
    Slots,
}

impl Key {
    /// In the order of a call.
    pub const ALL: [Self; 7] = [
        Self::Fence,
        Self::Ranking,
        Self::Record,
        Self::Next,
        Self::Before,
        Self::Platforms,
        Self::Slots,
    ];

    /// Its name in the script.
    const fn lua(self) -> &'static str {
        match self {
            Self::Fence => "KEY_FENCE",
            Self::Ranking => "KEY_RANKING",
            Self::Record => "KEY_RECORD",
            Self::Next => "KEY_NEXT",
            Self::Before => "KEY_BEFORE",
            Self::Platforms => "KEY_PLATFORMS",
            Self::Slots => "KEY_SLOTS",
        }
    }
}

/// An argument that all KOLs of a call have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Generation of the job.
    Generation,
    /// Assignment epoch of the owner.
    AssignmentEpoch,
    /// Sequence of the flush.
    Sequence,
    /// Place of the merge in its flush, from 1.
    Place,
    /// Number of the partition within its job, 4 bytes, little endian.
    Partition,
    /// Platform of the KOLs.
    Platform,
    /// The time now, ISO 8601.
    Now,
    /// How many KOLs there are.
    Count,
    /// Expiry of the hashes, ms; 0 = none.
    Ttl,
    /// See [`constants`].
    Constants,
    /// "live" or "next": whether the ranking of this generation may be shown.
    Shown,
}

impl Argument {
    /// In the order of a call.
    pub const ALL: [Self; 11] = [
        Self::Generation,
        Self::AssignmentEpoch,
        Self::Sequence,
        Self::Place,
        Self::Partition,
        Self::Platform,
        Self::Now,
        Self::Count,
        Self::Ttl,
        Self::Constants,
        Self::Shown,
    ];

    /// Its name in the script.
    const fn lua(self) -> &'static str {
        match self {
            Self::Generation => "ARG_GENERATION",
            Self::AssignmentEpoch => "ARG_ASSIGNMENT_EPOCH",
            Self::Sequence => "ARG_SEQUENCE",
            Self::Place => "ARG_PLACE",
            Self::Partition => "ARG_PARTITION",
            Self::Platform => "ARG_PLATFORM",
            Self::Now => "ARG_NOW",
            Self::Count => "ARG_COUNT",
            Self::Ttl => "ARG_TTL",
            Self::Constants => "ARG_CONSTANTS",
            Self::Shown => "ARG_SHOWN",
        }
    }
}

/// Arguments for each KOL: name, slot and values.
pub const PER_KOL: usize = 2 + 1 + FIELDS.len();

/// The values of one KOL, in the order in which they are sent.
pub fn values() -> impl Iterator<Item = &'static Field> {
    std::iter::once(&RANK).chain(FIELDS)
}

/// The constants of the score as one argument: numbers with blanks between.
pub fn constants(scoring: &Scoring, market: &Market) -> String {
    let mut text = String::new();
    for constant in CONSTANTS {
        // `{:?}` is the shortest text that reads back as the same number.
        push(
            &mut text,
            format_args!("{:?} ", constant.value(scoring, market)),
        );
    }
    text
}

/// The first lines of the merge script: what it calls by name.
pub(super) fn preamble() -> String {
    let mut lua = String::new();
    let keys = Key::ALL.map(Key::lua);
    locals(&mut lua, &keys, |at| format!("KEYS[{at}]"));
    let arguments = Argument::ALL.map(Argument::lua);
    locals(&mut lua, &arguments, |at| format!("ARGV[{at}]"));
    let (first_hash, first) = (keys.len() + 1, arguments.len() + 1);
    push(
        &mut lua,
        format_args!("local FIRST_HASH, FIRST, PER_KOL = {first_hash}, {first}, {PER_KOL}\n"),
    );
    slots(&mut lua);
    let constants = CONSTANTS.iter().zip(1..);
    let constants = constants.map(|(constant, at)| format!("{} = n[{at}]", constant.name));
    function(
        &mut lua,
        "constants_of(n)",
        &format!("{{{}}}", list(constants)),
    );
    texts(&mut lua);
    hash(&mut lua);
    lua
}

/// Layout of a slot, and the places of its numbers.
fn slots(lua: &mut String) {
    let layout: String = SLOT_LAYOUT.iter().map(|field| field.number.lua()).collect();
    push(
        lua,
        format_args!(
            "local SLOT, SLOT_BYTES, SLOTS_HEADER = '<{layout}', {SLOT_BYTES}, {SLOTS_HEADER}\n\
             local SLOTS_VERSION, OLD_SLOTS_VERSION = {SLOTS_VERSION}, {}\n",
            schema::OLD_SLOTS_VERSION
        ),
    );
    let names = SLOT_LAYOUT.iter().map(|f| capitals("SLOT_", f.name));
    locals(lua, &names.collect::<Vec<_>>(), |at| at.to_string());
}

/// The places of a KOL's values, and how they are made from numbers.
fn texts(lua: &mut String) {
    let names = values().map(|field| capitals("AT_", field.name));
    locals(lua, &names.collect::<Vec<_>>(), |at| at.to_string());
    let decimals = schema::SCORE_DECIMALS;
    push(lua, format_args!("local SCORE_FORMAT = '%.{decimals}f'\n"));
    let texts = values().map(|Field { name, shows }| match shows {
        Shows::Exact(_) => format!("string.format('%.17g', v.{name})"),
        Shows::Rounded(decimals, _) => format!("string.format('%.{decimals}f', v.{name})"),
        Shows::Text(_) => format!("v.{name}"),
    });
    function(lua, "texts_of(v)", &format!("{{{}}}", list(texts)));
}

/// Names and values of a hash; the values of the score stand in `f` behind place `o`.
fn hash(lua: &mut String) {
    let (slots, market) = (schema::OLD_SLOTS, schema::OLD_MARKET);
    push(
        lua,
        format_args!("local OLD_SLOTS, OLD_MARKET = '{slots}', '{market}'\n"),
    );
    let of = [(schema::KOL_ID, "kol"), (schema::PLATFORM, "platform")];
    let stamps = [
        (schema::UPDATED_AT, "now"),
        (schema::GENERATION, "generation"),
    ];
    let pair = |(name, value): (&'static str, &str)| format!("'{name}', {value}");
    let fields = FIELDS.iter().zip(2..);
    let fields = fields.map(|(field, at)| format!("'{}', f[o + {at}]", field.name));
    let all = of.map(pair).into_iter().chain(fields);
    let all = list(all.chain(stamps.map(pair)));
    let name = "hash_of(kol, platform, f, o, now, generation)";
    function(lua, name, &all);
}

fn locals<S: AsRef<str>>(lua: &mut String, names: &[S], value: impl Fn(usize) -> String) {
    let values = list((1..=names.len()).map(value));
    let names = list(names.iter().map(|name| name.as_ref().to_owned()));
    push(lua, format_args!("local {names} = {values}\n"));
}

fn function(lua: &mut String, head: &str, value: &str) {
    push(
        lua,
        format_args!("local function {head}\n    return {value}\nend\n"),
    );
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn capitals(prefix: &str, name: &str) -> String {
    format!("{prefix}{}", name.to_ascii_uppercase())
}

fn push(lua: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = lua.write_fmt(text);
}
