//! Sixteen bytes of a string at a time: how many of them are nothing but its content.

/// Bytes that are looked at in one step.
pub(super) const BLOCK: usize = 16;

/// How many bytes from `skipped` on, which is below [`BLOCK`], stand before the first quote, backslash or control
/// character; all of them where there is none.
#[inline]
pub(super) fn content(block: &[u8; BLOCK], skipped: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: all that it requires are the instructions of SSE2, which every processor of this architecture has.
    return unsafe { with_sse2(block, skipped) };
    #[cfg(not(target_arch = "x86_64"))]
    in_words(block, skipped)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn with_sse2(block: &[u8; BLOCK], skipped: usize) -> usize {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };

    let [low, high] = words(block).map(u64::cast_signed);
    let bytes = _mm_set_epi64x(high, low);
    let are = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
    let are_at_most = |byte: u8| -> __m128i {
        let most = _mm_set1_epi8(byte.cast_signed());
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, most), bytes)
    };
    let stops = _mm_or_si128(_mm_or_si128(are(b'"'), are(b'\\')), are_at_most(0x1f));
    // A bit for each byte, and one behind them.
    let stops = _mm_movemask_epi8(stops) | 1 << BLOCK;
    (stops >> skipped).trailing_zeros() as usize
}

/// The same with operations that every processor has.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn in_words(block: &[u8; BLOCK], skipped: usize) -> usize {
    let mut block = *block;
    // Only the first stop is sure.
    block[..skipped].fill(b'a');
    let [low, high] = words(&block).map(stops);
    let stops = u128::from(high) << 64 | u128::from(low);
    // Past the end where there is none.
    stops.trailing_zeros() as usize / 8 - skipped
}

/// The highest bit of each byte of a word that is a quote, a backslash or a control character. What is borrowed in a
/// subtraction comes from a byte that is one: the first is right, and none is found where there is none.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn stops(word: u64) -> u64 {
    let of_each = |byte: u8| u64::from_le_bytes([byte; 8]);
    let less_than = |word: u64, byte: u8| word.wrapping_sub(of_each(byte)) & !word;
    let are = |byte: u8| less_than(word ^ of_each(byte), 1);
    (are(b'"') | are(b'\\') | less_than(word, 0x20)) & of_each(0x80)
}

#[inline]
fn words(block: &[u8; BLOCK]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *block;
    [
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u64::from_le_bytes(rest),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one_by_one(block: &[u8; BLOCK], skipped: usize) -> usize {
        let is_content = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
        block[skipped..].iter().take_while(is_content).count()
    }

    #[test]
    fn every_byte_in_every_place_is_content_or_not() {
        for place in 0..BLOCK {
            for byte in 0..=u8::MAX {
                for others in [b'a', 0x7f, 0x80, 0xff, b' ', b'#', b'!'] {
                    let mut block = [others; BLOCK];
                    block[place] = byte;
                    let expected = one_by_one(&block, 0);
                    assert_eq!(content(&block, 0), expected, "{block:?}");
                    assert_eq!(in_words(&block, 0), expected, "{block:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_content_of_any_block_ends_where_it_does_byte_by_byte(
            mut block in any::<[u8; BLOCK]>(),
            letters in any::<[bool; BLOCK]>(),
            skipped in 0..BLOCK,
        ) {
            for place in (0..BLOCK).filter(|place| letters[*place]) {
                block[place] |= 0x40;
            }
            let expected = one_by_one(&block, skipped);
            prop_assert_eq!(content(&block, skipped), expected);
            prop_assert_eq!(in_words(&block, skipped), expected);
        }
    }
}
