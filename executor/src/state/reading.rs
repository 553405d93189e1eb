//! What is kept of the newest reading of a video or a profile, in three quarters of a cache line.

use super::consumers::KolIndex;

/// A counter that no reading has shown yet.
pub const MISSING: u64 = u64::MAX;

/// Bytes of a counter: more than the largest one needs that is believed ([`kol_common::event::MAX_COUNTER`]).
const WIDTH: usize = 5;
/// A counter that is [`MISSING`]; what is believed is smaller.
const NONE: u64 = (1 << (8 * WIDTH)) - 1;
/// Bits of a time, ms; the marks are above them.
const TIME_BITS: u32 = 56;
const TIME: u64 = (1 << TIME_BITS) - 1;

/// One observation of an entity's lifetime counters: likes, comments, shares and views of a video;
/// followers (first place) of a profile.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub(super) entity: EntityKey,
    /// Event time of the newest reading, ms. Above it, bit i: the newest reading that had counter i showed less than
    /// half of it, and was not believed.
    time: u64,
    pub(super) kol: KolIndex,
    counters: [[u8; WIDTH]; 4],
}

impl Reading {
    pub(super) fn new(entity: EntityKey, kol: KolIndex, time: u64, counters: [u64; 4]) -> Self {
        let mut reading = Self {
            entity,
            time: 0,
            kol,
            counters: [[0; WIDTH]; 4],
        };
        reading.begin(counters);
        reading.set_time(time);
        reading
    }

    /// Whether it is of this entity of this KOL.
    #[inline]
    pub(super) fn is_of(&self, kol: KolIndex, entity: EntityKey) -> bool {
        self.kol == kol && self.entity == entity
    }

    /// Whether there is no reading.
    pub(super) fn is_free(&self) -> bool {
        self.entity == EntityKey::FREE
    }

    /// A place of the table that holds no reading.
    pub(super) fn free() -> Self {
        Self::new(EntityKey::FREE, 0, 0, [MISSING; 4])
    }

    /// Event time of the newest reading, ms.
    pub fn time(&self) -> u64 {
        self.time & TIME
    }

    /// A newer one came.
    pub fn set_time(&mut self, time: u64) {
        self.time = self.time & !TIME | time.min(TIME);
    }

    /// Counters, [`MISSING`] where none was seen.
    pub fn counters(&self) -> [u64; 4] {
        self.counters.map(unpacked)
    }

    /// See `time`.
    pub(super) fn fallen(&self) -> u8 {
        (self.time >> TIME_BITS) as u8
    }

    pub(super) fn set_fallen(&mut self, fallen: u8) {
        self.time = self.time() | u64::from(fallen) << TIME_BITS;
    }

    /// A baseline: nothing that was known of the counters counts any more.
    pub fn begin(&mut self, counters: [u64; 4]) {
        self.counters = counters.map(packed);
        self.set_fallen(0);
    }

    /// A counter has the value that it had before, which nothing speaks against.
    pub(super) fn put_back(&mut self, counter: usize, before: u64) {
        self.counters[counter] = packed(before);
        let fallen = self.fallen() & !(1 << counter);
        self.set_fallen(fallen);
    }

    /// Takes the counters of a newer reading over: what each gained.
    ///
    /// A counter below half of its last value is not believed, as if it were missing, unless the
    /// reading before that had it showed so, too: then it is the last value from now on, without a
    /// gain (`docs/protocol/scoring.md`, "Missing counters and falling counters").
    pub fn advance(&mut self, now: [u64; 4]) -> [u64; 4] {
        let mut gains = [0; 4];
        let mut fallen = self.fallen();
        for (i, (kept, now)) in self.counters.iter_mut().zip(now).enumerate() {
            if now == MISSING {
                continue;
            }
            let (last, mark) = (unpacked(*kept), 1 << i);
            let falls = last != MISSING && now < last.div_ceil(2);
            if falls && fallen & mark == 0 {
                fallen |= mark;
                continue;
            }
            fallen &= !mark;
            if last != MISSING {
                gains[i] = now.saturating_sub(last);
            }
            *kept = packed(now);
        }
        self.set_fallen(fallen);
        gains
    }
}

fn packed(counter: u64) -> [u8; WIDTH] {
    let counter = match counter {
        MISSING => NONE,
        counter => counter.min(NONE - 1),
    };
    let [a, b, c, d, e, ..] = counter.to_le_bytes();
    [a, b, c, d, e]
}

