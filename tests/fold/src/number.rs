//! Counters as producers write them.

use serde_json::Value;

/// Counters above this are not believed.
const LARGEST: u128 = 1_000_000_000_000;

/// A counter in any of its spellings; `None` is missing, which is not 0.
pub fn counter(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_u64() {
                return believable(u128::from(whole));
            }
            let float = number.as_f64()?;
            let whole = float >= 0.0 && float.fract() == 0.0 && float <= LARGEST as f64;
            whole.then_some(float as u64)
        }
        Value::String(text) => text_counter(text.trim()),
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
    let lower = text.to_lowercase();
    if ["", "null", "none", "nan", "undefined"].contains(&lower.as_str()) {
        return None;
    }
    if text.chars().all(|c| c == ' ' || c.is_alphabetic()) {
        // The label of a button that nobody pressed yet.
        return Some(0);
    }
    let (number, factor) = match lower.chars().last()? {
        'k' => (&text[..text.len() - 1], 1_000),
        'm' => (&text[..text.len() - 1], 1_000_000),
        'b' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    decimal(number.trim_end(), factor)
}

/// `number · factor` when that is whole.
fn decimal(number: &str, factor: u128) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let whole = without_commas(whole)?;
    if !fraction.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let divisor = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let product = digits.checked_mul(factor)?;
    if product % divisor != 0 {
        return None;
    }
    believable(product / divisor)
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
    use super::*;
    use serde_json::json;

    #[test]
    fn every_spelling_of_a_counter_is_read() {
        let cases = [
            (json!(3701), 3701),
            (json!(7.0), 7),
            (json!("7.4K"), 7_400),
            (json!("7.4k"), 7_400),
            (json!("1,234"), 1_234),
            (json!(" 1.25M "), 1_250_000),
            (json!("2B"), 2_000_000_000),
            (json!("12 K"), 12_000),
            (json!("Share"), 0),
            (json!("Chia sẻ"), 0),
            (json!("K"), 0),
            (json!("5.0"), 5),
            (json!(1_000_000_000_000_u64), 1_000_000_000_000),
        ];
        for (value, expected) in cases {
            assert_eq!(counter(&value), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_a_counter_is_missing() {
        let cases = [
            json!(null),
            json!(-1),
            json!(1.5),
            json!("1.5"),
            json!("7.4567K"),
            json!(""),
            json!("  "),
            json!("NaN"),
            json!("null"),
            json!("undefined"),
            json!("-3"),
            json!("1,23"),
            json!("1234,567"),
            json!(",123"),
            json!("1001B"),
            json!(1_000_000_000_001_u64),
            json!(true),
            json!([3]),
        ];
        for value in cases {
            assert_eq!(counter(&value), None, "{value}");
        }
    }
}
