//! Times as producers write them, read without allocation: ISO 8601 in its extended and basic forms,
//! the forms of mail and of Unix tools (`words`), and Unix time.

mod cursor;
mod words;

use super::digits::{self, Template};
use crate::Millis;
use cursor::{Cursor, day_time, midnight, millis};

/// Reads a time; `None` for anything that is not one, and for times before 1970.
///
/// - Digits alone are Unix time, see [`unix_time`].
/// - A date, `2025-06-23` or `20250623`; optionally `T` or a blank and hours and minutes, seconds, a
///   fraction (cut to milliseconds), with colons or without; optionally, also behind a blank, `Z`,
///   `UTC`, `GMT` or an offset `±HH`, `±HHMM` or `±HH:MM`. Without one it is UTC.
/// - `Mon, 23 Jun 2025 09:03:29 +0000` and `Mon Jun 23 09:03:29 +0000 2025`.
pub fn parse_time(text: &str) -> Option<Millis> {
    // What nearly all texts are.
    if let [_, _, _, _, b'-', ..] = text.as_bytes()
        && let Some(time) = iso(text.as_bytes())
    {
        return Some(time);
    }
    let bytes = text.trim().as_bytes();
    if bytes.iter().all(u8::is_ascii_digit) {
        return text.trim().parse().ok().and_then(unix_time);
    }
    match bytes {
        [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', ..] => iso(bytes),
        _ => words::parse(text),
    }
}

/// The end of the year 9999, as far as texts reach. A number beyond it counts in smaller units than microseconds.
const LAST: u64 = 253_402_300_799_999;

/// A number as Unix time: below 10^11 seconds, below 10^14 milliseconds, else microseconds; `None` beyond the year
/// 9999.
pub(super) fn unix_time(number: u64) -> Option<Millis> {
    let ms = match number {
        0..100_000_000_000 => number * 1_000,
        100_000_000_000..100_000_000_000_000 => number,
        _ => number / 1_000,
    };
    (ms <= LAST).then_some(Millis(ms))
}

/// The same for a number with a fraction, to the nearest millisecond.
pub(super) fn unix_time_float(number: f64) -> Option<Millis> {
    let scale = match number {
        n if n < 1e11 => 1e3,
        n if n < 1e14 => 1.0,
        _ => 1e-3,
    };
    let ms = (number * scale).round();
    (0.0..=LAST as f64)
        .contains(&ms)
        .then_some(Millis(ms as u64))
}

fn iso(bytes: &[u8]) -> Option<Millis> {
    let mut at = Cursor::new(bytes);
    let mut ms = match seconds(bytes) {
        Some(ms) => {
            let zone = at.pass(SECONDS);
            if matches!(zone, b"+00:00" | b"Z") {
                return millis(ms);
            }
            ms + at.fraction_if_any()?
        }
        None => {
            let (year, month, day) = at.date()?;
            let midnight = midnight(year, month, day)?;
            if at.done() {
                return millis(midnight);
            }
            if !matches!(at.next()?, b'T' | b't' | b' ') {
                return None;
            }
            midnight + at.time_of_day()?
        }
    };
    while at.skip(b' ') {}
    ms -= at.offset()?;
    if at.done() { millis(ms) } else { None }
}

const DATE: Template = Template::new(*b"0000-00-");
const DAY_AND_MINUTE: Template = Template::new(*b"00T00:00");
/// The length of `2025-06-23T09:03:29`.
const SECONDS: usize = 19;

/// The time that stands, in this form, at the beginning of a text: without a fraction and an offset.
#[inline]
fn seconds(bytes: &[u8]) -> Option<i64> {
    let (date, rest) = bytes.split_first_chunk()?;
    let (day, rest) = rest.split_first_chunk()?;
    let [b':', second @ ..] = rest.first_chunk::<3>()? else {
        return None;
    };
    let date = digits::pairs(DATE.digits_of(*date)?).map(u32::from);
    let day = digits::pairs(DAY_AND_MINUTE.digits_of(*day)?).map(u32::from);
    let [tens, ones] = second.map(|digit| u32::from(digit.wrapping_sub(b'0')));
    if tens > 9 || ones > 9 {
        return None;
    }
    let midnight = midnight(date[0] * 100 + date[2], date[5], day[0])?;
    Some(midnight + day_time(day[3], day[6], tens * 10 + ones)?)
}
