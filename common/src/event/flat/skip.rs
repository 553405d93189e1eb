//! Values that nobody reads. They must be JSON all the same, or the record is rejected.

use super::text::{Behind, Next, Text};

/// How deep values are nested that are skipped here; deeper ones are left to `scan`, which has a bound of its own.
const DEEPEST: u32 = 32;

impl Text<'_> {
    /// Passes a value: `first` is its first byte, and `at` the place behind that.
    #[inline]
    pub fn skip_value(self, first: u8, at: usize) -> Behind {
        match first {
            b'"' => self.skip_string(at),
            _ => self.skip(first, at, 0),
        }
    }

    /// The rest of a string.
    #[inline]
    fn skip_string(self, at: usize) -> Behind {
        let end = self.content(at);
        match self.byte(end)? {
            b'"' => Some(end + 1),
            b'\\' => self.skip_string_from_escape(end),
            _ => None,
        }
    }

    #[inline(never)]
    fn skip_string_from_escape(self, mut at: usize) -> Behind {
        loop {
            at = match self.byte(at)? {
                b'"' => return Some(at + 1),
                b'\\' => self.skip_escape(at + 1)?,
                _ => return None,
            };
            at = self.content(at);
        }
    }

    fn skip_escape(self, at: usize) -> Behind {
        match self.byte(at)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
            b'u' => {
                for place in 1..=4 {
                    if !self.byte(at + place)?.is_ascii_hexdigit() {
                        return None;
                    }
                }
                Some(at + 5)
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn skip(self, first: u8, at: usize, depth: u32) -> Behind {
        match first {
            b'"' => self.skip_string(at),
            b'-' => self.skip_number(at),
            b'0'..=b'9' => self.skip_number(at - 1),
            b't' => self.literal("rue", at),
            b'f' => self.literal("alse", at),
            b'n' => self.literal("ull", at),
            b'{' | b'[' if depth == DEEPEST => None,
            b'{' => self.skip_object(at, depth + 1),
            b'[' => self.skip_array(at, depth + 1),
            _ => None,
        }
    }

    /// A number behind its sign. What follows it is looked at by whoever expects something there.
    fn skip_number(self, begin: usize) -> Behind {
        let mut at = match self.byte(begin)? {
            b'0' => begin + 1,
            _ => self.digits(begin)?,
        };
        if self.byte(at) == Some(b'.') {
            at = self.digits(at + 1)?;
        }
        if let Some(b'e' | b'E') = self.byte(at) {
            let has_sign = matches!(self.byte(at + 1), Some(b'+' | b'-'));
            at = self.digits(at + 1 + usize::from(has_sign))?;
        }
        Some(at)
    }

    fn skip_object(self, at: usize, depth: u32) -> Behind {
        let mut next = self.first_key(at)?;
        loop {
            let begin = match next {
                Next::Key(begin) => begin,
                Next::End(behind) => return Some(behind),
            };
            let behind = self.skip_string(begin)?;
            let (first, at) = self.value_of_key(behind - 1)?;
            next = self.behind_value(self.skip(first, at, depth)?)?;
        }
    }

    fn skip_array(self, at: usize, depth: u32) -> Behind {
        let (mut token, mut at) = self.token(at)?;
        if token == b']' {
            return Some(at);
        }
        loop {
            (token, at) = self.token(self.skip(token, at, depth)?)?;
            match token {
                b',' => (token, at) = self.token(at)?,
                b']' => return Some(at),
                _ => return None,
            }
        }
    }
}
