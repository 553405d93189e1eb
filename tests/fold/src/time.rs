//! Times as producers write them.

use super::decimal::Decimal;
use super::json::Json;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Names of zones, in hours before Greenwich (RFC 2822, section 4.3).
const ZONES: [(&str, i64); 12] = [
    ("z", 0),
    ("ut", 0),
    ("utc", 0),
    ("gmt", 0),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
];
/// The last millisecond of that year: a number that lies behind it is no time.
const YEAR_9999: u64 = 253_402_300_799_999;
/// Unix time below the first is in seconds, below the second in milliseconds, else in microseconds.
const LIMITS: (u128, u128) = (100_000_000_000, 100_000_000_000_000);

/// Milliseconds since the epoch; `None` when it cannot be read, or lies before 1970.
pub fn time(value: &Json) -> Option<u64> {
    match value {
        Json::Number(number) => unix(&Decimal::of_number(number)?),
        Json::Text(text) => text_time(text.trim()),
        _ => None,
    }
}

fn unix(number: &Decimal) -> Option<u64> {
    let shift = match number.floor(0)? {
        seconds if seconds < LIMITS.0 => 3,
        millis if millis < LIMITS.1 => 0,
        _ => -3,
    };
    let millis = u64::try_from(number.floor(shift)?).ok()?;
    (millis <= YEAR_9999).then_some(millis)
}

fn text_time(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return unix(&Decimal::of(text, "", 0));
    }
    let millis = iso(text).or_else(|| by_words(text))?;
    u64::try_from(millis).ok()
}

/// ISO 8601, extended or basic, with `T` or a blank between date and time; without an offset it is UTC.
fn iso(text: &str) -> Option<i64> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    let extended = skip(&mut rest, "-");
    let month = digits(&mut rest, 2)?;
    if extended && !skip(&mut rest, "-") {
        return None;
    }
    let date = date_ms(year, month, digits(&mut rest, 2)?)?;
    if rest.is_empty() {
        return Some(date);
    }
    let spaced = !(skip(&mut rest, "T") || skip(&mut rest, "t"));
    if spaced {
        let after = rest.trim_start_matches(' ');
        if after.len() == rest.len() {
            return None;
        }
        rest = after;
    }
    Some(date + clock(&mut rest)? - offset(rest.trim_start_matches(' '))?)
}

/// `hh:mm`, `hh:mm:ss`, `hh:mm:ss.fff`, or the same without colons: milliseconds of the day.
fn clock(rest: &mut &str) -> Option<i64> {
    let hours = digits(rest, 2)?;
    let colons = skip(rest, ":");
    let minutes = digits(rest, 2)?;
    let more = if colons {
        skip(rest, ":")
    } else {
        rest.starts_with(|c: char| c.is_ascii_digit())
    };
    let mut millis = 0;
    let mut seconds = 0;
    if more {
        seconds = digits(rest, 2)?;
        if skip(rest, ".") || skip(rest, ",") {
            millis = fraction(rest)?;
        }
    }
    // A leap second is the last one of its minute.
    let seconds = if seconds == 60 { 59 } else { seconds };
    let fits = hours < 24 && minutes < 60 && seconds < 60;
    fits.then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis)
}

/// Digits after a point, down to milliseconds.
fn fraction(rest: &mut &str) -> Option<i64> {
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (all, after) = rest.split_at(length);
    *rest = after;
    let padded = format!("{all}000");
    (length > 0).then(|| padded[..3].parse().ok()).flatten()
}

/// Milliseconds that a zone is before Greenwich; nothing at all is UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.is_empty() {
        return Some(0);
    }
    let name = zone.to_ascii_lowercase();
    if let Some((_, hours)) = ZONES.iter().find(|(known, _)| *known == name) {
        return Some(hours * 3_600_000);
    }
    let (sign, mut rest) = match zone.strip_prefix('-').or(zone.strip_prefix('\u{2212}')) {
        Some(rest) => (-1, rest),
        None => (1, zone.strip_prefix('+')?),
    };
    let hours = digits(&mut rest, 2)?;
    skip(&mut rest, ":");
    let minutes = if rest.is_empty() {
        0
    } else {
        digits(&mut rest, 2)?
    };
    let fits = rest.is_empty() && hours < 24 && minutes < 60;
    fits.then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// `Thu, 26 Nov 2026 05:00:00 +0000` (RFC 2822) and `Thu Nov 26 05:00:00 +0000 2026`, by their words.
