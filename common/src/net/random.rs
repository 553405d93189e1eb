//! Random numbers of the system, which nobody can guess, and their digits.

use std::fmt::Write as _;

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::KolError;

/// So many random bytes. A simulation has none: nothing in it stands for secrets.
pub(super) fn random<const N: usize>() -> Result<[u8; N], KolError> {
    let mut chance = [0; N];
    let filled = SystemRandom::new().fill(&mut chance);
    let filled = filled.map(|()| chance);
    filled.map_err(|_| KolError::internal("RANDOM", "the system gives no random numbers"))
}

/// As hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _writing_to_memory_cannot_fail = write!(text, "{byte:02x}");
        text
    })
}

/// From hexadecimal digits; `None` if these are not so many bytes.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_from_the_digits_that_they_are_written_as() {
        let bytes = [0, 1, 0x7f, 0x80, 0xff];
        assert_eq!(hex(&bytes), "00017f80ff");
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        for wrong in ["", "00017f80f", "00017f80fg", "00017f80ff00", "+0017f80ff"] {
            assert_eq!(unhex::<5>(wrong), None, "{wrong}");
        }
    }
}
