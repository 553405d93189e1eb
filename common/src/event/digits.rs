//! Digits, eight at a time: a register holds eight bytes of a text, the first one lowest, and a few operations
//! say how many of them are digits and what number these are.

/// Most digits of a number: no number of so many overflows 64 bits.
pub(super) const MOST: usize = 19;

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
/// Added to a byte, the highest bit says that the byte is above nine.
const ABOVE_NINE: u64 = u64::from_le_bytes([0x80 - 10; 8]);
const HIGHEST_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// Powers of ten, by exponent.
const TENS: [u64; MOST + 1] = {
    let mut tens = [1; MOST + 1];
    let mut n = 1;
    while n <= MOST {
        tens[n] = 10 * tens[n - 1];
        n += 1;
    }
    tens
};

/// 10 to the power of `n`, which is at most [`MOST`].
#[inline]
pub(super) fn ten_to(n: usize) -> u64 {
    TENS[n]
}

/// The number that the digits at a place of a text are, and how many they are; `None` where there is no digit, or more
/// than [`MOST`].
#[inline]
pub(super) fn from(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let rest = text.get(at..)?;
    let eight = match (rest.first_chunk(), text.last_chunk()) {
        (Some(eight), _) => u64::from_le_bytes(*eight),
        // The last bytes of the text, and nothing behind them.
        (None, Some(eight)) if !rest.is_empty() => {
            u64::from_le_bytes(*eight) >> (8 * (8 - rest.len()))
        }
        _ => return few(rest, 0, 0),
    };
    let (number, count) = of_eight(eight);
    if count == 8 {
        return many(rest);
    }
    (count > 0).then_some((number, count))
}

/// The same at its beginning.
#[inline]
pub(super) fn leading(text: &[u8]) -> Option<(u64, usize)> {
    from(text, 0)
}

/// The same where there are eight or more.
#[inline(never)]
fn many(bytes: &[u8]) -> Option<(u64, usize)> {
    let (mut number, mut count) = (0, 0);
    while let Some(eight) = bytes[count..].first_chunk() {
        let (part, digits) = of_eight(u64::from_le_bytes(*eight));
        if count + digits > MOST {
            return None;
        }
        number = number * TENS[digits] + part;
        count += digits;
        if digits < 8 {
            return Some((number, count));
        }
    }
    few(bytes, number, count)
}

/// The same, one by one, behind `count` digits that are `number`.
#[inline(never)]
fn few(bytes: &[u8], mut number: u64, mut count: usize) -> Option<(u64, usize)> {
    for byte in &bytes[count..] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if count == MOST {
            return None;
        }
        number = number * 10 + u64::from(digit);
        count += 1;
    }
    (count > 0).then_some((number, count))
}

/// The number that as many digits are as a number can have; `None` where one is no digit.
#[inline]
pub(super) fn all_of(text: &[u8; MOST]) -> Option<u64> {
    let (first, rest) = text.split_first_chunk()?;
    let (second, third) = rest.split_first_chunk()?;
    let [a, b, c] = *third.first_chunk()?;
    let third = [b'0', b'0', b'0', b'0', b'0', a, b, c];
    let parts = [*first, *second, third].map(|part| u64::from_le_bytes(part) ^ ZEROS);
    if parts.iter().fold(0, |all, part| all | above_nine(*part)) != 0 {
        return None;
    }
    let [first, second, third] = parts.map(of_digits);
    Some(first * TENS[11] + second * TENS[3] + third)
}

/// Where eight bytes have digits, and what they have elsewhere.
pub(super) struct Template {
    bytes: u64,
    /// All bits of the bytes that are given.
    given: u64,
}

impl Template {
    /// `text` has `0` in place of a digit.
    pub const fn new(text: [u8; 8]) -> Self {
        let mut given = [0; 8];
        let mut at = 0;
        while at < 8 {
            if text[at] != b'0' {
                given[at] = 0xff;
            }
            at += 1;
        }
        Self {
            bytes: u64::from_le_bytes(text),
            given: u64::from_le_bytes(given),
        }
    }

    /// The digits of bytes that are like this, each in its place, with nothing in the places between them.
    #[inline]
    pub fn digits_of(&self, eight: [u8; 8]) -> Option<u64> {
        let bytes = u64::from_le_bytes(eight) ^ self.bytes;
        ((above_nine(bytes) | bytes & self.given) == 0).then_some(bytes)
    }
}

