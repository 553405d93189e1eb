//! The call of the merge script: which keys and arguments it takes, in which order, and the first lines
//! of the script, which give them their names. Both sides follow from the enums here and from the tables
//! of [`schema`] and of the slots; neither knows a position.
//!
//! A call is `EVALSHA script n keys… arguments…`:
//!
//! - keys: those of [`Key`], then the hash of each KOL, then their legacy hashes, if any;
//! - arguments: those of [`Argument`], then the name of each KOL. What is sent of the KOLs beside is packed into
//!   two arguments ([`Kols`]): a script reads one long string faster than Redis many short ones.

use kol_common::job::Profile;
use kol_common::scoring::schema::{self, CONSTANTS, Changes, Field, RANK, Shows};
use kol_common::scoring::{Market, SLOTS_HEADER, Scoring, Slot, SlotLayout};

use super::calls::{in_order, list, locals, names_of_kols, push};

in_order! {
    /// A key that all KOLs of a call have in common.
    Key {
        /// Fence record of the partition.
        Fence = "KEY_FENCE",
        /// Ranking of the platform.
        Ranking = "KEY_RANKING",
        /// Which generation the ranking is of: "N live", or "N next" while it is not shown yet.
        Record = "KEY_RECORD",
        /// The ranking that will be shown.
        Next = "KEY_NEXT",
        /// The ranking that was shown before.
        Before = "KEY_BEFORE",
        /// Set of all platforms that have a ranking.
        Platforms = "KEY_PLATFORMS",
        /// Packed slots of the KOLs of the platform.
        Slots = "KEY_SLOTS",
    }
}

in_order! {
    /// An argument that all KOLs of a call have in common.
    Argument {
        /// Generation of the job.
        Generation = "ARG_GENERATION",
        /// Assignment epoch of the owner.
        AssignmentEpoch = "ARG_ASSIGNMENT_EPOCH",
        /// Sequence of the flush.
        Sequence = "ARG_SEQUENCE",
        /// Place of the merge in its flush, from 1.
        Place = "ARG_PLACE",
        /// Number of the partition within its job, and generation of the job: as every slot of the call begins, see
        /// [`tag`].
        Tag = "ARG_TAG",
        /// Platform of the KOLs.
        Platform = "ARG_PLATFORM",
        /// The time now, ISO 8601.
        Now = "ARG_NOW",
        /// How many KOLs there are.
        Count = "ARG_COUNT",
        /// Expiry of the hashes, ms; 0 = none.
        Ttl = "ARG_TTL",
        /// See [`constants`].
        Constants = "ARG_CONSTANTS",
        /// Version and value of the market measure, packed as they lie before slots.
        Market = "ARG_MARKET",
        /// "live" or "next": whether the ranking of this generation may be shown.
        Shown = "ARG_SHOWN",
        /// See [`Kols`].
        Kinds = "ARG_KINDS",
        /// See [`Kols`].
        Kols = "ARG_KOLS",
    }
}

/// What happens to a KOL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its slot is taken out.
    Remove,
    /// Its slot is put in place of what is there, whatever that is.
    Put,
    /// The same, of a KOL that Redis has as it was sent before: only what changed since must be written.
    Change,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Remove, Self::Put, Self::Change];

    /// Its byte, and its name in the script.
    const fn code(self) -> (u8, &'static str) {
        match self {
            Self::Remove => (b'r', "REMOVE"),
            Self::Put => (b'p', "PUT"),
            Self::Change => (b'c', "CHANGE"),
        }
    }
}

/// What is sent of the KOLs of a call, beside their names: a byte for each of them, and for each that is not removed
/// its slot without the tag, and the texts of [`RANK`] and [`schema::fields`]; those that change seldom together, as one.
/// Before each text stand two bytes for its length, little endian.
#[derive(Debug)]
pub struct Kols {
    profile: Profile,
    kinds: Vec<u8>,
    packed: Vec<u8>,
    text: String,
}