fn unpacked([a, b, c, d, e]: [u8; WIDTH]) -> u64 {
    match u64::from(u32::from_le_bytes([a, b, c, d])) | u64::from(e) << 32 {
        NONE => MISSING,
        counter => counter,
    }
}

/// An entity in 16 bytes: the upper byte says how to read the rest. Videos of the large platforms
/// have ids of 19 digits or of 11 characters; both fit, longer ones are interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EntityKey(u128);

/// What a key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The KOL itself.
    Profile,
    /// A video with this number for an id.
    Number(u64),
    /// A video with a short id.
    Short,
    /// A video with the long id of this number.
    Long(u32),
    /// There is no reading.
    Free,
}

/// What a reading is of, apart from its KOL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity<'a> {
    /// The KOL itself.
    Profile,
    /// A video with an id that fits a key.
    Key(u128),
    /// A video with any other id, as events spell it.
    Long(&'a str),
}

const DIGITS: u128 = 1 << 120;
const SHORT: u128 = 2 << 120;
const LONG: u128 = 3 << 120;
/// Longest id that fits beside its length.
const SHORT_LEN: usize = 14;

impl EntityKey {
    pub(super) const PROFILE: Self = Self(0);
    pub(super) const FREE: Self = Self(4 << 120);

    /// Of a video, from its [`Entity::Key`].
    pub(super) fn of_key(key: u128) -> Self {
        Self(key)
    }

    /// Of a video with a long id.
    pub(super) fn long(number: u32) -> Self {
        Self(LONG | u128::from(number))
    }

    pub(super) fn kind(self) -> Kind {
        match self.0 & (7 << 120) {
            0 => Kind::Profile,
            DIGITS => Kind::Number(self.0 as u64),
            SHORT => Kind::Short,
            LONG => Kind::Long(self.0 as u32),
            _ => Kind::Free,
        }
    }

    /// The key as [`Entity::Key`] has it.
    pub(super) fn key(self) -> u128 {
        self.0
    }

    /// The id of a [`Kind::Short`].
    pub(super) fn short(self) -> String {
        let bytes = self.0.to_le_bytes();
        let length = usize::from(bytes[14]).min(SHORT_LEN);
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }
}

impl<'a> Entity<'a> {
    /// What an event is of: a video, or with `None` the profile.
    pub fn of(video: Option<&'a str>) -> Self {
        let Some(id) = video else {
            return Self::Profile;
        };
        if let Some(number) = digits(id) {
            return Self::Key(DIGITS | u128::from(number));
        }
        if id.len() <= SHORT_LEN {
            let mut bytes = [0; 16];
            bytes[..id.len()].copy_from_slice(id.as_bytes());
            bytes[14] = id.len() as u8;
            return Self::Key(SHORT | u128::from_le_bytes(bytes));
        }
        Self::Long(id)
    }
}

/// A decimal number that is written in its one canonical way, so that text and number are the same
/// id.
fn digits(id: &str) -> Option<u64> {
    let bytes = id.as_bytes();
    // 19 digits fit 64 bits.
    if bytes.is_empty() || bytes.len() > 19 || (bytes[0] == b'0' && bytes.len() > 1) {
        return None;
    }
    let (eights, rest) = bytes.as_chunks::<8>();
    let mut number = 0;
    for eight in eights {
        number = number * 100_000_000 + eight_digits(*eight)?;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// The number of eight digits, all at once: neighbours are added up to numbers of two, four and eight digits.
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_le_bytes(bytes);
    // Of a digit the upper half is 3, also with 6 added to it.
    let halves = text & (0xf0 * EACH) | (text.wrapping_add(6 * EACH) & (0xf0 * EACH)) >> 4;
    if halves != 0x33 * EACH {
        return None;
    }
    let ones = text & (0x0f * EACH);
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_a_number_where_the_number_reads_as_the_id(
            id in prop_oneof!["[0-9]{0,21}", "[0-9]{0,12}[!-~]{0,2}[0-9]{0,12}", "[1-9][0-9]{17,18}"],
        ) {
            let number = id.parse::<u64>().ok().filter(|n| id.len() < 20 && n.to_string() == id);
            prop_assert_eq!(digits(&id), number, "{}", id);
        }
    }
}
