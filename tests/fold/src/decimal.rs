//! Decimal numbers without rounding.

/// More digits than any number here has to have.
const MOST_DIGITS: i64 = 30;

/// `digits · 10^exponent`, not negative. No zeros at either end of the digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// A JSON number; `None` below zero.
    pub fn of_number(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent = exponent.parse::<i64>().ok().filter(|e| e.abs() < 10_000);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let number = Self::of(whole, fraction, exponent?);
        (!negative || number.digits.is_empty()).then_some(number)
    }

    /// `whole.fraction · 10^exponent`; both are digits.
    pub fn of(whole: &str, fraction: &str, exponent: i64) -> Self {
        let all = format!("{whole}{fraction}");
        let kept = all.trim_end_matches('0');
        let shift = (all.len() - kept.len()) as i64 - fraction.len() as i64;
        Self {
            digits: kept.trim_start_matches('0').to_owned(),
            exponent: exponent + shift,
        }
    }

    /// The number when it has no fraction.
    pub fn whole(&self) -> Option<u128> {
        let is_whole = self.digits.is_empty() || self.exponent >= 0;
        is_whole.then(|| self.floor(0)).flatten()
    }

    /// `⌊number · 10^shift⌋`; `None` when it is beyond all use.
    pub fn floor(&self, shift: i64) -> Option<u128> {
        let exponent = self.exponent + shift;
        let length = self.digits.len() as i64 + exponent;
        if self.digits.is_empty() || length <= 0 {
            return Some(0);
        }
        if length > MOST_DIGITS {
            return None;
        }
        let mut digits = self.digits.clone();
        digits.truncate(length as usize);
        digits.extend(std::iter::repeat_n('0', length as usize - digits.len()));
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        let whole = |text: &str| Decimal::of_number(text).and_then(|d| d.whole());
        assert_eq!(whole("0"), Some(0));
        assert_eq!(whole("-0.0"), Some(0));
        assert_eq!(whole("120"), Some(120));
        assert_eq!(whole("7.00"), Some(7));
        assert_eq!(whole("1.25e2"), Some(125));
        assert_eq!(whole("12500e-2"), Some(125));
        assert_eq!(whole("1.255e2"), None);
        assert_eq!(whole("-1"), None);
        assert_eq!(whole("1e300"), None);
        let floor = |text: &str, shift| Decimal::of_number(text).and_then(|d| d.floor(shift));
        assert_eq!(floor("1795669200.123", 3), Some(1_795_669_200_123));
        assert_eq!(floor("1795669200123456", -3), Some(1_795_669_200_123));
        assert_eq!(floor("0.0004", 3), Some(0));
    }
}
