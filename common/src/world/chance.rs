//! Random bits, and the ids and fractions made of them.

use uuid::Uuid;

use super::current::{Chance, ThisMachine, current};

/// A random id: nothing else has it.
pub fn random_id() -> Uuid {
    uuid::Builder::from_random_bytes(current().random().to_ne_bytes()).into_uuid()
}

/// An id that nothing else has; later ones sort later ([`Chance::ordered_id`]).
pub fn ordered_id() -> Uuid {
    current().ordered_id()
}

/// Uniform in `[0, 1)`.
pub fn fraction() -> f64 {
    let bits = (current().random() >> 75) as u64;
    bits as f64 / (1u64 << 53) as f64
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that uses the machine's random numbers"
)]
impl Chance for ThisMachine {
    fn random(&self) -> u128 {
        // Six bits of a UUID are fixed: two of them leave all bits random.
        let (high, low) = (Uuid::new_v4(), Uuid::new_v4());
        high.as_u128() ^ low.as_u128().rotate_left(64)
    }

    fn ordered_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_differ_and_keep_their_bounds() {
        assert_ne!(random_id(), random_id());
        for _ in 0..1_000 {
            assert!((0.0..1.0).contains(&fraction()));
        }
        assert!(ordered_id() < ordered_id());
    }
}