fn by_words(text: &str) -> Option<i64> {
    let text = text.split('(').next()?;
    let mut words: Vec<&str> = text.split([' ', ',']).filter(|w| !w.is_empty()).collect();
    let first = words.first()?.to_ascii_lowercase();
    if WEEKDAYS.contains(&first.as_str()) {
        words.remove(0);
    }
    let (day, month, year, time, zone) = match words[..] {
        [day, month, year, time] => match month_of(day) {
            Some(_) => (month, day, time, year, ""),
            None => (day, month, year, time, ""),
        },
        [month, day, time, zone, year] if month_of(month).is_some() => {
            (day, month, year, time, zone)
        }
        [day, month, year, time, zone] => (day, month, year, time, zone),
        _ => return None,
    };
    let date = date_ms(year_of(year)?, month_of(month)?, day_of(day)?)?;
    let mut rest = time;
    let clock = clock(&mut rest).filter(|_| time.contains(':') && rest.is_empty())?;
    Some(date + clock - offset(zone)?)
}

fn month_of(name: &str) -> Option<i64> {
    let name = name.to_ascii_lowercase();
    let number = MONTHS.iter().position(|month| *month == name)?;
    Some(number as i64 + 1)
}

fn day_of(text: &str) -> Option<i64> {
    let fits = text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// Four digits; two or three as in RFC 2822, section 4.3.
fn year_of(text: &str) -> Option<i64> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let year: i64 = text.parse().ok()?;
    match text.len() {
        2 if year < 50 => Some(year + 2_000),
        2 | 3 => Some(year + 1_900),
        4 => Some(year),
        _ => None,
    }
}

fn skip(rest: &mut &str, word: &str) -> bool {
    let Some(after) = rest.strip_prefix(word) else {
        return false;
    };
    *rest = after;
    true
}

fn digits(rest: &mut &str, count: usize) -> Option<i64> {
    let number = rest.get(..count)?;
    let all = number.bytes().all(|b| b.is_ascii_digit());
    *rest = &rest[count..];
    all.then(|| number.parse().ok()).flatten()
}

