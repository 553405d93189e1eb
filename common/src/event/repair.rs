//! Numbers that are no JSON and that programs write all the same: Python's `json.dumps` writes `NaN`,
//! `Infinity` and `-Infinity`; `1e999` is JSON, and infinite. Each is a missing value. And ids of more
//! digits than numbers have.

use std::ops::Range;

/// The same text with null, or an empty text where there is no room, in place of such numbers, and all else where
/// it was; `None` when it has none. Only texts that a parser refused come here.
#[cold]
pub(super) fn without_infinities(text: &str) -> Option<String> {
    let mut mended: Option<Vec<u8>> = None;
    for token in numbers(text).filter(|token| is_no_number(&text[token.clone()])) {
        let place = &mut mended.get_or_insert_with(|| text.into())[token];
        place.fill(b' ');
        let nothing = if place.len() < 4 {
            &b"\"\""[..]
        } else {
            b"null"
        };
        place[..nothing.len()].copy_from_slice(nothing);
    }
    mended.and_then(|bytes| String::from_utf8(bytes).ok())
}

/// A value of a text as it was before [`without_infinities`] mended it. `value` is a slice of `mended`.
#[cold]
pub(super) fn before_mending<'t>(text: &'t str, mended: &str, value: &str) -> &'t str {
    let begin = value.as_ptr().addr() - mended.as_ptr().addr();
    let behind = &text.as_bytes()[begin + value.len()..];
    // What stands in place of a number may be shorter than that.
    let rest = behind.iter().take_while(|b| is_of_number(**b)).count();
    &text[begin..begin + value.len() + rest]
}

/// The same text with quotes around whole numbers that 64 bits may not hold; `None` when it has none. As a
/// counter or a time such a number is unreadable either way; as an id it is its digits.
#[cold]
pub(super) fn with_long_numbers_as_text(text: &str) -> Option<String> {
    let mut mended = String::new();
    let mut from = 0;
    for token in numbers(text) {
        let number = &text[token.clone()];
        if is_long(number) {
            mended.push_str(&text[from..token.start]);
            mended.extend(["\"", number, "\""]);
            from = token.end;
        }
    }
    (from > 0).then(|| mended + &text[from..])
}

/// Where numbers, or what stands in place of one, are in a JSON text.
fn numbers(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let (mut at, mut in_string) = (0, false);
    std::iter::from_fn(move || {
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' if in_string => at += 1,
                b'"' => in_string = !in_string,
                b'N' | b'I' | b'-' | b'0'..=b'9' if !in_string => {
                    let begin = at;
                    let length = bytes[begin..].iter().take_while(|b| is_of_number(**b));
                    at += length.count();
                    return Some(begin..at);
                }
                _ => {}
            }
            at += 1;
        }
        None
    })
}

/// Whether it is a whole number that may be beyond 64 bits.
fn is_long(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() >= 19 && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn is_no_number(token: &str) -> bool {
    let infinite = || {
        token.len() >= 4
            && !token.ends_with(|c: char| c.is_ascii_alphabetic())
            && token.parse::<f64>().is_ok_and(f64::is_infinite)
    };
    matches!(token, "NaN" | "Infinity" | "-Infinity") || infinite()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_outside_of_texts_are_replaced() {
        for (text, mended) in [
            (r#"{"a":NaN}"#, Some(r#"{"a":"" }"#)),
            (r#"[Infinity, -Infinity]"#, Some("[null    , null     ]")),
            (r#"[1e999,-1e400,1e9]"#, Some("[null ,null  ,1e9]")),
            (r#"{"NaN \" NaN":"NaN"}"#, None),
            (r#"{"a":NaNs}"#, None),
            (r#"{"a":nan}"#, None),
            ("-", None),
        ] {
            assert_eq!(without_infinities(text).as_deref(), mended, "{text}");
        }
    }

    #[test]
    fn only_whole_numbers_beyond_64_bits_become_text() {
        let text = r#"{"a":123456789012345678901,"b":"123456789012345678901","c":12}"#;
        let mended = r#"{"a":"123456789012345678901","b":"123456789012345678901","c":12}"#;
        assert_eq!(with_long_numbers_as_text(text).as_deref(), Some(mended));
        assert_eq!(with_long_numbers_as_text(mended), None);
        assert_eq!(
            with_long_numbers_as_text("[-9999999999999999999]").as_deref(),
            Some(r#"["-9999999999999999999"]"#)
        );
        for text in [r#"{"a":1.5}"#, "[01234567890123456789012]", "[1e30]"] {
            assert_eq!(with_long_numbers_as_text(text), None, "{text}");
        }
    }
}
