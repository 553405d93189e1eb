//! Tokens, strings and numbers of a text. Each function is given the place of the first byte it looks at, and
//! answers with the place behind the last one; `None`: this pass does not say what is there.

use super::block::{self, BLOCK};
use crate::event::digits;

/// A place in the text; `None`: this pass cannot read what follows.
pub(super) type Behind = Option<usize>;

/// Longest number with a fraction that is read, bytes.
const LONGEST_DECIMAL: usize = 24;

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    text: &'a str,
}

/// A whole number.
pub(super) struct Number {
    pub value: u64,
    /// The place behind its digits.
    pub behind: usize,
}

/// What comes next in an object, and the place behind its first byte.
#[derive(Clone, Copy)]
pub(super) enum Next {
    /// A key, behind its quote.
    Key(usize),
    /// Nothing, behind the bracket.
    End(usize),
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

impl<'a> Text<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text }
    }

    #[inline]
    fn bytes(self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The byte at a place, if there is one.
    #[inline]
    pub fn byte(self, at: usize) -> Option<u8> {
        self.bytes().get(at).copied()
    }

    /// The next byte that is no space.
    #[inline]
    pub fn token(self, mut at: usize) -> Option<(u8, usize)> {
        if self.byte(at)? <= b' ' {
            at = self.behind_space(at);
        }
        Some((self.byte(at)?, at + 1))
    }

    #[inline(never)]
    fn behind_space(self, at: usize) -> usize {
        let rest = self.bytes().get(at..).unwrap_or_default().iter();
        at + rest.take_while(|byte| is_space(**byte)).count()
    }

    /// Passes the quote behind a key and the colon: the first byte of the value.
    #[inline]
    pub fn value_of_key(self, at: usize) -> Option<(u8, usize)> {
        match self.chunk(at) {
            Some([b'"', b':', first]) if *first > b' ' => Some((*first, at + 3)),
            _ => self.value_of_key_with_space(at),
        }
    }

    #[inline(never)]
    fn value_of_key_with_space(self, at: usize) -> Option<(u8, usize)> {
        if self.byte(at)? != b'"' {
            return None;
        }
        let (colon, at) = self.token(at + 1)?;
        if colon != b':' {
            return None;
        }
        self.token(at)
    }

    /// What is behind a value of an object.
    #[inline]
    pub fn behind_value(self, at: usize) -> Option<Next> {
        match self.chunk(at) {
            Some([b',', b'"', _]) => Some(Next::Key(at + 2)),
            Some(b", \"") => Some(Next::Key(at + 3)),
            _ => self.behind_value_with_space(at),
        }
    }

    #[inline(never)]
    fn behind_value_with_space(self, at: usize) -> Option<Next> {
        match self.token(at)? {
            (b',', at) => match self.token(at)? {
                (b'"', at) => Some(Next::Key(at)),
                _ => None,
            },
            (b'}', at) => Some(Next::End(at)),
            _ => None,
        }
    }

    /// The first key of an object behind its bracket, if it has one.
    pub fn first_key(self, at: usize) -> Option<Next> {
        match self.token(at)? {
            (b'"', at) => Some(Next::Key(at)),
            (b'}', at) => Some(Next::End(at)),
            _ => None,
        }
    }

    /// The last bytes of the text, from a place on that has fewer than sixteen: the first one lowest, and zeros behind
    /// them.
    #[inline(never)]
    pub fn last_of(self, at: usize) -> Option<u128> {
        let all = u128::from_le_bytes(*self.bytes().last_chunk()?);
        let left = self.text.len().checked_sub(at)?;
        let missing = 16_usize.checked_sub(left)?;
        all.checked_shr(8 * missing as u32)
    }

    /// The next `N` bytes from `at` on; `None` where the text has fewer.
    #[inline]
    pub fn chunk<const N: usize>(self, at: usize) -> Option<&'a [u8; N]> {
        self.bytes().get(at..)?.first_chunk()
    }

    /// Whether nothing but space follows.
    pub fn is_end(self, at: usize) -> bool {
        let rest = self.bytes().get(at..).unwrap_or_default();
        rest.iter()
            .all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
    }

    /// What stands between two places.
    #[inline]
    pub fn between(self, begin: usize, end: usize) -> Option<&'a str> {
        self.text.get(begin..end)
    }

    /// The place of the first quote, backslash or control character, or the end.
    #[inline]
    pub fn content(self, mut at: usize) -> usize {
        while let Some(block) = self.chunk::<BLOCK>(at) {
            let content = block::content(block, 0);
            at += content;
            if content < BLOCK {
                return at;
            }
        }
        // Less than a block is left: the last one has bytes before that, too.
        match self.bytes().last_chunk::<BLOCK>() {
            Some(block) if at < self.text.len() => {
                at + block::content(block, BLOCK - (self.text.len() - at))
            }
            _ => self.content_of_few(at),
        }
    }

    /// The same in a text that is shorter than a block, and at its end.
    #[cold]
    fn content_of_few(self, at: usize) -> usize {
        let rest = self.bytes().get(at..).unwrap_or_default().iter();
        let is_content = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
        at + rest.take_while(is_content).count()
    }

    /// What stands between two places, as bytes.
    #[inline]
    pub fn bytes_between(self, begin: usize, end: usize) -> Option<&'a [u8]> {
        self.bytes().get(begin..end)
    }

    /// The content of a string without escapes, from behind its first quote on.
    #[inline]
    pub fn string(self, begin: usize) -> Option<(&'a str, usize)> {
        let end = self.content(begin);
        if self.byte(end)? != b'"' {
            return None;
        }
        Some((self.between(begin, end)?, end + 1))
    }

    /// A whole number without a sign, or what stands before the dot of another one.
    #[inline(always)]
    pub fn number(self, begin: usize) -> Option<Number> {
        let (value, digits) = digits::from(self.bytes(), begin)?;
        if digits > 1 && self.byte(begin) == Some(b'0') {
            return None;
        }
        Some(Number {
            value,
            behind: begin + digits,
        })
    }

    /// Whether a fraction follows.
    #[inline]
    pub fn is_decimal(self, at: usize) -> bool {
        self.byte(at) == Some(b'.')
    }

    /// A number with a fraction and no exponent.
    pub fn decimal(self, begin: usize) -> Option<(f64, usize)> {
        let dot = self.number(begin)?.behind;
        let end = self.digits(dot + 1)?;
        if end - begin > LONGEST_DECIMAL {
            return None;
        }
        // Without an exponent it is finite.
        let number = self.between(begin, end)?.parse().ok()?;
        Some((number, end))
    }

    /// A whole number below zero, from behind its sign on.
    pub fn negative(self, begin: usize) -> Behind {
        // The other pass reads `-0` as a float, and numbers of more digits may be beyond 64 bits.
        let number = self.number(begin)?;
        let is_plain = number.value > 0 && number.behind - begin < digits::MOST;
        (is_plain && !self.is_decimal(number.behind)).then_some(number.behind)
    }

    /// Passes at least one digit.
    pub fn digits(self, begin: usize) -> Behind {
        let rest = self.bytes().get(begin..)?.iter();
        let count = rest.take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(begin + count)
    }

    /// Passes the rest of a word.
    pub fn literal(self, rest: &str, at: usize) -> Behind {
        let is_it = self.bytes().get(at..)?.starts_with(rest.as_bytes());
        is_it.then_some(at + rest.len())
    }
}
