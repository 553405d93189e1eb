//! Time as the system counts it: milliseconds since the Unix epoch.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 86_400_000;
/// Days from 1970 to the year 10000, from March of the year 0 to 1970, and of 400 years.
const DAYS_TO_10000: u64 = 2_932_897;
const DAYS_TO_1970: u64 = 719_468;
const DAYS_OF_400_YEARS: u64 = 146_097;

/// A point in time, or a length of time, in milliseconds. Event times are never before 1970.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// `self − earlier`, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// As a `Duration`, for timers.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// ISO 8601 in UTC with milliseconds, always of the same length: `2025-07-01T08:29:25.000Z`.
    pub fn iso(self) -> String {
        let mut text = String::with_capacity(24);
        self.push_iso(&mut text);
        text
    }

    /// Appends the same to a text. A time after the year 9999 is a number.
    pub fn push_iso(self, out: &mut String) {
        let (days, ms) = (self.0 / DAY_MS, self.0 % DAY_MS);
        if days >= DAYS_TO_10000 {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "{}ms", self.0);
            return;
        }
        let (year, month, day) = date(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (at, digits, number) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, ms / 3_600_000),
            (14, 2, ms / 60_000 % 60),
            (17, 2, ms / 1_000 % 60),
            (20, 3, ms % 1_000),
        ] {
            let mut rest = number;
            for digit in text[at..at + digits].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        out.push_str(str::from_utf8(&text).unwrap_or_default());
    }
}

/// Year, month and day so many days after 1970 began, in the Gregorian calendar. Years are counted from March on, so
/// that a leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_1970;
    let (centuries, days) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (days - days / 1_460 + days / 36_524 - days / (DAYS_OF_400_YEARS - 1)) / 365;
    let day = days - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, is_next_year) = match month {
        ..10 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    (400 * centuries + year + is_next_year, month, day)
}

impl From<Duration> for Millis {
    fn from(value: Duration) -> Self {
        Self(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Millis {
    /// As a length of time: `24h`, `5m`, `100ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.duration()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_prints_with_three_digits_whatever_its_milliseconds_are() {
        assert_eq!(Millis(1_751_358_565_000).iso(), "2025-07-01T08:29:25.000Z");
        assert_eq!(Millis(1_751_358_565_020).iso(), "2025-07-01T08:29:25.020Z");
    }

    #[test]
    fn every_day_of_400_years_has_its_date_and_what_follows_the_year_9999_is_a_number() {
        for day in 0..=DAYS_OF_400_YEARS {
            let time = Millis(day * DAY_MS + day * 7_919 % DAY_MS);
            let expected = jiff::Timestamp::from_millisecond(time.0.cast_signed()).unwrap();
            assert_eq!(time.iso(), format!("{expected:.3}"), "{}", time.0);
        }
        let last = Millis(DAYS_TO_10000 * DAY_MS - 1);
        assert_eq!(last.iso(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Millis(last.0 + 1).iso(), "253402300800000ms");
    }
}
