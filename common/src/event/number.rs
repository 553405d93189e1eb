//! Counters as producers write them: integers, floats, strings of digits, and what the apps show to
//! people: `7.4K`, `1,234`, or the label of a button nobody pressed yet.

use super::digits;

/// Largest counter that is believed.
pub const MAX_COUNTER: u64 = 1_000_000_000_000;

/// The words by which programs write that there is no value, in any case of their letters.
const NOTHING: [&str; 8] = [
    "null",
    "none",
    "nan",
    "inf",
    "infinity",
    "undefined",
    "na",
    "nil",
];

/// Reads a counter that came as text; `None` = missing.
///
/// K, M and B right behind the number multiply in decimal arithmetic; commas must part groups of
/// three. Letters and spaces alone are a label and mean 0, except the words by which programs write
/// "nothing". A result that is not whole, or beyond [`MAX_COUNTER`], is unreadable. So is what means
/// different numbers in different countries: a suffix behind a blank (`12 B` is 12 thousand in
/// Turkish), and without a suffix a dot before exactly three digits (`10.000`).
pub fn read_counter_text(text: &str) -> Option<u64> {
    if let Some(number) = usual(text.as_bytes()) {
        return (number <= MAX_COUNTER).then_some(number);
    }
    let text = text.trim();
    let (number, zeros) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 3),
        b'M' | b'm' => (&text[..text.len() - 1], 6),
        b'B' | b'b' => (&text[..text.len() - 1], 9),
        _ => (text, 0),
    };
    if number.bytes().any(|b| b.is_ascii_digit()) {
        let grouped_by_dots = zeros == 0
            && number
                .rsplit_once('.')
                .is_some_and(|(_, fraction)| fraction.len() == 3);
        return if grouped_by_dots {
            None
        } else {
            decimal(number, zeros)
        };
    }
    let label = text.chars().all(|c| c.is_alphabetic() || c == ' ');
    let nothing = NOTHING.iter().any(|word| text.eq_ignore_ascii_case(word));
    (label && !nothing).then_some(0)
}

/// Digits alone, or behind them one of K, M and B, perhaps with up to three digits of a fraction: what nearly all
/// texts are. `None` for all others.
#[inline]
fn usual(text: &[u8]) -> Option<u64> {
    let (whole, length) = digits::leading(text)?;
    // At most 10^9 times 10^9.
    if length > 9 {
        return None;
    }
    let rest = &text[length..];
    let (fraction, places, suffix) = match rest {
        [] => return Some(whole),
        [b'.', rest @ ..] => {
            let (fraction, places) = digits::leading(rest)?;
            (fraction, places, &rest[places..])
        }
        _ => (0, 0, rest),
    };
    let zeros = match suffix {
        [b'K' | b'k'] => 3,
        [b'M' | b'm'] => 6,
        [b'B' | b'b'] => 9,
        _ => return None,
    };
    (places <= 3).then(|| whole * digits::ten_to(zeros) + fraction * digits::ten_to(zeros - places))
}

/// A counter that came as a JSON float.
pub(super) fn read_counter_float(value: f64) -> Option<u64> {
    let whole = value.fract() == 0.0 && (0.0..=MAX_COUNTER as f64).contains(&value);
    whole.then_some(value as u64)
}

/// `digits[.digits]` times 10^zeros, exactly.
fn decimal(number: &str, zeros: usize) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > zeros || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut value = grouped(whole)?;
    for digit in fraction
        .bytes()
        .chain(std::iter::repeat_n(b'0', zeros - fraction.len()))
    {
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    (value <= MAX_COUNTER).then_some(value)
}

/// Digits, with commas between groups of three or without any.
fn grouped(whole: &str) -> Option<u64> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let mut value = digits(first)?;
    let mut any = false;
    for group in groups {
        if group.len() != 3 {
            return None;
        }
        any = true;
        value = value.checked_mul(1_000)?.checked_add(digits(group)?)?;
    }
    if any && first.len() > 3 {
        return None;
    }
    Some(value)
}

fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
