//! Times as producers write them, read without allocation: ISO 8601 in its extended and basic forms,
//! the forms of mail and of Unix tools (`words`), and Unix time.

mod cursor;
mod words;

use crate::Millis;
use cursor::{Cursor, midnight, millis};

/// Reads a time; `None` for anything that is not one, and for times before 1970.
///
/// - Digits alone are Unix time, see [`unix_time`].
/// - A date, `2025-06-23` or `20250623`; optionally `T` or a blank and hours and minutes, seconds, a
///   fraction (cut to milliseconds), with colons or without; optionally, also behind a blank, `Z`,
///   `UTC`, `GMT` or an offset `±HH`, `±HHMM` or `±HH:MM`. Without one it is UTC.
/// - `Mon, 23 Jun 2025 09:03:29 +0000` and `Mon Jun 23 09:03:29 +0000 2025`.
pub fn parse_time(text: &str) -> Option<Millis> {
    let bytes = text.trim().as_bytes();
    if bytes.iter().all(u8::is_ascii_digit) {
        return text.trim().parse().ok().map(unix_time);
    }
    match bytes {
        [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', ..] => iso(bytes),
        _ => words::parse(text),
    }
}

/// A number as Unix time: below 10^11 seconds, below 10^14 milliseconds, else microseconds.
pub(super) fn unix_time(number: u64) -> Millis {
    Millis(match number {
        0..100_000_000_000 => number * 1_000,
        100_000_000_000..100_000_000_000_000 => number,
        _ => number / 1_000,
    })
}

/// The same for a number with a fraction, to the nearest millisecond.
pub(super) fn unix_time_float(number: f64) -> Option<Millis> {
    let scale = match number {
        n if n < 1e11 => 1e3,
        n if n < 1e14 => 1.0,
        _ => 1e-3,
    };
    let ms = (number * scale).round();
    (0.0..1e18).contains(&ms).then_some(Millis(ms as u64))
}

fn iso(bytes: &[u8]) -> Option<Millis> {
    let mut at = Cursor::new(bytes);
    let (year, month, day) = at.date()?;
    let mut ms = midnight(year, month, day)?;
    if at.done() {
        return millis(ms);
    }
    if !matches!(at.next()?, b'T' | b't' | b' ') {
        return None;
    }
    ms += at.time_of_day()?;
    while at.skip(b' ') {}
    ms -= at.offset()?;
    if at.done() { millis(ms) } else { None }
}
