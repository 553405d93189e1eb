//! Numbers that are no JSON and that programs write all the same: Python's `json.dumps` writes `NaN`,
//! `Infinity` and `-Infinity`; `1e999` is JSON, and infinite. Each is a missing value.

/// The same text with null, or an empty array where there is no room, in place of such numbers;
/// `None` when it has none. Only texts that a parser refused come here.
#[cold]
pub(super) fn without_infinities(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut mended: Option<Vec<u8>> = None;
    let (mut at, mut in_string) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' | b'I' | b'-' | b'0'..=b'9' if !in_string => {
                let is_token =
                    |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
                let length = bytes[at..].iter().take_while(is_token).count();
                if is_no_number(&text[at..at + length]) {
                    let place = &mut mended.get_or_insert_with(|| bytes.to_vec())[at..at + length];
                    place.fill(b' ');
                    let nothing = if length < 4 { &b"[]"[..] } else { b"null" };
                    place[..nothing.len()].copy_from_slice(nothing);
                }
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    mended.and_then(|bytes| String::from_utf8(bytes).ok())
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
            (r#"{"a":NaN}"#, Some(r#"{"a":[] }"#)),
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
}
