//! Times with the names of months: `Thu, 26 Nov 2026 05:00:00 +0000` (RFC 2822) and
//! `Thu Nov 26 05:00:00 +0000 2026` (also without the zone, as C's `asctime` writes it).

use super::cursor::{Cursor, midnight, millis};
use crate::Millis;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Zones of RFC 2822 that are not UTC, in hours.
const ZONES: [(&str, i64); 8] = [
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
];
const HOUR_MS: i64 = 3_600_000;

/// Reads one; the name of the day is not compared with the date.
pub(super) fn parse(text: &str) -> Option<Millis> {
    let mut words = [""; 6];
    let mut count = 0;
    // A comment may end a mail's date: `+0000 (UTC)`.
    let all = text.split_ascii_whitespace();
    for word in all.take_while(|word| !word.starts_with('(')) {
        *words.get_mut(count)? = word;
        count += 1;
    }
    let mut words = &words[..count];
    if let Some((first, rest)) = words.split_first()
        && is_day(first)
    {
        words = rest;
    }
    let (day, month, year, time, zone) = match words {
        [month, day, time, year] if is_month(month) => (day, month, year, time, None),
        [month, day, time, zone, year] if is_month(month) => (day, month, year, time, Some(zone)),
        [day, month, year, time] => (day, month, year, time, None),
        [day, month, year, time, zone] => (day, month, year, time, Some(zone)),
        _ => return None,
    };
    let month = MONTHS
        .iter()
        .position(|name| month.eq_ignore_ascii_case(name))?;
    let mut ms = midnight(whole(year, 4..=4)?, month as u32 + 1, whole(day, 1..=2)?)?;
    let mut at = Cursor::new(time.as_bytes());
    ms += at.time_of_day()?;
    if !at.done() {
        return None;
    }
    ms -= zone.map_or(Some(0), |zone| offset(zone))?;
    millis(ms)
}

fn is_day(word: &str) -> bool {
    let word = word.strip_suffix(',').unwrap_or(word);
    DAYS.iter().any(|day| word.eq_ignore_ascii_case(day))
}

fn is_month(word: &str) -> bool {
    MONTHS.iter().any(|month| word.eq_ignore_ascii_case(month))
}

fn whole(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let plain = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn offset(zone: &str) -> Option<i64> {
    if let Some((_, hours)) = ZONES
        .iter()
        .find(|(name, _)| zone.eq_ignore_ascii_case(name))
    {
        return Some(hours * HOUR_MS);
    }
    let mut at = Cursor::new(zone.as_bytes());
    let offset = at.offset()?;
    at.done().then_some(offset)
}
