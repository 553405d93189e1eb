//! A slot: one source partition's share of one KOL, as numbers that add up, and the packed form in which
//! the slots of a KOL lie beside the ranking.
//!
//! Layout, little endian: one version byte; the market measure by which the KOL was scored, as its version
//! and its value, both doubles; then one record for each slot, as a [`SlotLayout`] says. All slots of a KOL
//! are of one generation, and the measure is of that one too.

use std::ops::Range;

use super::market::Market;
use crate::job::Profile;

/// How the slots of a job lie packed: it follows from the profile, so that a program which knows no other profile reads what
/// it knows.
#[derive(Debug, PartialEq, Eq)]
pub struct SlotLayout {
    /// Version of the packed form: a new one whenever `fields` change.
    pub version: u8,
    /// The numbers of a slot, in order.
    pub fields: &'static [SlotField],
    /// Bytes of one slot.
    pub bytes: usize,
    /// Whether there is room for what rates amount to that are carried on.
    carries_on: bool,
}

/// Bytes before the first slot.
pub const SLOTS_HEADER: usize = 1 + 8 + 8;

/// One number of a packed slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotField {
    /// Its name in [`Slot`], and in the Lua function.
    pub name: &'static str,
    /// How it is packed.
    pub number: Packed,
}

/// How a number is packed, little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    /// A whole number in 4 bytes.
    U32,
    /// A whole number in 5 bytes: pane numbers.
    U40,
    /// A double in 8 bytes.
    F64,
}

impl Packed {
    /// Bytes that it takes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U32 => 4,
            Self::U40 => 5,
            Self::F64 => 8,
        }
    }

    /// Its code in the `struct` library of Redis' Lua.
    pub const fn lua(self) -> &'static str {
        match self {
            Self::U32 => "I4",
            Self::U40 => "I5",
            Self::F64 => "d",
        }
    }
}

/// Packing and unpacking follow from one list of fields for each layout; numbers that one lacks are zero.
macro_rules! slot_layout {
    ($layout:ident, $pack:ident, $unpack:ident, $version:literal, $carries_on:literal:
     $($field:ident: $number:ident,)*) => {
        impl SlotLayout {
            /// See [`SlotLayout::of`].
            pub const $layout: Self = Self {
                version: $version,
                fields: &[$(SlotField { name: stringify!($field), number: Packed::$number },)*],
                bytes: 0 $(+ Packed::$number.bytes())*,
                carries_on: $carries_on,
            };
        }

        impl Slot {
            fn $pack(&self, out: &mut Vec<u8>) {
                $(slot_layout!(@pack out, $number, self.$field);)*
            }

            #[allow(clippy::needless_update, reason = "a layout may have all numbers")]
            fn $unpack(bytes: &[u8; SlotLayout::$layout.bytes]) -> Self {
                let mut at = 0;
                Self {
                    $($field: slot_layout!(@unpack $number, next(bytes, &mut at)),)*
                    ..Self::default()
                }
            }
        }
    };
    (@pack $out:ident, U40, $value:expr) => {
        $out.extend_from_slice(&$value.to_le_bytes()[..5])
    };
    (@pack $out:ident, $number:ident, $value:expr) => {
        $out.extend_from_slice(&$value.to_le_bytes())
    };
    (@unpack U32, $bytes:expr) => { u32::from_le_bytes($bytes) };
    (@unpack U40, $bytes:expr) => { u40($bytes) };
    (@unpack F64, $bytes:expr) => { f64::from_le_bytes($bytes) };
}

slot_layout! {
    PLAIN, pack_plain, unpack_plain, 2, false:
    partition: U32,
    generation: U32,
    window_end: U40,
    engagement_e6: F64,
    events: U32,
    previous_engagement_e6: F64,
    previous_events: U32,
    baseline_engagement_e6: F64,
    baseline_events: F64,
    first_pane: U40,
}

slot_layout! {
    CARRIED_ON, pack_carried_on, unpack_carried_on, 3, true:
    partition: U32,
    generation: U32,
    window_end: U40,
    engagement_e6: F64,
    events: U32,
    previous_engagement_e6: F64,
    previous_events: U32,
    provisional_e6: F64,
    baseline_engagement_e6: F64,
    baseline_events: F64,
    first_pane: U40,
}

impl SlotLayout {
    /// That of the jobs of a profile.
    pub const fn of(profile: Profile) -> &'static Self {
        match profile {
            Profile::Default | Profile::SparkCompat => &Self::PLAIN,
            Profile::Rising => &Self::CARRIED_ON,
        }
    }

    /// Bytes of what is counted in the two windows up to the window end.
    pub const fn counted(&self) -> Range<usize> {
        let carried_on = if self.carries_on { 8 } else { 0 };
        13..37 + carried_on
    }

    /// Bytes of the baseline sums and the first pane.
    pub const fn baseline(&self) -> Range<usize> {
        self.counted().end..self.bytes
    }
}

fn next<const N: usize>(bytes: &[u8], at: &mut usize) -> [u8; N] {
    let from = *at;
    *at += N;
    std::array::from_fn(|i| bytes[from + i])
}

fn u40(bytes: [u8; 5]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, b| (value << 8) | u64::from(*b))
}

impl Slot {
    /// Bytes of the packed form that say whose it is: partition and generation.
    pub const TAG: Range<usize> = 0..8;
    /// Bytes of the window end.
    pub const WINDOW_END: Range<usize> = 8..13;

    /// Appends the packed form.
    pub fn pack_into(&self, layout: &SlotLayout, out: &mut Vec<u8>) {
        if layout.carries_on {
            self.pack_carried_on(out);
        } else {
            self.pack_plain(out);
        }
    }
}

