//! Numbers as texts with so many decimals, a few operations each: the number is a fraction of whole numbers, whose
//! quotient and rest say how it is rounded. `{:.n}` takes many times as long, and every creator in a flush has nine of
//! them.

use std::fmt::Write as _;

/// Most decimals that are written without `{:.n}`.
const MOST: usize = 4;
const TENS: [u64; MOST + 1] = [1, 10, 100, 1_000, 10_000];
/// Bits of a double behind the leading one, and what is subtracted from its exponent, so that these bits are a whole
/// number.
const BITS: u32 = 52;
const BIAS: u32 = 1_023 + BITS;
/// Most digits of a whole number of 64 bits.
const LONGEST: usize = 20;

/// Appends a number as `{:.decimals$}` writes it: correctly rounded, as C's `%.nf` does.
pub(super) fn push(out: &mut String, number: f64, decimals: usize) {
    let Some(scaled) = scaled(number, decimals) else {
        // Writing to a String cannot fail.
        let _infallible = write!(out, "{number:.decimals$}");
        return;
    };
    if number.is_sign_negative() {
        out.push('-');
    }
    let ten = TENS[decimals];
    push_digits(out, scaled / ten, 1);
    if decimals > 0 {
        out.push('.');
        push_digits(out, scaled % ten, decimals);
    }
}

/// Appends a whole number with at least so many digits.
fn push_digits(out: &mut String, number: u64, least: usize) {
    let mut digits = [b'0'; LONGEST];
    let (mut rest, mut at) = (number, LONGEST);
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let digits = &digits[at.min(LONGEST - least)..];
    out.push_str(str::from_utf8(digits).unwrap_or_default());
}

/// The number that [`push`] writes.
pub(super) fn rounded(number: f64, decimals: usize) -> f64 {
    match scaled(number, decimals) {
        // Whole numbers that a double has: their quotient is the double that is next to it, and so is what the text
        // reads as.
        Some(scaled) if scaled < 1 << BITS => {
            (scaled as f64 / TENS[decimals] as f64).copysign(number)
        }
        _ => {
            let mut text = String::new();
            push(&mut text, number, decimals);
            text.parse().unwrap_or(number)
        }
    }
}

/// A number without its sign times ten to the power of `decimals`, rounded to a whole number: to the next one, and to the
/// even one of two that are as near. `None`: it is too large, it is none, or these are too many decimals.
fn scaled(number: f64, decimals: usize) -> Option<u64> {
    let ten = TENS.get(decimals)?;
    let bits = number.abs().to_bits();
    let exponent = (bits >> BITS) as u32;
    let leading = u64::from(exponent > 0) << BITS;
    // The number is `mantissa / 2^shift`; what is not, is above 2^52, or no number.
    let mantissa = bits & ((1 << BITS) - 1) | leading;
    let shift = BIAS
        .checked_sub(exponent.max(1))
        .filter(|shift| *shift > 0)?;
    // Below 2^67.
    let product = u128::from(mantissa) * u128::from(*ten);
    if shift >= 70 {
        return Some(0);
    }
    let (whole, rest, half) = (
        product >> shift,
        product & ((1 << shift) - 1),
        1 << (shift - 1),
    );
    let is_up = rest > half || (rest == half && whole & 1 == 1);
    u64::try_from(whole + u128::from(is_up)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(number: f64, decimals: usize) -> String {
        let mut text = "before ".to_owned();
        push(&mut text, number, decimals);
        text.split_off(7)
    }

    fn assert_same(number: f64, decimals: usize) {
        let expected = format!("{number:.decimals$}");
        assert_eq!(written(number, decimals), expected, "{number:e} {decimals}");
        let read: f64 = expected.parse().unwrap();
        let rounded = rounded(number, decimals);
        let same = rounded.to_bits() == read.to_bits() || (rounded.is_nan() && read.is_nan());
        assert!(same, "{number:e} {decimals}: {rounded:e}");
    }

    #[test]
    fn numbers_at_the_borders_are_written_as_the_formatter_does() {
        let two_to = |n: i32| 2.0_f64.powi(n);
        let numbers = [
            0.0,
            0.5,
            1.5,
            2.5,
            0.125,
            0.375,
            0.25,
            0.75,
            0.005,
            0.015,
            0.995,
            0.9995,
            9.995,
            99.995,
            84.2184,
            100.0,
            1e15,
            1e16,
            1.8e15,
            1.9e15,
            1e19,
            1e20,
            1e300,
            5e-324,
            1e-300,
            1e-20,
            0.000_05,
            0.000_15,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
        ];
        let powers = (-80..80).flat_map(|n| {
            let power = two_to(n);
            [power, power.next_down(), power.next_up(), power * 1.5]
        });
        for number in numbers.into_iter().chain(powers) {
            for decimals in 0..=MOST + 2 {
                assert_same(number, decimals);
                assert_same(-number, decimals);
            }
        }
    }

    proptest! {
        #[test]
        fn any_number_is_written_as_the_formatter_does(
            bits in any::<u64>(), small in -1e6..1e6_f64, quarters in 0u64..1 << 40, decimals in 0..=MOST,
        ) {
            assert_same(f64::from_bits(bits), decimals);
            assert_same(small, decimals);
            assert_same(small / 1e6, decimals);
            // Many of them are as near to one as to the other.
            assert_same(quarters as f64 / 16.0, decimals);
            assert_same(quarters as f64 / 2_000.0, decimals);
        }
    }
}