/// Midnight of a day of the Gregorian calendar, in milliseconds since the epoch.
fn date_ms(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month - 1).ok()?;
    let february = i64::from(month == 2 && leap(year));
    if !(1..=lengths.get(index)? + february).contains(&day) {
        return None;
    }
    let before: i64 = lengths[..index].iter().sum::<i64>() + i64::from(month > 2 && leap(year));
    let past = year - 1;
    let days = past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400);
    // Days from the first of January of year 1 to that of 1970.
    const EPOCH: i64 = 719_162;
    Some((days + before + day - 1 - EPOCH) * 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<u64> {
        time(&Json::Text(text.into()))
    }

    /// The time 2026-11-26T05:00:00Z, ms.
    const NOV: u64 = 1_795_669_200_000;

    #[test]
    fn every_spelling_of_one_moment_is_the_same() {
        let spellings = [
            "2026-11-26T05:00:00Z",
            "2026-11-26t05:00:00z",
            "2026-11-26T05:00",
            "2026-11-26T05:00:00.000",
            "2026-11-26 05:00:00",
            "2026-11-26 05:00:00 UTC",
            "2026-11-26 05:00:00Z",
            "2026-11-26 05:00:00 +00:00",
            "2026-11-26T12:00:00+07:00",
            "2026-11-26T12:00:00+0700",
            "2026-11-26T12:00:00+07",
            "2026-11-25T23:30:00-05:30",
            "20261126T050000Z",
            "20261126T0500",
            "20261126T120000+0700",
            "20261126 050000",
            "Thu, 26 Nov 2026 05:00:00 +0000",
            "26 Nov 2026 05:00 GMT",
            "Thu, 26 Nov 26 00:00:00 EST",
            "Thu, 26 Nov 2026 12:00:00 +0700 (ICT)",
            "Thu Nov 26 05:00:00 +0000 2026",
            "thu nov 26 12:00:00 +0700 2026",
            "Thu Nov 26 05:00:00 UTC 2026",
            "Thu Nov 26 05:00:00 2026",
            " 1795669200 ",
            "1795669200000",
            "1795669200000000",
        ];
        for spelling in spellings {
            assert_eq!(at(spelling), Some(NOV), "{spelling}");
        }
        for number in [
            "1795669200",
            "1795669200000",
            "1795669200000000",
            "1.7956692e9",
        ] {
            assert_eq!(time(&Json::Number(number.into())), Some(NOV), "{number}");
        }
    }

    #[test]
    fn fractions_are_cut_to_milliseconds() {
        assert_eq!(at("2026-11-26T05:00:00.1239999Z"), Some(NOV + 123));
        assert_eq!(at("2026-11-26T05:00:00,5Z"), Some(NOV + 500));
        assert_eq!(at("1795669200000999"), Some(NOV));
        let number = Json::Number("1795669200.1239".into());
        assert_eq!(time(&number), Some(NOV + 123));
    }

    #[test]
    fn the_calendar_is_gregorian() {
        assert_eq!(at("1970-01-01"), Some(0));
        assert_eq!(at("1970-01-01T00:00:01"), Some(1_000));
        assert_eq!(at("2000-02-29"), Some(951_782_400_000));
        assert_eq!(at("2100-03-01"), Some(4_107_542_400_000));
        assert_eq!(at("2024-12-31T23:59:60Z"), Some(1_735_689_599_000));
        assert_eq!(at("9999-12-31T23:59:59.999Z"), Some(253_402_300_799_999));
    }

    #[test]
    fn the_unit_of_unix_time_goes_by_its_size() {
        let number = |text: &str| time(&Json::Number(text.into()));
        assert_eq!(number("99999999999"), Some(99_999_999_999_000));
        assert_eq!(number("100000000000"), Some(100_000_000_000));
        assert_eq!(number("99999999999999"), Some(99_999_999_999_999));
        assert_eq!(number("100000000000000"), Some(100_000_000_000));
        assert_eq!(number("253402300799999999"), Some(253_402_300_799_999));
        assert_eq!(number("253402300800000000"), None);
        assert_eq!(number("1795669200000000000"), None, "nanoseconds");
        assert_eq!(number("0"), Some(0));
    }

    #[test]
    fn what_is_no_time_is_unreadable() {
        let cases = [
            "",
            "soon",
            "yesterday",
            "2026-13-01",
            "2026-11-31",
            "2100-02-29",
            "2026-11-26T24:00",
            "2026-11-26T05:60",
            "2026-11-26T05",
            "2026-11-26T",
            "2026-11-26T05:00:00.Z",
            "2026-11-26T05:00:00+7",
            "2026-11-26T05:00:00 CEST",
            "2026-11-26T05:00:00Z x",
            "2026-11-26x05:00",
            "2026/11/26",
            "26.11.2026",
            "1969-12-31T23:59:59Z",
            "0000-01-01",
            "-5",
            "1795669200.5",
            "1e9",
            "2026-W48-4",
            "Thu Foo 26 05:00:00 +0000 2026",
            "Thu, 32 Nov 2026 05:00:00 GMT",
            "Thu, 26 Nov 2026",
            "999999999999999999999999999999",
        ];
        for case in cases {
            assert_eq!(at(case), None, "{case}");
        }
        for other in [
            Json::Null,
            Json::Other,
            Json::List(vec![]),
            Json::Number("-1".into()),
        ] {
            assert_eq!(time(&other), None, "{other:?}");
        }
    }
}