/// One partition's share of a KOL, as of window end `T`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slot {
    /// Number of the source partition within its job.
    pub partition: u32,
    /// Generation of the job.
    pub generation: u32,
    /// Window end, a pane number.
    pub window_end: u64,
    /// `E`: engagement of the window, millionths.
    pub engagement_e6: f64,
    /// `n`: events of the window.
    pub events: u32,
    /// `E'`: the same of the window before.
    pub previous_engagement_e6: f64,
    /// `n'`: events of the window before.
    pub previous_events: u32,
    /// `P`: what the newest rates amount to in the window, carried on; millionths. Zero where the profile has no such sum.
    pub provisional_e6: f64,
    /// `B_E`: decayed sum over older panes, millionths.
    pub baseline_engagement_e6: f64,
    /// `B_n`: decayed events of older panes.
    pub baseline_events: f64,
    /// First pane with an event.
    pub first_pane: u64,
}

/// Why packed slots cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Written by another version of this system.
    #[error("slots have format version {0}, this program reads versions 2 and 3")]
    Version(u8),
    /// Not a whole number of slots.
    #[error("slots of {0} bytes are not whole")]
    Length(usize),
}

/// The packed slots of a KOL, and the measure by which it was scored.
pub fn pack_slots(layout: &SlotLayout, market: &Market, slots: &[Slot]) -> Vec<u8> {
    let mut out = Vec::with_capacity(SLOTS_HEADER + slots.len() * layout.bytes);
    out.push(layout.version);
    out.extend_from_slice(&pack_market(market));
    for slot in slots {
        slot.pack_into(layout, &mut out);
    }
    out
}

/// A market measure as it lies packed before slots.
pub fn pack_market(market: &Market) -> [u8; SLOTS_HEADER - 1] {
    let mut packed = [0; SLOTS_HEADER - 1];
    packed[..8].copy_from_slice(&(market.version as f64).to_le_bytes());
    packed[8..].copy_from_slice(&market.mean.to_le_bytes());
    packed
}

/// Reads the market measure that lies before packed slots; `None`: it is cut off.
pub fn unpack_market(packed: &[u8]) -> Option<Market> {
    let number = |from: usize| {
        let bytes = packed.get(from..from + 8)?;
        Some(f64::from_le_bytes(bytes.try_into().ok()?))
    };
    Some(Market {
        version: number(1)? as u64,
        mean: number(9)?,
    })
}

/// Reads packed slots.
///
/// # Errors
/// Another version, or a length that no whole number of slots has.
pub fn unpack_slots(packed: &[u8]) -> Result<Vec<Slot>, PackError> {
    let version = *packed.first().ok_or(PackError::Length(0))?;
    let whole = PackError::Length(packed.len());
    let slots = packed.get(SLOTS_HEADER..).ok_or(whole);
    match version {
        PLAIN => all_of(slots?, Slot::unpack_plain).ok_or(whole),
        CARRIED_ON => all_of(slots?, Slot::unpack_carried_on).ok_or(whole),
        other => Err(PackError::Version(other)),
    }
}

const PLAIN: u8 = SlotLayout::PLAIN.version;
const CARRIED_ON: u8 = SlotLayout::CARRIED_ON.version;

/// Slots of so many bytes each; `None`: they are not whole.
fn all_of<const BYTES: usize>(
    packed: &[u8],
    unpack: fn(&[u8; BYTES]) -> Slot,
) -> Option<Vec<Slot>> {
    let (slots, rest) = packed.as_chunks();
    rest.is_empty().then(|| slots.iter().map(unpack).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_slot_begin_where_its_numbers_do() {
        for layout in [SlotLayout::PLAIN, SlotLayout::CARRIED_ON] {
            let begin = |name: &str| -> usize {
                let before = layout.fields.iter().take_while(|field| field.name != name);
                before.map(|field| field.number.bytes()).sum()
            };
            let parts = [
                ("partition", Slot::TAG),
                ("window_end", Slot::WINDOW_END),
                ("engagement_e6", layout.counted()),
                ("baseline_engagement_e6", layout.baseline()),
            ];
            let mut end = 0;
            for (first, part) in parts {
                assert_eq!((begin(first), end), (part.start, part.start), "{first}");
                end = part.end;
            }
            assert_eq!(end, layout.bytes);
        }
    }

    #[test]
    fn packed_slots_read_back() {
        let slot = Slot {
            partition: 70_000,
            generation: 3,
            window_end: 0xAB_CDEF_0123,
            engagement_e6: 1.5e9,
            events: 12,
            previous_engagement_e6: 0.25,
            previous_events: 1,
            baseline_engagement_e6: 1e-3,
            baseline_events: 0.5,
            first_pane: 485_000,
            provisional_e6: 0.0,
        };
        let market = Market {
            mean: 4.73,
            version: 9,
        };
        let packed = pack_slots(&SlotLayout::PLAIN, &market, &[slot, Slot::default()]);
        assert_eq!(packed.len(), 17 + 2 * 58);
        assert_eq!(
            packed[1..17],
            [9f64.to_le_bytes(), 4.73f64.to_le_bytes()].concat()
        );
        assert_eq!(unpack_market(&packed), Some(market));
        assert_eq!(unpack_market(&packed[..16]), None);
        assert_eq!(unpack_slots(&packed), Ok(vec![slot, Slot::default()]));
        assert_eq!(unpack_slots(&packed[..60]), Err(PackError::Length(60)));
        assert_eq!(unpack_slots(&[9]), Err(PackError::Version(9)));
        let carried_on = Slot {
            provisional_e6: 7.5,
            ..slot
        };
        let packed = pack_slots(&SlotLayout::CARRIED_ON, &market, &[carried_on]);
        assert_eq!(packed.len(), 17 + 66);
        assert_eq!(unpack_slots(&packed), Ok(vec![carried_on]));
    }
}
