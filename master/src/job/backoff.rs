//! How long a job waits before it tries again: a pure function, because machines have no randomness of
//! their own.

use std::time::Duration;

use kol_common::{JobId, Millis};

/// First and longest pause after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// The pause after `failures` failures: doubled each time, between half and whole of it. `salt` tells apart
/// what should not be tried again at the same moment.
pub(super) fn pause(job: &JobId, failures: u32, salt: u64) -> Millis {
    let (first, longest) = (Millis::from(RETRY.0).0, Millis::from(RETRY.1).0);
    let whole = first.saturating_mul(1 << failures.min(10)).min(longest);
    Millis(whole / 2 + spread(job.as_str(), salt) % (whole / 2 + 1))
}

/// A number that looks random and follows from its input (FNV-1a).
fn spread(text: &str, salt: u64) -> u64 {
    let bytes = text.bytes().chain(salt.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
