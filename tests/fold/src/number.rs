//! Counters as producers write them.

use super::decimal::Decimal;
use super::json::Json;

/// Counters above this are not believed.
const LARGEST: u128 = 1_000_000_000_000;
/// Words that stand for no value.
const NOTHING: [&str; 9] = [
    "",
    "null",
    "none",
    "nan",
    "undefined",
    "inf",
    "infinity",
    "na",
    "nil",
];

/// A counter in any of its spellings; `None` is missing, which is not 0.
pub fn counter(value: &Json) -> Option<u64> {
    match value {
        Json::Number(number) => believable(Decimal::of_number(number)?.whole()?),
        Json::Text(text) => text_counter(text.trim()),
        _ => None,
    }
}

fn believable(number: u128) -> Option<u64> {
    if number > LARGEST {
        return None;
    }
    u64::try_from(number).ok()
}

fn text_counter(text: &str) -> Option<u64> {
    if NOTHING.contains(&text.to_lowercase().as_str()) {
        return None;
    }
    if text.chars().all(|c| c == ' ' || c.is_alphabetic()) {
        // The label of a button that nobody has pressed.
        return Some(0);
    }
    let zeros = match text.chars().last()? {
        'k' | 'K' => 3,
        'm' | 'M' => 6,
        'b' | 'B' => 9,
        _ => 0,
    };
    let number = if zeros > 0 {
        // Whatever stands between number and letter, the letter may then be a word.
        &text[..text.len() - 1]
    } else {
        text
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let separates_thousands = zeros == 0 && fraction.len() == 3;
    let digits = fraction.chars().all(|c| c.is_ascii_digit());
    if separates_thousands || !digits {
        return None;
    }
    believable(Decimal::of(&without_commas(whole)?, fraction, zeros).whole()?)
}

/// Digits, all in groups of three when there is a comma at all.
fn without_commas(whole: &str) -> Option<String> {
    let groups: Vec<&str> = whole.split(',').collect();
    let digits = groups
        .iter()
        .all(|g| !g.is_empty() && g.chars().all(|c| c.is_ascii_digit()));
    let grouped = groups.len() == 1 || groups[0].len() <= 3;
    let threes = groups[1..].iter().all(|g| g.len() == 3);
    (digits && grouped && threes).then(|| groups.concat())
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;

    fn read(json: &str) -> Option<u64> {
        counter(&parse(json).unwrap())
    }

    #[test]
    fn every_spelling_of_a_counter_is_read() {
        let cases = [
            ("3701", 3701),
            ("7.0", 7),
            ("10.000", 10),
            ("1e3", 1_000),
            ("-0.0", 0),
            (r#""3701""#, 3701),
            (r#""7.4K""#, 7_400),
            (r#""7.4k""#, 7_400),
            (r#""10.000K""#, 10_000),
            (r#""1.234M""#, 1_234_000),
            (r#""0.0005M""#, 500),
            (r#""1,234""#, 1_234),
            (r#""1,234,567""#, 1_234_567),
            (r#""1,234.5K""#, 1_234_500),
            (r#"" 1.25M ""#, 1_250_000),
            (r#""2B""#, 2_000_000_000),
            (r#""1000B""#, 1_000_000_000_000),
            (r#""Share""#, 0),
            (r#""Chia sẻ""#, 0),
            (r#""K""#, 0),
            (r#""5.0""#, 5),
            (r#""1234.0""#, 1_234),
            (r#""12.0000""#, 12),
            ("1000000000000", 1_000_000_000_000),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_counter_is_missing() {
        let cases = [
            "null",
            "NaN",
            "Infinity",
            "-Infinity",
            "-1",
            "-0.5",
            "1.5",
            "1e-1",
            "1e300",
            "1000000000001",
            "18446744073709551616",
            "true",
            "[3]",
            "{}",
        ];
        let texts = [
            "",
            "  ",
            "NaN",
            "null",
            "undefined",
            "NA",
            "nil",
            "Infinity",
            "-Infinity",
            "1.5",
            "7.4567K",
            "-3",
            "+3",
            "1,23",
            "12,5K",
            "1234,567",
            ",123",
            "1,234,56",
            "1001B",
            "12 K",
            "12 B",
            "12,5 B",
            "12\u{a0}B",
            "3 M",
            "10.000",
            "9.900",
            "1.234",
            "0.000",
            "1.234.567",
            "1,234.000",
            "1.2.3K",
            "1.2万",
            "12 mil",
            "5%",
            "K5",
            "5KK",
            "5\u{212a}",
            "1_000",
            "٣",
        ];
        for case in cases {
            assert_eq!(read(case), None, "{case}");
        }
        for text in texts {
            assert_eq!(counter(&Json::Text(text.into())), None, "{text}");
        }
    }
}
