//! Dates, times of a day and offsets as digits, and the days they mean.

use crate::Millis;

const DAY_MS: i64 = 86_400_000;

/// `None` before 1970.
pub(super) fn millis(ms: i64) -> Option<Millis> {
    u64::try_from(ms).ok().map(Millis)
}

/// The first millisecond of a day that exists, in a year of four digits.
#[inline]
pub(super) fn midnight(year: u32, month: u32, day: u32) -> Option<i64> {
    let valid = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    valid.then(|| i64::from(days_from_civil(year, month, day)) * DAY_MS)
}

/// The milliseconds of a day before a time that exists.
#[inline]
pub(super) fn day_time(hour: u32, minute: u32, second: u32) -> Option<i64> {
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // A leap second is the last one of its minute: Unix time has no other.
    let second = second.min(59);
    Some(i64::from((hour * 60 + minute) * 60 + second) * 1_000)
}

/// Reads numbers of a time from left to right.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn done(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Passes what was read otherwise: the rest behind it.
    pub(super) fn pass(&mut self, count: usize) -> &'a [u8] {
        self.at += count;
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn number(&mut self, digits: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..digits {
            let digit = self.next()?.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + u32::from(digit);
        }
        Some(value)
    }

    pub(super) fn date(&mut self) -> Option<(u32, u32, u32)> {
        let year = self.number(4)?;
        let extended = self.skip(b'-');
        let month = self.number(2)?;
        if extended != self.skip(b'-') {
            return None;
        }
        Some((year, month, self.number(2)?))
    }

    pub(super) fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.number(2)?;
        let extended = self.skip(b':');
        let minute = self.number(2)?;
        let mut second = 0;
        let mut fraction = 0;
        let more = if extended {
            self.skip(b':')
        } else {
            self.peek().is_some_and(|byte| byte.is_ascii_digit())
        };
        if more {
            second = self.number(2)?;
            fraction = self.fraction_if_any()?;
        }
        Some(day_time(hour, minute, second)? + fraction)
    }

    /// The milliseconds of a fraction of a second: 0 where there is none.
    pub(super) fn fraction_if_any(&mut self) -> Option<i64> {
        if self.skip(b'.') || self.skip(b',') {
            self.fraction()
        } else {
            Some(0)
        }
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

    /// Milliseconds ahead of UTC.
    pub(super) fn offset(&mut self) -> Option<i64> {
        let sign = match self.peek() {
            None => return Some(0),
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return self.zone(),
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
        Some(sign * i64::from((hours * 60 + minutes) * 60_000))
    }

    /// The names of zones that mean one offset everywhere.
    fn zone(&mut self) -> Option<i64> {
        let name = &self.bytes[self.at..];
        let utc = [&b"Z"[..], b"UTC", b"GMT", b"UT"];
        let known = utc.iter().any(|zone| name.eq_ignore_ascii_case(zone));
        self.at = self.bytes.len();
        known.then_some(0)
    }
}

#[inline]
fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the year 0 of the calendar below to 1970.
const DAYS_TO_1970: u32 = 719_468;
/// Days of 400 years: the calendar repeats after them.
const DAYS_OF_400_YEARS: u32 = 146_097;

/// Days since 1970-01-01 in the proleptic Gregorian calendar: in years that start in March, leap days
/// fall at the end.
#[inline]
fn days_from_civil(year: u32, month: u32, day: u32) -> i32 {
    let is_of_year_before = month <= 2;
    // No year is below zero.
    let year = year + 400 - u32::from(is_of_year_before);
    let month = if is_of_year_before {
        month + 9
    } else {
        month - 3
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days as i32 - (DAYS_TO_1970 + DAYS_OF_400_YEARS) as i32
}