impl Kols {
    /// None of a job of this profile.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            kinds: Vec::new(),
            packed: Vec::new(),
            text: String::new(),
        }
    }

    /// Takes all KOLs out, for the next call.
    pub fn clear(&mut self) {
        self.kinds.clear();
        self.packed.clear();
    }

    /// A KOL whose slot is taken out.
    pub fn remove(&mut self) {
        self.kinds.push(Kind::Remove.code().0);
    }

    /// A KOL whose slot is put in place; `write` puts a value into a buffer that is empty or has another one.
    pub fn put(&mut self, kind: Kind, slot: &Slot, mut write: impl FnMut(&Field, &mut String)) {
        self.kinds.push(kind.code().0);
        let begin = self.packed.len();
        slot.pack_into(SlotLayout::of(self.profile), &mut self.packed);
        self.packed.drain(begin..begin + TAG_BYTES);
        for field in std::iter::once(&RANK).chain(fields(self.profile, Changes::Often)) {
            self.text.clear();
            write(field, &mut self.text);
            let at = self.begin_text();
            self.packed.extend_from_slice(self.text.as_bytes());
            self.end_text(at);
        }
        let all = self.begin_text();
        for field in fields(self.profile, Changes::WithBaseline) {
            self.text.clear();
            write(field, &mut self.text);
            let at = self.begin_text();
            self.packed.extend_from_slice(self.text.as_bytes());
            self.end_text(at);
        }
        self.end_text(all);
    }

    fn begin_text(&mut self) -> usize {
        self.packed.extend_from_slice(&[0; 2]);
        self.packed.len()
    }

    /// A number has at most some hundred digits, so a text is never longer than its length can say.
    fn end_text(&mut self, begin: usize) {
        let length = u16::try_from(self.packed.len() - begin).unwrap_or(u16::MAX);
        self.packed[begin - 2..begin].copy_from_slice(&length.to_le_bytes());
    }

    /// The argument [`Argument::Kinds`].
    pub fn kinds(&self) -> &[u8] {
        &self.kinds
    }

    /// The argument [`Argument::Kols`].
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }
}

/// Bytes of a slot that say whose it is.
const TAG_BYTES: usize = Slot::TAG.end;

/// The first bytes of every slot of a partition and a generation.
pub fn tag(ordinal: u32, generation: u32) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag[..4].copy_from_slice(&ordinal.to_le_bytes());
    tag[4..].copy_from_slice(&generation.to_le_bytes());
    tag
}

/// The fields that change so.
fn fields(profile: Profile, changes: Changes) -> impl Iterator<Item = &'static Field> {
    schema::fields(profile)
        .iter()
        .filter(move |field| field.changes == changes)
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

/// The merge script of a profile: what it calls by name, then `shared`, which has words in place of lists.
pub(super) fn script(profile: Profile, shared: &str) -> String {
    preamble(profile) + &with_lists(profile, shared)
}

/// The first lines of the merge script: what it calls by name.
fn preamble(profile: Profile) -> String {
    let mut lua = names_of_kols(&Key::ALL.map(Key::lua), &Argument::ALL.map(Argument::lua));
    for (code, name) in Kind::ALL.map(Kind::code) {
        push(&mut lua, format_args!("local {name} = {code}\n"));
    }
    slots(profile, &mut lua);
    let constants = CONSTANTS.iter().zip(1..);
    let constants = constants.map(|(constant, at)| format!("{} = n[{at}]", constant.name));
    function(
        &mut lua,
        "constants_of(n)",
        &format!("{{{}}}", list(constants)),
    );
    texts(profile, &mut lua);
    old_slots(&mut lua);
    lua
}