/// The number of two digits that begins at each byte of what [`Template::digits_of`] gave.
#[inline]
pub(super) fn pairs(digits: u64) -> [u8; 8] {
    // At most 99 each, so nothing is carried over.
    (digits * 10 + (digits >> 8)).to_le_bytes()
}

/// The highest bit of each byte that is above nine. What is carried over goes from a byte that is above nine to the
/// bytes behind it: the first one is right, and none is found where there is none.
#[inline]
fn above_nine(bytes: u64) -> u64 {
    (bytes.wrapping_add(ABOVE_NINE) | bytes) & HIGHEST_BITS
}

/// The number that the digits at the beginning are, and how many they are.
#[inline]
fn of_eight(eight: u64) -> (u64, usize) {
    let digits = eight ^ ZEROS;
    let count = above_nine(digits).trailing_zeros() / 8;
    if count == 0 {
        return (0, 0);
    }
    // Zeros before them, and nothing behind them.
    (of_digits(digits << (64 - 8 * count)), count as usize)
}

/// The number that eight digits are.
#[inline]
fn of_digits(digits: u64) -> u64 {
    // Two, four and eight neighbours become one number.
    let twos = (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_are_read_up_to_what_follows_them() {
        for (text, expected) in [
            ("", None),
            ("x1", None),
            ("0", Some((0, 1))),
            ("7,", Some((7, 1))),
            ("12345678", Some((12_345_678, 8))),
            ("12345678,123456", Some((12_345_678, 8))),
            ("1234567890123456,", Some((1_234_567_890_123_456, 16))),
            ("9999999999999999999", Some((9_999_999_999_999_999_999, 19))),
            (
                "9999999999999999999x",
                Some((9_999_999_999_999_999_999, 19)),
            ),
            ("10000000000000000000", None),
            ("100000000000000000000000000", None),
            ("00012:", Some((12, 5))),
            ("1\u{fa}345678", Some((1, 1))),
        ] {
            assert_eq!(leading(text.as_bytes()), expected, "{text}");
        }
        let id = *b"7518376794681117970";
        assert_eq!(all_of(&id), Some(7_518_376_794_681_117_970));
        assert_eq!(all_of(&[b'9'; MOST]), Some(9_999_999_999_999_999_999));
        for place in 0..MOST {
            for other in [b':', b'/', b' ', 0xb0] {
                let mut id = id;
                id[place] = other;
                assert_eq!(all_of(&id), None, "{place}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_one_by_one(bytes in prop::collection::vec(
            prop_oneof![6 => b'0'..=b'9', 1 => any::<u8>(), 1 => 0x2au8..0x40],
            0..24,
        ), before in 0..8usize) {
            let count = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
            let text = std::str::from_utf8(&bytes[..count]).unwrap();
            let expected = text.parse().ok().filter(|_| count <= MOST);
            let expected = expected.map(|number: u64| (number, count));
            prop_assert_eq!(leading(&bytes), expected);
            let behind_others = [&b"12345678"[..before], &bytes].concat();
            prop_assert_eq!(from(&behind_others, before), expected);
        }

        #[test]
        fn a_template_matches_what_has_digits_in_its_places(bytes in any::<[u8; 8]>(), digits in any::<[u8; 8]>(), mixed in any::<[bool; 8]>()) {
            let template = *b"00T00:00";
            let mut eight = std::array::from_fn(|i| match template[i] {
                b'0' => b'0' + digits[i] % 10,
                fixed => fixed,
            });
            for i in (0..8).filter(|i| mixed[*i]) {
                eight[i] = bytes[i];
            }
            let fits = |i: usize| match template[i] {
                b'0' => eight[i].is_ascii_digit(),
                fixed => eight[i] == fixed,
            };
            let matched = Template::new(template).digits_of(eight);
            prop_assert_eq!(matched.is_some(), (0..8).all(fits));
            if let Some(matched) = matched {
                let two = |at: usize| (eight[at] - b'0') * 10 + eight[at + 1] - b'0';
                let pairs = pairs(matched);
                prop_assert_eq!([pairs[0], pairs[3], pairs[6]], [two(0), two(3), two(6)]);
            }
        }
    }
}
