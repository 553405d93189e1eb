//! ISO 8601 times, read without allocation: `2025-06-23T09:03:29.5+07:00` and its usual variants.

use crate::Millis;

const DAY_MS: i64 = 86_400_000;

/// Reads a time; `None` for anything that is not one, and for times before 1970.
///
/// A date; optionally `T` or a blank and hours and minutes, seconds, a fraction (cut to
/// milliseconds); optionally `Z` or an offset `±HH`, `±HHMM` or `±HH:MM`. Without one it is UTC.
pub fn parse_time(text: &str) -> Option<Millis> {
    let bytes = text.trim().as_bytes();
    let mut at = Cursor { bytes, at: 0 };
    let (year, month, day) = at.date()?;
    let mut ms = days_from_civil(year, month, day) * DAY_MS;
    if at.done() {
        return millis(ms);
    }
    if !matches!(at.next()?, b'T' | b't' | b' ') {
        return None;
    }
    ms += at.time_of_day()?;
    ms -= at.offset()?;
    if at.done() { millis(ms) } else { None }
}

fn millis(ms: i64) -> Option<Millis> {
    u64::try_from(ms).ok().map(Millis)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn done(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let mut value = 0;
        for _ in 0..digits {
            let digit = self.next()?.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + i64::from(digit);
        }
        Some(value)
    }

    fn date(&mut self) -> Option<(i64, i64, i64)> {
        let year = self.number(4)?;
        let month = self.skip(b'-').then(|| self.number(2))??;
        let day = self.skip(b'-').then(|| self.number(2))??;
        let valid = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        valid.then_some((year, month, day))
    }

    fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.number(2)?;
        let minute = self.skip(b':').then(|| self.number(2))??;
        let mut second = 0;
        let mut fraction = 0;
        if self.skip(b':') {
            second = self.number(2)?;
            if self.skip(b'.') || self.skip(b',') {
                fraction = self.fraction()?;
            }
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        Some(((hour * 60 + minute) * 60 + second) * 1_000 + fraction)
    }

    /// Any number of digits, cut to milliseconds.
    fn fraction(&mut self) -> Option<i64> {
        let mut value = 0;
        let mut weight = 100;
        let mut any = false;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value += weight * i64::from(digit - b'0');
            weight /= 10;
            any = true;
            self.at += 1;
        }
        any.then_some(value)
    }

    fn offset(&mut self) -> Option<i64> {
        let sign = match self.peek() {
            None => return Some(0),
            Some(b'Z' | b'z') => {
                self.at += 1;
                return Some(0);
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.at += 1;
        let hours = self.number(2)?;
        let colon = self.skip(b':');
        let minutes = if self.done() && !colon {
            0
        } else {
            self.number(2)?
        };
        if hours > 23 || minutes > 59 {
            return None;
        }
        Some(sign * (hours * 60 + minutes) * 60_000)
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar: years that start in March, in eras of
/// 400 years, make leap days fall at the end.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