/// Layout of a slot, the places of its numbers and parts, and the layouts of what is sent of a KOL.
fn slots(profile: Profile, lua: &mut String) {
    let packed = SlotLayout::of(profile);
    let layout: String = packed.fields.iter().map(|f| f.number.lua()).collect();
    let (bytes, version) = (packed.bytes, packed.version);
    push(
        lua,
        format_args!(
            "local SLOT, SLOT_BYTES, SLOTS_HEADER = '<{layout}', {bytes}, {SLOTS_HEADER}\n\
             local SLOTS_VERSION, OLD_SLOTS_VERSION = {version}, {}\n",
            schema::OLD_SLOTS_VERSION
        ),
    );
    // Not every layout has it.
    lua.push_str("local SLOT_PROVISIONAL_E6\n");
    let names = packed.fields.iter().map(|f| capitals("SLOT_", f.name));
    locals(lua, &names.collect::<Vec<_>>(), |at| at.to_string());
    let window_end = Slot::WINDOW_END.len();
    let (counted, baseline) = (packed.counted().len(), packed.baseline().len());
    // The rank, those that change often, and the others as one.
    let texts = "Hc0".repeat(1 + fields(profile, Changes::Often).count() + 1);
    let seldom = "Hc0".repeat(fields(profile, Changes::WithBaseline).count());
    push(
        lua,
        format_args!(
            "local KOL = '<c{window_end}c{counted}c{baseline}{texts}'\n\
             local SELDOM = '<{seldom}'\n"
        ),
    );
    // In packed slots of which the first is meant; Lua counts from one.
    for (name, part) in [
        ("TAG", Slot::TAG),
        ("WINDOW_END", Slot::WINDOW_END),
        ("BASELINE", packed.baseline()),
    ] {
        let (from, to) = (SLOTS_HEADER + part.start + 1, SLOTS_HEADER + part.end);
        push(
            lua,
            format_args!("local {name}_FROM, {name}_TO = {from}, {to}\n"),
        );
    }
}

/// How texts are made from numbers: the rank, those that change seldom, and those that change often.
fn texts(profile: Profile, lua: &mut String) {
    let decimals = schema::SCORE_DECIMALS;
    push(lua, format_args!("local SCORE_FORMAT = '%.{decimals}f'\n"));
    let values = std::iter::once(&RANK);
    let values = values.chain(fields(profile, Changes::WithBaseline));
    let values = values.chain(fields(profile, Changes::Often));
    let texts = values.map(|Field { name, shows, .. }| match shows {
        Shows::Exact(_) => format!("string.format('%.17g', v.{name})"),
        Shows::Rounded(decimals, _) => format!("string.format('%.{decimals}f', v.{name})"),
        Shows::Text(_) => format!("v.{name}"),
    });
    function(lua, "texts_of(v)", &list(texts));
}

/// Where versions before this one kept slots.
fn old_slots(lua: &mut String) {
    let (slots, market) = (schema::OLD_SLOTS, schema::OLD_MARKET);
    push(
        lua,
        format_args!("local OLD_SLOTS, OLD_MARKET = '{slots}', '{market}'\n"),
    );
}

/// Puts the lists of texts and fields into a script, see `lua/merge.lua`.
fn with_lists(profile: Profile, source: &str) -> String {
    let mut source = source.to_owned();
    for (word, changes) in [("OFTEN", Changes::Often), ("SELDOM", Changes::WithBaseline)] {
        let texts = list(fields(profile, changes).map(|field| field.name.to_owned()));
        let pairs = list(fields(profile, changes).map(|field| format!("'{0}', {0}", field.name)));
        source = source.replace(&format!("{word}_TEXTS"), &texts);
        source = source.replace(&format!("{word}_FIELDS"), &pairs);
    }
    source
}

fn function(lua: &mut String, head: &str, value: &str) {
    push(
        lua,
        format_args!("local function {head}\n    return {value}\nend\n"),
    );
}

fn capitals(prefix: &str, name: &str) -> String {
    format!("{prefix}{}", name.to_ascii_uppercase())
}
